"""What the provider of the tests sees in a chat.completions request: the labelled pictures, decoded, and how many to choose.

It reads what any model could read, the text and the pixels; it shares no code with the judges.
"""

import base64
import io
import re
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

DATA_URL = re.compile(r"data:image/(jpeg|jpg|png|webp);base64,([A-Za-z0-9+/]+=*)\Z")  # all that Ollama takes
KNOWN_KEYS = {
    "model", "messages", "response_format", "max_tokens", "max_completion_tokens", "temperature", "seed", "reasoning_effort",
    "chat_template_kwargs",
}  # fmt: skip


@dataclass(frozen=True)
class Sight:
    """Labels with the redness of their pictures, in the order shown, and how many to choose."""

    redness: dict[str, float]
    count: int

    @property
    def redder(self) -> list[str]:
        """The labels of the reddest pictures, as many as asked for."""
        return sorted(self.redness, key=lambda label: -self.redness[label])[: self.count]

    @property
    def first(self) -> list[str]:
        """The labels of the pictures shown first, as many as asked for."""
        return list(self.redness)[: self.count]


def complaint(request: dict[str, Any]) -> str | None:
    """What a strict provider would refuse this request for; None: nothing."""
    if unknown := set(request) - KNOWN_KEYS:
        return f"Unrecognized request argument supplied: {', '.join(sorted(unknown))}"
    roles = [message["role"] for message in request["messages"]]
    if roles not in (["system", "user"], ["system", "user", "assistant", "user"]):
        return f"unexpected roles {roles}"
    for part in parts_of(request):
        if part["type"] == "image_url" and not DATA_URL.match(part["image_url"]["url"]):
            return "Invalid image data URL"
    form = request.get("response_format")
    if form is not None and form["type"] == "json_schema":
        return _complaint_about(form["json_schema"])
    return None


def _complaint_about(form: dict[str, Any]) -> str | None:
    """The rules of strict schemas."""
    schema = form["schema"]
    properties = schema["properties"]
    if form["strict"] is not True or not re.fullmatch(r"[\w-]{1,64}", form["name"]):
        return "Invalid 'response_format.json_schema'"
    if schema["additionalProperties"] is not False or schema["required"] != list(properties):
        return "Invalid schema: 'additionalProperties' must be false and all keys required"
    return None


def parts_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The content parts of the question."""
    content: list[dict[str, Any]] = request["messages"][1]["content"]
    return content


def texts_of(request: dict[str, Any]) -> list[str]:
    """The text parts of the question."""
    return [part["text"] for part in parts_of(request) if part["type"] == "text"]


def images_of(request: dict[str, Any]) -> list[Image.Image]:
    """The pictures of the question, decoded."""
    return [_decoded(part) for part in parts_of(request) if part["type"] == "image_url"]


def look(request: dict[str, Any]) -> Sight:
    """What is to be seen in the request, one by one or on a sheet."""
    parts = parts_of(request)
    count = int(re.findall(r"^Choose exactly (\d+) of these", parts[-1]["text"], re.MULTILINE)[0])
    rows = re.findall(r"^Row \d+: ([A-Z ]+)$", parts[1]["text"], re.MULTILINE)
    if rows:
        return Sight(_on_sheet(_decoded(parts[2]), [row.split() for row in rows]), count)
    seen = {}
    for text, picture in zip(parts[1:-1:2], parts[2:-1:2], strict=True):
        label = re.fullmatch(r"Image ([A-Z]{1,2}):", text["text"])
        assert label is not None
        seen[label[1]] = redness(_decoded(picture))
    return Sight(seen, count)


def _on_sheet(sheet: Image.Image, rows: list[list[str]]) -> dict[str, float]:
    """Redness by cell: the white margins are alike in all of them."""
    width, height = sheet.width // len(rows[0]), sheet.height // len(rows)
    return {
        label: redness(sheet.crop((x * width, y * height, (x + 1) * width, (y + 1) * height)))
        for y, row in enumerate(rows)
        for x, label in enumerate(row)
    }


def _decoded(part: dict[str, Any]) -> Image.Image:
    match = DATA_URL.match(part["image_url"]["url"])
    assert match is not None
    return Image.open(io.BytesIO(base64.b64decode(match[2]))).convert("RGB")


def redness(image: Image.Image) -> float:
    """How much redder than blue."""
    pixels = np.asarray(image, dtype=np.float64)
    return float((pixels[..., 0] - pixels[..., 2]).mean())
