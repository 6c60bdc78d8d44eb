"""How pictures are put before a model: shuffled and labelled afresh at each call, one by one, on one sheet or two by two.

It knows no provider.
"""

import io
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from PIL import Image, ImageDraw, ImageFont

from contracts.judging import JudgeAsk

from ..base import UNREADABLE, decode
from .answer import TIE
from .prompt import opening, pair_task, task

Mode = Literal["separate", "grid", "pairwise"]
Part = str | bytes  # a text, or a JPEG

PICTURE_SIZE = 512  # px, longest side of a picture shown by itself
SHEET_SIZE = 1024  # px, what the pictures on a sheet share along a side
MARGIN = 36  # px to the left of each picture on a sheet, for its label
GAP = 6  # px around each cell
JPEG_QUALITY = 90
_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ"  # no I, L, O, which look like digits
_CONSONANTS = "BCDFGHJKMNPQRSTVWXZ"  # two of them make no word
_JPEG_BEGINS, _JPEG_ENDS = b"\xff\xd8", b"\xff\xd9"


@dataclass(frozen=True)
class Showing:
    """One call as a model sees it: the pictures, by their places in the ask, in the order shown, each with its label.

    `ties`: it may also answer that none is better. The last of the parts says what to do.
    """

    pictures: tuple[int, ...]
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    ties: bool = False

    @property
    def options(self) -> tuple[str, ...]:
        """What the model may answer with."""
        return (*self.labels, TIE) if self.ties else self.labels

    @property
    def task(self) -> str:
        """What it is told to do."""
        return str(self.parts[-1])

    def picture(self, label: str) -> int | None:
        """The place of the picture with this label; None for a tie."""
        return None if label == TIE else self.pictures[self.labels.index(label)]


@dataclass(frozen=True)
class Gallery:
    """The different pictures of one ask, made ready once for all calls about them, and what is said before them.

    They are JPEGs where each is shown by itself, and decoded where all are put on one sheet.
    """

    opening: str
    pictures: tuple[bytes, ...] | tuple[Image.Image, ...]

    @classmethod
    def of(cls, ask: JudgeAsk, pictures: Sequence[bytes], mode: Mode) -> "Gallery":
        """Keeps the processor busy. Raises JudgeError for bytes that are no whole picture."""
        if mode != "grid":
            return cls(opening(ask), tuple(_as_jpeg(picture) for picture in pictures))
        room = SHEET_SIZE // math.ceil(math.sqrt(len(pictures)))
        return cls(opening(ask), tuple(_fitted(decode(picture, room), room) for picture in pictures))

    def whole(self, seed: int, count: int) -> Showing:
        """All pictures, to choose `count` of them. Order and labels follow from the seed. Keeps the processor busy."""
        chance, total = random.Random(seed), len(self.pictures)
        order = tuple(chance.sample(range(total), total))
        labels = tuple(chance.sample(_alphabet(total), total))
        arranged = [(label, self.pictures[k]) for label, k in zip(labels, order, strict=True)]
        return Showing(order, labels, (self.opening, *_shown(arranged), task(labels, count)))

    def pair(self, seed: int, first: int, second: int) -> Showing:
        """These two pictures in this order, to choose the better one or neither. The labels follow from the seed."""
        labels = tuple(random.Random(seed).sample(_LETTERS, 2))
        arranged = [(labels[0], self.pictures[first]), (labels[1], self.pictures[second])]
        return Showing((first, second), labels, (self.opening, *_shown(arranged), pair_task(labels)), ties=True)


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


def _shown(arranged: Sequence[tuple[str, bytes | Image.Image]]) -> list[Part]:
    """JPEGs one by one, decoded pictures on one sheet."""
    parts: list[Part] = []
    for label, picture in arranged:
        if isinstance(picture, bytes):
            parts += [f"Image {label}:", picture]
    return parts or _on_one_sheet([(label, image) for label, image in arranged if isinstance(image, Image.Image)])


def _on_one_sheet(arranged: Sequence[tuple[str, Image.Image]]) -> list[Part]:
    whole, columns = sheet(arranged)
    labels = [label for label, _ in arranged]
    rows = [labels[k : k + columns] for k in range(0, len(labels), columns)]
    legend = "\n".join(f"Row {number}: {' '.join(row)}" for number, row in enumerate(rows, 1))
    text = f"All pictures on one sheet of {len(rows)} x {columns} cells; a picture's label stands left of it.\n{legend}"
    return [text, _encoded(whole)]


def _as_jpeg(picture: bytes) -> bytes:
    """The picture itself where it is a JPEG and small enough, as the worker sends it."""
    if _passes(picture):
        return picture
    image = decode(picture)
    if picture.startswith(_JPEG_BEGINS) and max(image.size) <= PICTURE_SIZE:
        return picture
    return _encoded(_fitted(image, PICTURE_SIZE))


def _passes(picture: bytes) -> bool:
    """Whether it may be shown as it is, without decoding it, which takes a hundred times as long: a small JPEG with its end.

    Within its data the two bytes of the end do not occur (ITU-T T.81, B.1.1.5), so that a picture that lacks its rest lacks them.
    """
    if not (picture.startswith(_JPEG_BEGINS) and picture.endswith(_JPEG_ENDS)):
        return False
    try:
        with Image.open(io.BytesIO(picture), formats=("JPEG",)) as image:
            return max(image.size) <= PICTURE_SIZE
    except UNREADABLE:
        return False


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
