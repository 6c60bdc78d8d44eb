"""A contact sheet shows every grid under its caption, in order, in proportions one can look at, however many there are."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from workers.contact_sheet import CAPTION, MAX_PIXELS, TALLEST, Layout, contact_sheet, layout
from workers.pictures import THUMBNAIL, encode

CELL = THUMBNAIL + 8  # of a grid: a candidate and its frame


def grid(width: int, height: int, grey: int = 128) -> bytes:
    return encode(Image.new("RGB", (width, height), (grey,) * 3), "jpeg")


def sheet(grids: list[tuple[str, bytes]]) -> Image.Image:
    return Image.open(io.BytesIO(contact_sheet(grids))).convert("L")


def test_a_usual_jobs_grids_lie_below_one_another_as_they_are() -> None:
    greys = range(0, 240, 20)
    made = sheet([("", grid(8 * CELL, CELL, grey)) for grey in greys])
    assert made.size == (8 * CELL, len(greys) * (CELL + CAPTION))
    middles = [made.getpixel((CELL, row * (CELL + CAPTION) + CAPTION + CELL // 2)) for row in range(len(greys))]
    assert middles == pytest.approx(list(greys), abs=4)


def test_narrow_grids_go_on_in_the_next_column_and_no_caption_runs_into_another() -> None:
    caption = "step 10, from sigma 39.1, mean reward 0.123"
    cells = layout(30, 2 * CELL, CELL, 250)
    assert (cells.columns, cells.rows, cells.width, cells.scale) == (3, 10, 2 * CELL, 1.0)
    made = sheet([(caption, grid(80, 40, grey)) for grey in range(0, 240, 8)])
    width = made.width // layout(30, 80, 40, int(ImageFont.load_default().getlength(caption)) + 9).columns
    assert width >= ImageFont.load_default().getlength(caption)
    second = made.getpixel((width + 40, CAPTION + 20))
    below = made.getpixel((40, 2 * CAPTION + 60))
    assert isinstance(second, int)
    assert isinstance(below, int)
    assert 0 < below < second, "downwards first"


@pytest.mark.parametrize(("candidates", "steps"), [(64, 80), (64, 255), (16, 64)])
def test_the_largest_jobs_fit(candidates: int, steps: int) -> None:
    """As a JPEG of one column, 80 steps of 64 candidates would be 88,320 pixels high, which no JPEG may be."""
    one = grid(8 * CELL, candidates // 8 * CELL)
    made = sheet([(f"step {step}, from sigma 12.3, mean reward 0.25", one) for step in range(steps)])
    assert made.width * made.height < 1.3 * MAX_PIXELS
    assert max(made.size) < 12_000


@settings(deadline=None)
@given(st.integers(1, 256), st.integers(1, 1100), st.integers(1, 1100), st.integers(1, 400))
def test_every_sheet_is_bounded_holds_all_and_is_not_much_higher_than_wide(
    count: int, width: int, height: int, caption: int
) -> None:
    cells: Layout = layout(count, width, height, caption)
    w, h = cells.columns * cells.width, cells.rows * cells.height
    assert (cells.columns - 1) * cells.rows < count <= cells.columns * cells.rows
    assert cells.width >= caption
    assert count * cells.width * cells.height <= MAX_PIXELS
    assert max(w, h) < 65_500
    assert h <= TALLEST * w or cells.rows == 1
    assert cells.scale == 1 or count * max(width, caption) * (height + CAPTION) > MAX_PIXELS


def test_a_job_without_a_judged_step_has_an_empty_sheet() -> None:
    assert sheet([]).size == (THUMBNAIL, THUMBNAIL)
