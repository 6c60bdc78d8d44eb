"""Pictures and asks for the tests of judges. It knows no judge."""

import io
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from PIL import Image

from contracts.judging import AskName, JudgeAsk, JudgeCard

SIZE = 64


def plain(color: str | tuple[int, int, int], size: tuple[int, int] = (SIZE, SIZE)) -> Image.Image:
    """One colour all over."""
    return Image.new("RGB", size, color)


def blots(seed: int, size: int = SIZE) -> Image.Image:
    """Soft blots of colour: unlike a plain colour for every judge, and unlike any other seed's."""
    coarse = np.random.default_rng(seed).integers(0, 256, (6, 6, 3), dtype=np.uint8)
    return Image.fromarray(coarse).resize((size, size), Image.Resampling.BICUBIC)


def encoded(image: Image.Image, encoding: str = "png") -> bytes:
    """The picture as a worker would send it."""
    buffer = io.BytesIO()
    image.save(buffer, encoding.upper())
    return buffer.getvalue()


def sent(card: JudgeCard, count: int, first_seed: int = 0) -> list[bytes]:
    """`count` different pictures as the card wants them."""
    return [encoded(blots(first_seed + k), card.encoding) for k in range(count)]


def ask(card: JudgeCard, count: int, **changed: Any) -> JudgeAsk:
    """An ask about `count` pictures."""
    return JudgeAsk.model_validate(
        {
            "name": AskName(job="gen_test", step=1),
            "kind": "candidates",
            "judge": card.name,
            "prompt": "a red apple",
            "pictures": count,
            "sigma": 2.0,
            "seed": 7,
            "deadline": datetime.now(UTC) + timedelta(seconds=60),
        }
        | changed
    )
