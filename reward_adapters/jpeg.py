"""The size of a picture as JPEG, as a reward: the classic objective without a gradient. It knows no prompt and no network.

Black et al., "Training Diffusion Models with Reinforcement Learning" (DDPO), ICLR 2024, arXiv 2305.13301: kilobytes (1,000 bytes)
at quality 95, negative for compressibility. The pictures come as PNG in full size, so that their own pixels are measured.
"""

import io

from PIL import Image

from contracts.judging import JudgeCard

from .base import Environment, PictureJudge

QUALITY = 95


def jpeg_kilobytes(image: Image.Image) -> float:
    """Size of the picture as JPEG of quality 95, in kB of 1,000 bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=QUALITY)
    return buffer.tell() / 1000


def compressibility(_: Environment) -> PictureJudge:
    """The judge `jpeg_compressibility`: the smaller the file, the better."""
    card = _card(
        "jpeg_compressibility", "smaller JPEG (minus its kB)", "Prefers pictures that compress well: smooth ones."
    )
    return PictureJudge(card, lambda image: -jpeg_kilobytes(image))


def incompressibility(_: Environment) -> PictureJudge:
    """The judge `jpeg_incompressibility`: the larger the file, the better."""
    card = _card("jpeg_incompressibility", "larger JPEG (its kB)", "Prefers pictures that compress badly: busy ones.")
    return PictureJudge(card, jpeg_kilobytes)


def _card(name: str, objective: str, description: str) -> JudgeCard:
    return JudgeCard(
        name=name, kind="scoring", description=description, objective=objective, encoding="png", seconds_per_ask=0.02
    )
