"""What the provider of the tests sees in a request of either protocol: the labelled pictures, decoded, and how many to choose.

It reads what any model could read, the text and the pixels; it shares no code with the judges, and what a request may hold is for rules.py.
"""

import base64
import functools
import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

Part = str | bytes


@dataclass(frozen=True)
class Sight:
    """Labels with the redness of their pictures, in the order shown, how many to choose, and whether the answer may be a tie."""

    redness: dict[str, float]
    count: int
    ties: bool = False

    @property
    def redder(self) -> list[str]:
        """The labels of the reddest pictures, as many as asked for; a tie where it may be one and all are equally red."""
        if self.ties and len(set(self.redness.values())) == 1:
            return ["TIE"]
        return sorted(self.redness, key=lambda label: -self.redness[label])[: self.count]

    @property
    def first(self) -> list[str]:
        """The labels of the pictures shown first, as many as asked for."""
        return list(self.redness)[: self.count]


def parts_of(request: dict[str, Any]) -> list[Part]:
    """The question's texts and pictures (encoded) in their order, whichever the protocol."""
    if "messages" in request:
        return [_part_of_openai(part) for part in request["messages"][1]["content"]]
    return [_part_of_gemini(part) for part in request["contents"][0]["parts"]]


def _part_of_openai(part: dict[str, Any]) -> Part:
    if part["type"] == "text":
        return str(part["text"])
    return base64.b64decode(part["image_url"]["url"].partition(";base64,")[2], validate=True)


def _part_of_gemini(part: dict[str, Any]) -> Part:
    return str(part["text"]) if "text" in part else base64.urlsafe_b64decode(part["inlineData"]["data"])


def texts_of(request: dict[str, Any]) -> list[str]:
    """The text parts of the question."""
    return [part for part in parts_of(request) if isinstance(part, str)]


def images_of(request: dict[str, Any]) -> list[Image.Image]:
    """The pictures of the question, decoded."""
    return [_decoded(part) for part in parts_of(request) if isinstance(part, bytes)]


def look(request: dict[str, Any]) -> Sight:
    """What is to be seen in the request, one by one, on a sheet, or two to compare."""
    parts = parts_of(request)
    texts = [part for part in parts if isinstance(part, str)]
    pictures = [part for part in parts if isinstance(part, bytes)]
    ties = re.match(r"Choose the better of these 2 pictures, .*, or TIE where neither is\.", texts[-1]) is not None
    count = 1 if ties else int(re.findall(r"^Choose exactly (\d+) of these", texts[-1], re.MULTILINE)[0])
    rows = re.findall(r"^Row \d+: ([A-Z ]+)$", texts[1], re.MULTILINE)
    if rows:
        return Sight(_on_sheet(_decoded(pictures[0]), [row.split() for row in rows]), count)
    seen = {}
    for text, picture in zip(texts[1:-1], pictures, strict=True):
        label = re.fullmatch(r"Image ([A-Z]{1,2}):", text)
        assert label is not None
        seen[label[1]] = _redness_at_a_glance(picture)
    return Sight(seen, count, ties)


def _on_sheet(sheet: Image.Image, rows: list[list[str]]) -> dict[str, float]:
    """Redness by cell: the white margins are alike in all of them."""
    width, height = sheet.width // len(rows[0]), sheet.height // len(rows)
    return {
        label: redness(sheet.crop((x * width, y * height, (x + 1) * width, (y + 1) * height)))
        for y, row in enumerate(rows)
        for x, label in enumerate(row)
    }


def _decoded(picture: bytes) -> Image.Image:
    return Image.open(io.BytesIO(picture)).convert("RGB")


@functools.lru_cache(maxsize=256)
def _redness_at_a_glance(picture: bytes) -> float:
    """A JPEG is decoded as small as a mean allows, and once: where many judges ask, the provider must not be what is measured."""
    image = Image.open(io.BytesIO(picture))
    image.draft("RGB", (64, 64))
    return redness(image.convert("RGB"))


def redness(image: Image.Image) -> float:
    """How much redder than blue."""
    pixels = np.asarray(image, dtype=np.float64)
    return float((pixels[..., 0] - pixels[..., 2]).mean())
