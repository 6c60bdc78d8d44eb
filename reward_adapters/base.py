"""What a judge is, and the little that judges share: reading pictures, selecting, scoring picture by picture.

It knows no judge by name, and not how asks and verdicts travel.
"""

import asyncio
import io
import math
import statistics
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from PIL import Image

from contracts.errors import JudgeError, JudgeMalformed, MaxwellError
from contracts.judging import JudgeAsk, JudgeCard, Verdict

REWARD = 5.0  # of a chosen picture, and with a minus sign of one not chosen (Yeh et al., ICLR 2025, arXiv 2410.05760)
MAX_PIXELS = 2**26  # 8192 x 8192, the largest picture a job may have
UNREADABLE = (OSError, EOFError, SyntaxError, ValueError, struct.error, zlib.error, Image.DecompressionBombError)


class Judge(Protocol):
    """Looks at pictures and says which it prefers."""

    @property
    def card(self) -> JudgeCard:
        """How users and workers see this judge. `card.name` is the name of its entry point."""

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """One score a picture, in their order: a finite float, or None for no opinion.

        `pictures` are encoded as the card says. The verdict follows from ask and pictures alone: asked again, it is the same
        (as far as the judge can warrant that), and equal pictures get equal scores. Work that keeps the processor busy runs in
        a thread. Raises JudgeError, or the kind of it that says whether trying again may help; never invents a verdict.
        """


Environment = Mapping[str, str]
Factory = Callable[[Environment], Judge]


class JudgeSetupError(MaxwellError):
    """A judge that cannot be had as things are installed and set here."""


class JudgeNotConfigured(JudgeSetupError):
    """A judge that needs settings and has none here: nobody asked for it, so leaving it out is no cause for a warning."""


def decode(picture: bytes, least: int | None = None) -> Image.Image:
    """The RGB picture in PNG or JPEG bytes. Raises JudgeError where they hold none, or one of more than 8192 x 8192 pixels.

    Where `least` pixels a side are enough, a larger JPEG is decoded at a half, a quarter or an eighth of its size, in less time.
    """
    try:
        with Image.open(io.BytesIO(picture), formats=("PNG", "JPEG")) as image:
            if image.width * image.height > MAX_PIXELS:
                raise JudgeError(f"a picture of {image.width} x {image.height} pixels is too large to be judged")
            if least is not None:
                image.draft("RGB", (least, least))
            return image.convert("RGB")
    except UNREADABLE as error:
        raise JudgeError(
            f"{len(picture)} bytes sent as a picture hold no readable PNG or JPEG ({type(error).__name__}): nothing was judged"
        ) from error


def select(measured: Sequence[float], reward: float = REWARD) -> tuple[float | None, ...]:
    """The better half chosen: +reward above the median, -reward below it, None at it.

    The middle one of an odd number, and pictures that tie across the cut, get no opinion: there is no reason to call one of
    them better. Where they are all that the others can be compared with (1, 1, 1, 2), they get the other sign: an opinion
    counts only beside another one. Pictures that are all equal, or a single one, give no opinion at all.
    Raises JudgeMalformed for a measurement that is not finite.
    """
    if not all(math.isfinite(one) for one in measured):
        raise JudgeMalformed(f"cannot choose among measurements that are not all finite: {list(measured)}")
    middle = statistics.median(measured)
    scores = [None if one == middle else math.copysign(reward, one - middle) for one in measured]
    opinions = {score for score in scores if score is not None}
    tied = -opinions.pop() if len(opinions) == 1 else None
    return tuple(tied if score is None else score for score in scores)


@dataclass(frozen=True)
class PictureJudge:
    """A scoring judge that is one function from picture to number, blind to prompt and scenario."""

    card: JudgeCard
    measure: Callable[[Image.Image], float]

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """The function's value for each picture. Raises JudgeError for bytes that are no picture."""
        return Verdict(scores=await asyncio.to_thread(self._measure_all, pictures))

    def _measure_all(self, pictures: Sequence[bytes]) -> tuple[float, ...]:
        return tuple(self.measure(decode(picture)) for picture in pictures)
