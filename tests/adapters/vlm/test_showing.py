"""Pictures are shown in a fresh order under fresh labels; on a sheet the labels stand beside them, never on them.

What is no whole picture is not shown.
"""

import io
from collections.abc import Sequence

import numpy as np
import pytest
from PIL import Image

from contracts.errors import JudgeError
from contracts.judging import JudgeCard
from reward_adapters.vlm.answer import TIE
from reward_adapters.vlm.showing import GAP, MARGIN, PICTURE_SIZE, SHEET_SIZE, Gallery, Mode, Showing, sheet

from ..pictures import ask, blots, encoded, plain

CARD = JudgeCard(name="openai", kind="selecting", description="A test's.", objective="none")


def shown(count: int, seed: int = 7) -> Showing:
    return gallery([encoded(blots(k, 16), "jpeg") for k in range(count)]).whole(seed, 1)


def gallery(pictures: Sequence[bytes], mode: Mode = "separate") -> Gallery:
    return Gallery.of(ask(CARD, len(pictures)), pictures, mode)


def test_the_same_ask_is_shown_the_same_and_another_seed_otherwise() -> None:
    assert shown(8) == shown(8)
    assert len({shown(8, seed).pictures for seed in range(50)}) == 50
    assert len({shown(8, seed).labels for seed in range(50)}) == 50


@pytest.mark.parametrize("count", [2, 23, 24, 64])
def test_labels_are_different_letters(count: int) -> None:
    labels = shown(count).labels
    assert len(set(labels)) == count
    assert {len(label) for label in labels} == {1 if count <= 23 else 2}
    assert all(label.isalpha() and label.isupper() for label in labels)


def test_each_picture_follows_its_label() -> None:
    pictures = [encoded(blots(k, 16), "jpeg") for k in range(5)]
    showing = gallery(pictures).whole(7, 2)
    pairs = list(zip(showing.parts[1:-1:2], showing.parts[2:-1:2], strict=True))
    assert pairs == [
        (f"Image {label}:", pictures[k]) for label, k in zip(showing.labels, showing.pictures, strict=True)
    ]
    assert [showing.picture(label) for label in showing.labels] == list(showing.pictures)


def test_a_pair_is_shown_in_the_order_asked_for_under_labels_of_its_own_and_may_tie() -> None:
    pictures = [encoded(blots(k, 16), "jpeg") for k in range(5)]
    forth, back = gallery(pictures).pair(1, 3, 2), gallery(pictures).pair(2, 2, 3)
    for showing, order in ((forth, (3, 2)), (back, (2, 3))):
        first, second = showing.labels
        assert showing.parts[1:-1] == (f"Image {first}:", pictures[order[0]], f"Image {second}:", pictures[order[1]])
        assert (showing.picture(first), showing.picture(second), showing.picture(TIE)) == (*order, None)
        assert showing.options == (first, second, TIE)
    assert forth.labels != back.labels
    assert len({gallery(pictures).pair(seed, 0, 1).labels for seed in range(50)}) > 40


def test_a_label_and_a_place_do_not_tell_the_picture() -> None:
    """Over 2000 asks each of 4 pictures is first in a quarter of them, within 4 standard deviations (0.039)."""
    four = gallery([encoded(plain((k, 0, 0), (1, 1)), "jpeg") for k in range(4)])
    firsts = [four.whole(seed, 2).pictures[0] for seed in range(2000)]
    for picture in range(4):
        assert firsts.count(picture) / 2000 == pytest.approx(0.25, abs=0.039)


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("size", [(1024, 256), (700, 700), (512, 40), (3, 5)])
def test_a_picture_shown_by_itself_is_a_jpeg_of_at_most_512(encoding: str, size: tuple[int, int]) -> None:
    part = gallery([encoded(plain("teal", size), encoding)]).pictures[0]
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


def test_a_small_jpeg_is_shown_as_it_came_even_with_bytes_behind_its_end() -> None:
    picture = encoded(blots(1), "jpeg")
    assert gallery([picture, picture + b"\0\0"]).pictures == (picture, picture + b"\0\0")


def with_a_preview() -> bytes:
    """A JPEG with another one, whole, within its header, as cameras write it."""
    buffer, exif = io.BytesIO(), b"Exif\0\0" + encoded(blots(2, 16), "jpeg")
    blots(1).save(buffer, "JPEG", exif=exif, progressive=True)
    return buffer.getvalue()


@pytest.mark.parametrize("picture", [encoded(blots(1), "jpeg"), with_a_preview()], ids=["plain", "with a preview"])
def test_a_jpeg_cut_off_anywhere_is_not_shown(picture: bytes) -> None:
    gallery([picture])
    ends = [*range(len(picture) - 50, len(picture) - 2), *range(0, len(picture) - 50, 7)]
    preview_ends = [k + 2 for k in range(len(picture) - 2) if picture[k : k + 2] == b"\xff\xd9"]
    for end in ends + preview_ends:
        with pytest.raises(JudgeError, match="hold no readable PNG or JPEG"):
            gallery([picture[:end]])


@pytest.mark.parametrize("mode", ["separate", "grid", "pairwise"])
@pytest.mark.parametrize(
    "wrong", [b"", b"\xff\xd8\xff\xd9", b"\xff\xd8" + b"x" * 99 + b"\xff\xd9", b"GIF89a", encoded(blots(1))[:-30]]
)
def test_what_is_no_picture_is_not_shown(mode: Mode, wrong: bytes) -> None:
    with pytest.raises(JudgeError):
        gallery([encoded(blots(1), "jpeg"), wrong], mode)
