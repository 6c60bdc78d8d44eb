"""A vision-language model as a judge: one list-wise choice an ask. It knows how to ask, and no provider, no limits and no prices."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from contracts.errors import JudgeError, JudgeMisconfigured
from contracts.judging import NO_CALL, JudgeAsk, JudgeCard, Verdict

from ..base import REWARD
from .answer import Choice
from .conversation import Chat, Gate, Interview, OpenGate, Purse
from .showing import Mode, Showing, show


@dataclass(frozen=True)
class VlmJudge:
    """Asks a model to choose exactly m of K pictures. `selected` is m, by default half of them."""

    card: JudgeCard
    chat: Chat
    mode: Mode = "separate"
    selected: int | None = None
    max_images: int = 64
    gate: Gate = field(default_factory=OpenGate)

    def behind(self, gate: Gate) -> "VlmJudge":
        """The same judge, its calls let through by this gate."""
        return replace(self, gate=gate)

    async def close(self) -> None:
        """End its connections."""
        await self.chat.close()

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """+5 for the chosen, -5 for the others; equal pictures are shown once, and a single one gets no opinion.

        Raises JudgeError, typed; its `usage` says what was spent.
        """
        purse = Purse()
        try:
            return await self._verdict(ask, pictures, purse)
        except JudgeError as error:
            error.usage = purse.spent
            raise

    async def _verdict(self, ask: JudgeAsk, pictures: Sequence[bytes], purse: Purse) -> Verdict:
        different = list(dict.fromkeys(pictures))
        count = min(self.selected or len(different) // 2, len(different) - 1)
        self._check(len(different))
        # Also where nothing is asked: bytes that are no picture are an error and no verdict.
        showing = await asyncio.to_thread(show, ask, different, max(count, 1), self.mode)
        if count < 1:
            return Verdict(scores=(None,) * len(pictures), usage=NO_CALL)
        choice = await Interview(self.card, self.chat, self.gate).choose(ask, showing, count, purse)
        chosen = {different[showing.labels.index(label)] for label in choice.labels}
        scores = tuple(REWARD if picture in chosen else -REWARD for picture in pictures)
        return Verdict(scores=scores, rationale=_told(choice, showing, different, pictures), usage=purse.spent)

    def _check(self, count: int) -> None:
        if self.mode == "separate" and count > self.max_images:
            raise JudgeMisconfigured(
                f"the judge {self.card.name!r} is misconfigured for this job: it may show {self.max_images} pictures at once and was "
                f"asked about {count}. Ask for fewer candidates, or set its mode to grid",
            )


def _told(choice: Choice, showing: Showing, different: Sequence[bytes], pictures: Sequence[bytes]) -> str | None:
    """The rationale, with what its labels stand for: candidates are numbered from 1."""
    if choice.rationale is None:
        return None
    numbers = (f"{label} is {pictures.index(one) + 1}" for label, one in zip(showing.labels, different, strict=True))
    return f"{choice.rationale} ({', '.join(numbers)})"
