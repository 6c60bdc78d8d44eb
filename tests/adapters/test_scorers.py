"""The model-free judges compute what their papers define: closed forms, and numbers worked out by hand."""

import io
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from reward_adapters import registry
from reward_adapters.colorfulness import colorfulness
from reward_adapters.jpeg import jpeg_kilobytes

from .pictures import ask, blots, encoded, plain

RGB = st.tuples(*[st.integers(0, 255)] * 3)


@given(RGB)
def test_one_colour_all_over_has_only_the_mean_term(color: tuple[int, int, int]) -> None:
    r, g, b = color
    assert colorfulness(plain(color)) == pytest.approx(0.3 * math.hypot(r - g, (r + g) / 2 - b))


@given(st.integers(0, 2**32 - 1))
def test_grey_is_not_colourful(seed: int) -> None:
    grey = np.random.default_rng(seed).integers(0, 256, (8, 8, 1), dtype=np.uint8)
    assert colorfulness(Image.fromarray(np.repeat(grey, 3, axis=2))) == 0.0


def test_half_red_half_green() -> None:
    """rg = ±255: mean 0, deviation 255. yb = 127.5 everywhere. So 255 + 0.3 · 127.5."""
    image = plain("red", (2, 2))
    image.paste((0, 255, 0), (0, 0, 1, 2))
    assert colorfulness(image) == pytest.approx(255 + 0.3 * 127.5)


def test_three_pixels_by_hand() -> None:
    """Red, blue, black: rg = 255, 0, 0 (mean 85, variance 14450); yb = 127.5, -255, 0 (mean -42.5, variance 25287.5)."""
    image = Image.fromarray(np.array([[[255, 0, 0], [0, 0, 255], [0, 0, 0]]], dtype=np.uint8))
    assert colorfulness(image) == pytest.approx(math.sqrt(14450 + 25287.5) + 0.3 * math.sqrt(85**2 + 42.5**2))


def test_colorfulness_does_not_depend_on_where_the_colours_are() -> None:
    pixels = np.asarray(blots(3)).reshape(-1, 3)
    shuffled = np.random.default_rng(0).permutation(pixels).reshape(64, 64, 3)
    assert colorfulness(Image.fromarray(shuffled)) == pytest.approx(colorfulness(blots(3)))


def test_kilobytes_are_the_files_own() -> None:
    buffer = io.BytesIO()
    blots(2).save(buffer, "JPEG", quality=95)
    assert jpeg_kilobytes(blots(2)) == len(buffer.getvalue()) / 1000


def test_noise_takes_more_bytes_than_blots_and_blots_more_than_one_colour() -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    assert jpeg_kilobytes(noise) > 2 * jpeg_kilobytes(blots(0)) > 2 * jpeg_kilobytes(plain("red"))


async def test_the_two_jpeg_judges_are_each_others_opposite() -> None:
    pictures = [encoded(blots(k)) for k in range(4)]
    small, large = (registry.build(name, {}) for name in ("jpeg_compressibility", "jpeg_incompressibility"))
    smaller = (await small.score(ask(small.card, 4), pictures)).scores
    larger = (await large.score(ask(large.card, 4), pictures)).scores
    assert list(larger) == [jpeg_kilobytes(blots(k)) for k in range(4)]
    assert list(smaller) == [-one for one in larger if one is not None]


def test_the_jpeg_judges_see_every_pixel_as_drawn() -> None:
    for name in ("jpeg_compressibility", "jpeg_incompressibility"):
        card = registry.build(name, {}).card
        assert (card.encoding, card.picture_size) == ("png", None)
