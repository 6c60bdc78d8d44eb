"""How colourful a picture looks, as a reward. It knows no prompt and no network.

Hasler and Süsstrunk, "Measuring colourfulness in natural images", Human Vision and Electronic Imaging VIII, SPIE 5007, 2003:
the metric M(3), which they fitted to what people said (0 not, 15 slightly, 33 moderately, 45 averagely, 59 quite, 82 highly, 109 extremely
colourful).
"""

import math

from PIL import Image

from contracts.judging import JudgeCard

from .base import Environment, PictureJudge

PICTURE_SIZE = 512  # px: colours do not need more, and larger PNGs take long to pack


def judge(_: Environment) -> PictureJudge:
    """The judge `colorfulness`."""
    card = JudgeCard(
        name="colorfulness",
        kind="scoring",
        description="Prefers colourful pictures (Hasler and Süsstrunk 2003).",
        objective="more colourful, 0 grey, 59 quite, 109 extremely",
        picture_size=PICTURE_SIZE,
        encoding="png",
        seconds_per_ask=0.02,
    )
    return PictureJudge(card, colorfulness)


def colorfulness(image: Image.Image) -> float:
    """M(3) = sqrt(s_rg² + s_yb²) + 0.3 sqrt(m_rg² + m_yb²) of an RGB picture in 0..255, rg = R - G, yb = (R + G) / 2 - B.

    s and m are standard deviation and mean over the pixels.
    """
    import numpy as np  # noqa: PLC0415 - only this judge needs it

    r, g, b = np.moveaxis(np.asarray(image, dtype=np.float64), -1, 0)
    rg, yb = r - g, (r + g) / 2 - b
    return math.hypot(rg.std(), yb.std()) + 0.3 * math.hypot(rg.mean(), yb.mean())
