"""Pixels are what the authors' code makes of a picture: Pillow's bytes to the last one, CLIP's and ImageNet's numbers, black borders."""

import pytest
import torch
from PIL import Image

from contracts.errors import JudgeError
from reward_adapters.reward_models.preprocessing import (
    blip_pixels,
    clip_pixels,
    dino_pixels,
    hps_pixels,
    middle,
    resized,
    shorter_side,
)

from .seeing import MEAN, STD, as_bytes, clip_sees, dino_sees, hps_sees, image_reward_sees, noisy

SIZES = [(512, 512), (64, 64), (224, 224), (300, 200), (250, 500), (640, 227), (3, 5)]
EXACT, ROUNDED = 1e-6, 1e-4  # of values up to 2.6; HPSv2's fractions are summed in another order


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("to", [(224, 224), (97, 301), (400, 50)])
def test_resized_bytes_are_pillows(size: tuple[int, int], to: tuple[int, int]) -> None:
    image = noisy(*size)
    along_rows = image.resize((to[0], image.height), Image.Resampling.BICUBIC)  # first, as all Pillows before 13 do
    theirs = as_bytes(along_rows.resize(to, Image.Resampling.BICUBIC))
    assert torch.equal(resized(as_bytes(image), (to[1], to[0])), theirs.float())


@pytest.mark.parametrize("size", SIZES)
def test_pixels_are_those_of_the_authors_code(size: tuple[int, int]) -> None:
    images = [noisy(*size, seed=seed) for seed in range(2)]
    pictures = as_bytes(*images)
    torch.testing.assert_close(clip_pixels(pictures, 224), clip_sees(images, 224), atol=EXACT, rtol=0)
    torch.testing.assert_close(blip_pixels(pictures, 224), image_reward_sees(images, 224), atol=EXACT, rtol=0)
    torch.testing.assert_close(dino_pixels(pictures), dino_sees(images), atol=EXACT, rtol=0)
    torch.testing.assert_close(hps_pixels(pictures, 224), hps_sees(images, 224), atol=ROUNDED, rtol=0)


def test_hpsv2_sees_all_of_a_white_picture_of_three_to_two_between_black() -> None:
    """300 x 200 becomes 224 x 149; of the 75 rows left, 37 are above it and 38 below."""
    pixels = hps_pixels(as_bytes(Image.new("RGB", (300, 200), "white")), 224)[0]
    black, white = ([(value - mean) / std for mean, std in zip(MEAN, STD, strict=True)] for value in (0, 1))
    for rows, color in ((slice(0, 37), black), (slice(37, 186), white), (slice(186, 224), black)):
        torch.testing.assert_close(pixels[:, rows].amin((1, 2)), torch.tensor(color), atol=1e-5, rtol=0)
        torch.testing.assert_close(pixels[:, rows].amax((1, 2)), torch.tensor(color), atol=1e-5, rtol=0)
    assert tuple(pixels.shape) == (3, 224, 224)


def test_a_picture_that_is_the_right_size_already_is_only_normalised() -> None:
    image = noisy(224, 224)
    expected = (as_bytes(image)[0].permute(1, 2, 0) / 255 - torch.tensor(MEAN)) / torch.tensor(STD)
    for pixels in (
        clip_pixels(as_bytes(image), 224),
        blip_pixels(as_bytes(image), 224),
        hps_pixels(as_bytes(image), 224),
    ):
        torch.testing.assert_close(pixels[0].permute(1, 2, 0), expected, atol=EXACT, rtol=0)
    wide = hps_pixels(as_bytes(noisy(224, 100)), 224)
    assert wide.shape == (1, 3, 224, 224), "the longer side may be right while the other needs its border"


def test_the_middle_is_cut_out_in_both_ways_of_halving_an_odd_rest() -> None:
    row = torch.arange(7.0)[None, None, None, :].expand(1, 1, 4, 7)
    assert middle(row, 4)[0, 0, 0].tolist() == [1, 2, 3, 4], "three are left over: one before, two behind"
    assert middle(row, 4, nearest=True)[0, 0, 0].tolist() == [2, 3, 4, 5], "1.5 rounds to 2, the even one"


def test_a_line_is_refused_before_it_fills_the_device() -> None:
    with pytest.raises(JudgeError, match="a picture of 1 x 100 pixels is too long and narrow"):
        shorter_side(as_bytes(Image.new("RGB", (1, 100))), 224)
