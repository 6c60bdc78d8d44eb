"""How pictures are put before a model: shuffled and labelled afresh at each ask, one by one or on one sheet. It knows no provider."""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from contracts.judging import JudgeAsk

from ..base import decode
from .prompt import opening, task

Mode = Literal["separate", "grid"]
Part = str | bytes  # a text, or a JPEG

PICTURE_SIZE = 512  # px, longest side of a picture shown by itself
SHEET_SIZE = 1024  # px, what the pictures on a sheet share along a side
MARGIN = 36  # px to the left of each picture on a sheet, for its label
GAP = 6  # px around each cell
JPEG_QUALITY = 90
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"  # no I, L, O, which look like digits
_CONSONANTS = "BCDFGHJKMNPQRSTVWXZ"  # two of them make no word


@dataclass(frozen=True)
class Showing:
    """One ask as a model sees it. `labels[k]` is the label of the ask's picture k, `shown` the pictures in the order shown."""

    labels: tuple[str, ...]
    shown: tuple[int, ...]
    parts: tuple[Part, ...]


def show(ask: JudgeAsk, pictures: Sequence[bytes], count: int, mode: Mode) -> Showing:
    """Pictures for a model that shall choose `count` of them. Order and labels follow from the ask's seed.

    Keeps the processor busy. Raises JudgeError for bytes that are no picture.
    """
    chance = random.Random(ask.seed)
    shown = tuple(chance.sample(range(len(pictures)), len(pictures)))
    labels = tuple(chance.sample(_alphabet(len(pictures)), len(pictures)))
    arranged = [(labels[k], pictures[k]) for k in shown]
    middle = _one_by_one(arranged) if mode == "separate" else _on_one_sheet(arranged)
    return Showing(labels, shown, (opening(ask), *middle, task(labels, count)))


def sheet(pictures: Sequence[tuple[str, Image.Image]]) -> tuple[Image.Image, int]:
    """One picture with all of them in equal cells, row by row, and how many a row has. A label stands left of its picture."""
    columns = math.ceil(math.sqrt(len(pictures)))
    rows = math.ceil(len(pictures) / columns)
    small = [(label, _fitted(image, SHEET_SIZE // columns)) for label, image in pictures]
    width = max(image.width for _, image in small) + MARGIN + 2 * GAP
    height = max(MARGIN, *(image.height for _, image in small)) + 2 * GAP
    whole = Image.new("RGB", (columns * width, rows * height), "white")
    draw = ImageDraw.Draw(whole)
    for place, (label, image) in enumerate(small):
        x, y = place % columns * width, place // columns * height
        font = ImageFont.load_default(28 if len(label) == 1 else 20)
        middle = (x + GAP + MARGIN / 2, y + GAP + MARGIN / 2)
        draw.text(middle, label, fill="black", font=font, anchor="mm")
        whole.paste(image, (x + GAP + MARGIN, y + GAP))
    return whole, columns


def _one_by_one(arranged: Sequence[tuple[str, bytes]]) -> list[Part]:
    parts: list[Part] = []
    for label, picture in arranged:
        parts += [f"Image {label}:", _as_jpeg(picture)]
    return parts


def _on_one_sheet(arranged: Sequence[tuple[str, bytes]]) -> list[Part]:
    whole, columns = sheet([(label, decode(picture)) for label, picture in arranged])
    labels = [label for label, _ in arranged]
    rows = [labels[k : k + columns] for k in range(0, len(labels), columns)]
    legend = "\n".join(f"Row {number}: {' '.join(row)}" for number, row in enumerate(rows, 1))
    text = f"All pictures on one sheet of {len(rows)} x {columns} cells; a picture's label stands left of it.\n{legend}"
    return [text, _encoded(whole)]


def _as_jpeg(picture: bytes) -> bytes:
    """The picture itself where it is a JPEG and small enough, as the worker sends it."""
    image = decode(picture)
    if picture.startswith(b"\xff\xd8") and max(image.size) <= PICTURE_SIZE:
        return picture
    return _encoded(_fitted(image, PICTURE_SIZE))


def _fitted(image: Image.Image, longest: int) -> Image.Image:
    """The picture with its longest side at most so long; never enlarged."""
    scale = longest / max(image.size)
    if scale >= 1:
        return image
    width, height = (max(1, round(side * scale)) for side in image.size)
    return image.resize((width, height), Image.Resampling.LANCZOS)


def _encoded(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _alphabet(count: int) -> list[str]:
    """Labels to draw from: letters, or pairs of them where there are more pictures than letters."""
    if count <= len(_LETTERS):
        return list(_LETTERS)
    return [one + other for one in _CONSONANTS for other in _CONSONANTS if one != other]
