"""The judges `local` and `local-score`: the embedded image-text network looks at pictures, prompt and scenario.

The measure is the cosine of picture and prompt, plus a small share of the points that a published rubric gives the picture for the
scenario, as the network learnt them; docs/writing-a-judge.md says what that does and what it does not. It knows no job and no step: a
blurred preview is judged like a finished picture.
"""

import asyncio
import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING

from contracts.errors import JudgeError
from contracts.judging import JudgeAsk, JudgeCard, Verdict

from .base import Environment, JudgeSetupError, decode, select
from .settings import device_of_all

if TYPE_CHECKING:
    from embedded.scorer import Scorer

SCENARIO_SHARE = 0.02  # a point of the rubric; candidates of one prompt differ by about 0.04 in their cosine
PICTURE_SIZE = 192  # px: twice what the network looks at
OBJECTIVE = f"cosine with the prompt + {SCENARIO_SHARE} x points for the scenario"


def judge(environment: Environment) -> "LocalJudge":
    """The judge `local`: selects the better half; its verdicts carry the measurements underneath."""
    card = JudgeCard(
        name="local",
        kind="selecting",
        description="Chooses the half of the pictures that shows the prompt and suits the scenario best; a small network that comes along.",
        objective=OBJECTIVE,
        picture_size=PICTURE_SIZE,
    )
    return LocalJudge(card, _load(environment))


def scoring_judge(environment: Environment) -> "LocalJudge":
    """The judge `local-score`: the measurements of `local` as they are."""
    card = JudgeCard(
        name="local-score",
        kind="scoring",
        description="How well a picture shows the prompt and suits the scenario, by the network of local.",
        objective=OBJECTIVE,
        picture_size=PICTURE_SIZE,
    )
    return LocalJudge(card, _load(environment))


class LocalJudge:
    """One network behind either card."""

    def __init__(self, card: JudgeCard, scorer: "Scorer") -> None:
        self.card = card
        self._scorer = scorer

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """±5 (selecting) or the measurements (scoring). Raises JudgeError for pictures that cannot be read."""
        measured = await asyncio.to_thread(self._measure, ask, pictures)
        if self.card.kind == "selecting":
            return Verdict(scores=select(measured), measured=measured)
        return Verdict(scores=measured)

    def _measure(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> tuple[float, ...]:
        """Cosine with the prompt + SCENARIO_SHARE x points for the scenario, one a picture; all pictures are one batch."""
        import numpy as np  # noqa: PLC0415 - heavy, and only loaded judges need them
        import torch  # noqa: PLC0415

        different = list(dict.fromkeys(pictures))  # equal pictures are measured once: no rounding tells them apart
        pixels = [np.asarray(decode(picture), dtype=np.float32) / 255 for picture in different]
        if len({one.shape for one in pixels}) > 1:
            raise JudgeError("the pictures of one ask differ in size: all candidates of a job have one size")
        batch = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2)
        if not ask.scenario:
            measured = self._scorer.score(batch, [ask.prompt])[:, 0]
        else:
            shown, suits = self._scorer.judge(batch, ask.prompt, ask.scenario)
            measured = shown + SCENARIO_SHARE * suits
        of = dict(zip(different, measured.tolist(), strict=True))
        return tuple(of[picture] for picture in pictures)


def _load(environment: Environment) -> "Scorer":
    try:
        return _scorer(device_of_all(environment))
    except (FileNotFoundError, RuntimeError, AssertionError) as error:  # torch without CUDA asserts that it had some
        raise JudgeSetupError(f"the local judges' network cannot be loaded: {error}") from error


@functools.cache
def _scorer(device: str) -> "Scorer":
    """One network a device for both judges: frozen weights, so sharing them shows nowhere but in memory and start-up time."""
    from embedded.scorer import Scorer  # noqa: PLC0415 - torch and transformers take seconds

    return Scorer(device=device)
