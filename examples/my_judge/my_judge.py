"""A judge of one's own: prefers pictures whose left half mirrors the right one. It knows no prompt."""

import numpy as np
from PIL import Image

from contracts.judging import JudgeCard
from reward_adapters.base import Environment, PictureJudge


def judge(_: Environment) -> PictureJudge:
    """The judge `symmetry`."""
    card = JudgeCard(
        name="symmetry",
        kind="scoring",
        description="Prefers pictures that are their own mirror image.",
        objective="minus the mean difference from the mirror image, at best 0",
        encoding="png",
    )
    return PictureJudge(card, symmetry)


def symmetry(image: Image.Image) -> float:
    """Minus the mean absolute difference between the picture and its mirror image, from -255 to 0."""
    pixels = np.asarray(image, dtype=np.float64)
    return -float(np.abs(pixels - pixels[:, ::-1]).mean())
