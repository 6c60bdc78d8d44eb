"""The grids of all steps on one sheet for eyes. It knows captions and JPEGs; no step, no judge.

Steps run downwards, then on to the next column, so that the sheet is at most about twice as high as wide. It is bounded however
many steps there are (a JPEG may have no side above 65,500 pixels): then the grids are made smaller, the captions are not.
"""

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image, ImageDraw, ImageFont

from .pictures import GAP, THUMBNAIL, encode

MAX_PIXELS = 2**25  # of a sheet: 100 MB while it is made
TALLEST = 2.0  # height by width
CAPTION = 16  # px


@dataclass(frozen=True)
class Layout:
    """Columns, cells to a column, a cell's size in pixels with its caption, and by what its grid is scaled."""

    columns: int
    rows: int
    width: int
    height: int
    scale: float


def contact_sheet(grids: Sequence[tuple[str, bytes]]) -> bytes:
    """The grids, (caption, JPEG) each, in order as one JPEG. One grid at a time is unpacked."""
    if not grids:
        return encode(Image.new("RGB", (THUMBNAIL, THUMBNAIL), "white"), "jpeg")
    sizes = [Image.open(io.BytesIO(data)).size for _, data in grids]
    caption_width = max(math.ceil(ImageFont.load_default().getlength(caption)) for caption, _ in grids) + 2 * GAP
    cells = layout(len(grids), max(w for w, _ in sizes), max(h for _, h in sizes), caption_width)
    sheet = Image.new("RGB", (cells.columns * cells.width, cells.rows * cells.height), "white")
    draw = ImageDraw.Draw(sheet)
    for index, ((caption, data), (width, height)) in enumerate(zip(grids, sizes, strict=True)):
        x, y = index // cells.rows * cells.width, index % cells.rows * cells.height
        draw.text((x + GAP, y + 2), caption, fill="black")
        grid = Image.open(io.BytesIO(data)).convert("RGB")
        if cells.scale < 1:
            grid = grid.resize((_scaled(width, cells.scale), _scaled(height, cells.scale)), Image.Resampling.LANCZOS)
        sheet.paste(grid, (x, y + CAPTION))
    return encode(sheet, "jpeg")


def layout(count: int, width: int, height: int, caption_width: int) -> Layout:
    """The place for so many grids of at most that size: as large as MAX_PIXELS allows, in the fewest columns that TALLEST does."""
    scale = 1.0
    while count * math.prod(cell := _cell(width, height, scale, caption_width)) > MAX_PIXELS:
        scale *= 0.95
    fitting = (r for r in range(count, 0, -1) if r * cell[1] <= TALLEST * math.ceil(count / r) * cell[0])
    rows = next(fitting, 1)
    return Layout(math.ceil(count / rows), rows, *cell, scale)


def _cell(width: int, height: int, scale: float, caption_width: int) -> tuple[int, int]:
    return max(_scaled(width, scale), caption_width), _scaled(height, scale) + CAPTION


def _scaled(side: int, scale: float) -> int:
    return max(1, math.floor(side * scale))
