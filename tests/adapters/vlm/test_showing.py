"""Pictures are shown in a fresh order under fresh labels; on a sheet the labels stand beside them, never on them."""

import io

import numpy as np
import pytest
from PIL import Image

from contracts.judging import JudgeCard
from reward_adapters.vlm.showing import GAP, MARGIN, PICTURE_SIZE, SHEET_SIZE, Showing, sheet, show

from ..pictures import ask, blots, encoded, plain

CARD = JudgeCard(name="openai", kind="selecting", description="A test's.", objective="none")


def shown(count: int, seed: int = 7) -> Showing:
    return show(ask(CARD, count, seed=seed), [encoded(blots(k, 16), "jpeg") for k in range(count)], 1, "separate")


def test_the_same_ask_is_shown_the_same_and_another_seed_otherwise() -> None:
    assert shown(8) == shown(8)
    assert len({shown(8, seed).shown for seed in range(50)}) == 50
    assert len({shown(8, seed).labels for seed in range(50)}) == 50


@pytest.mark.parametrize("count", [2, 23, 24, 64])
def test_labels_are_different_letters(count: int) -> None:
    labels = shown(count).labels
    assert len(set(labels)) == count
    assert {len(label) for label in labels} == {1 if count <= 23 else 2}
    assert all(label.isalpha() and label.isupper() for label in labels)


def test_each_picture_follows_its_label() -> None:
    pictures = [encoded(blots(k, 16), "jpeg") for k in range(5)]
    showing = show(ask(CARD, 5), pictures, 2, "separate")
    pairs = list(zip(showing.parts[1:-1:2], showing.parts[2:-1:2], strict=True))
    assert pairs == [(f"Image {showing.labels[k]}:", pictures[k]) for k in showing.shown]


def test_a_label_and_a_place_do_not_tell_the_picture() -> None:
    """Over 2000 asks each of 4 pictures is first in a quarter of them, within 4 standard deviations (0.039)."""
    firsts = [shown_first(seed) for seed in range(2000)]
    for picture in range(4):
        assert firsts.count(picture) / 2000 == pytest.approx(0.25, abs=0.039)


def shown_first(seed: int) -> int:
    return show(
        ask(CARD, 4, seed=seed), [encoded(plain((k, 0, 0), (1, 1)), "jpeg") for k in range(4)], 2, "separate"
    ).shown[0]


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("size", [(1024, 256), (700, 700), (512, 40), (3, 5)])
def test_a_picture_shown_by_itself_is_a_jpeg_of_at_most_512(encoding: str, size: tuple[int, int]) -> None:
    part = show(ask(CARD, 1), [encoded(plain("teal", size), encoding)], 1, "separate").parts[2]
    assert isinstance(part, bytes)
    image = Image.open(io.BytesIO(part))
    assert image.format == "JPEG"
    assert max(image.size) == min(PICTURE_SIZE, max(size))
    assert image.width / image.height == pytest.approx(size[0] / size[1], rel=0.02)


@pytest.mark.parametrize("count", [2, 5, 16, 64])
def test_a_sheet_has_every_picture_whole_and_its_label_left_of_it(count: int) -> None:
    labels = list(shown(count).labels)
    images = [blots(k, 64) for k in range(count)]
    whole, columns = sheet(list(zip(labels, images, strict=True)))
    pixels = np.asarray(whole)
    width, height = 64 + MARGIN + 2 * GAP, 64 + 2 * GAP
    assert whole.size == (columns * width, -(-count // columns) * height)
    for place, image in enumerate(images):
        x, y = place % columns * width, place // columns * height
        cell = pixels[y : y + height, x : x + width]
        assert (cell[GAP : GAP + 64, GAP + MARGIN : GAP + MARGIN + 64] == np.asarray(image)).all()
        assert (cell[:, GAP : GAP + MARGIN] < 128).any(), "the label is missing"
        assert (cell[:, -GAP:] == 255).all()
        assert (cell[:GAP] == 255).all()
        assert (cell[:, :GAP] == 255).all(), "the label leaves its margin"


@pytest.mark.parametrize("count", [2, 4, 9, 64])
def test_a_sheet_of_large_pictures_stays_within_its_size(count: int) -> None:
    whole, columns = sheet([("A", plain("teal", (512, 512)))] * count)
    assert max(whole.size) <= SHEET_SIZE + columns * (MARGIN + 2 * GAP)
