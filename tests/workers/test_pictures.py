"""Pictures become bytes as their reader wants them, and grids say by colour what the judge said."""

import io

import pytest
import torch
from PIL import Image
from torch import Tensor

from contracts.judging import JudgeCard
from workers.pictures import (
    CHOSEN,
    GAP,
    NEUTRAL,
    REJECTED,
    THUMBNAIL,
    encode,
    encode_for,
    images,
    opened,
    step_grid,
)


def pictures(count: int, height: int = 32, width: int = 32) -> Tensor:
    """Any pictures [count, 3, height, width]."""
    return torch.rand(count, 3, height, width, generator=torch.Generator().manual_seed(1))


def card(size: int | None = None, encoding: str = "png") -> JudgeCard:
    return JudgeCard.model_validate(
        {"name": "j", "kind": "scoring", "description": "", "objective": "", "picture_size": size, "encoding": encoding}
    )


def read(data: bytes) -> Image.Image:
    return Image.open(io.BytesIO(data))


@pytest.mark.parametrize(
    ("drawn", "wanted", "sent"),
    [
        ((32, 32), None, (32, 32)),
        ((32, 32), 64, (32, 32)),
        ((32, 32), 32, (32, 32)),
        ((64, 32), 16, (16, 8)),
        ((30, 60), 20, (10, 20)),
        ((1, 400), 100, (1, 100)),
    ],
)
def test_a_judge_gets_pictures_no_larger_than_it_wants_in_their_proportions(
    drawn: tuple[int, int], wanted: int | None, sent: tuple[int, int]
) -> None:
    for data in encode_for(card(wanted), pictures(2, *drawn)):
        assert read(data).size == sent[::-1]


def test_each_judge_gets_its_own_format_in_order() -> None:
    both = torch.stack([torch.zeros(3, 8, 8), torch.ones(3, 8, 8)])
    for encoding in ("png", "jpeg"):
        sent = encode_for(card(encoding=encoding), both)
        assert [read(one).format for one in sent] == [encoding.upper()] * 2
        assert [read(one).convert("RGB").getpixel((4, 4)) for one in sent] == [(0, 0, 0), (255, 255, 255)]


def test_png_comes_back_as_it_was_to_a_level_of_255() -> None:
    one = pictures(1)
    back = opened(encode(images(one)[0], "png"))
    assert (back.shape, back.dtype) == ((1, 3, 32, 32), torch.float32)
    torch.testing.assert_close(back, one, atol=0.5 / 255 + 1e-6, rtol=0)
    assert torch.equal(opened(encode(images(back)[0], "png")), back)


def test_what_is_out_of_range_is_cut() -> None:
    (image,) = images(torch.stack([torch.tensor([-1.0, 0.5, 2.0])]).view(1, 3, 1, 1))
    assert image.getpixel((0, 0)) == (0, 128, 255)


def frames(grid: bytes, count: int, side: int) -> list[tuple[int, ...]]:
    """The colour of each cell's frame, at the middle of its upper edge."""
    image, cell = read(grid).convert("RGB"), side + 2 * GAP
    found = []
    for index in range(count):
        pixel = image.getpixel(((index % 8) * cell + cell // 2, (index // 8) * cell + 2))
        assert isinstance(pixel, tuple)
        found.append(pixel)
    return found


def nearest(pixel: tuple[int, ...]) -> tuple[int, int, int]:
    """The frame colour that a JPEG's pixel was."""
    return min((CHOSEN, REJECTED, NEUTRAL), key=lambda c: sum((a - b) ** 2 for a, b in zip(c, pixel, strict=True)))


@pytest.mark.parametrize(
    ("scores", "colours"),
    [
        ([5.0, -5.0, None], [CHOSEN, REJECTED, NEUTRAL]),
        ([2.0, 1.0, 3.0], [NEUTRAL, REJECTED, CHOSEN]),
        ([7.0, 7.0], [NEUTRAL, NEUTRAL]),
        ([None, None], [NEUTRAL, NEUTRAL]),
        ([3.0, None], [NEUTRAL, NEUTRAL]),
    ],
)
def test_a_frame_is_green_above_the_steps_mean_and_red_below_it(
    scores: list[float | None], colours: list[tuple[int, int, int]]
) -> None:
    grey = torch.full((len(scores), 3, 32, 32), 0.5)
    assert [nearest(pixel) for pixel in frames(step_grid(grey, scores), len(scores), 32)] == colours


def test_a_grid_has_eight_columns_and_thumbnails_of_large_pictures() -> None:
    cell = THUMBNAIL + 2 * GAP
    assert read(step_grid(pictures(11, 256, 256), [1.0] * 11)).size == (8 * cell, 2 * cell)
    assert read(step_grid(pictures(3), [1.0] * 3)).size == (3 * (32 + 2 * GAP), 32 + 2 * GAP)
