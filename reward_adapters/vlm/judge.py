"""A vision-language model as a judge: one list-wise choice an ask, checked, with one attempt to repair a malformed answer.

It knows how to ask and what an answer is; what speaks with the model is a `Chat`, one for each protocol.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import NO_CALL, ONE_CALL, JudgeAsk, JudgeCard, JudgeUsage, Verdict

from ..base import REWARD
from .answer import Choice, read
from .prompt import SYSTEM, correction, schema
from .showing import Mode, Part, Showing, show


@dataclass(frozen=True)
class Conversation:
    """What a model is told. `corrected` holds its malformed answer and what is said to it."""

    system: str
    parts: tuple[Part, ...]
    schema: dict[str, Any]
    corrected: tuple[str, str] | None = None


@dataclass(frozen=True)
class Reply:
    """What a model said. `thinking` is what it said apart from its answer; `cut`: it ran into its limit of tokens."""

    text: str | None
    thinking: str | None = None
    cut: bool = False
    usage: JudgeUsage = ONE_CALL


class Chat(Protocol):
    """One model behind one protocol."""

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        """The model's reply to one call, within so many seconds. Raises JudgeError, typed, for everything that is no reply."""


@dataclass(frozen=True)
class VlmJudge:
    """Asks a model to choose exactly m of K pictures. `selected` is m, by default half of them."""

    card: JudgeCard
    chat: Chat
    mode: Mode = "separate"
    selected: int | None = None
    max_images: int = 64

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """+5 for the chosen, -5 for the others; equal pictures are shown once, and a single one gets no opinion.

        Raises JudgeError, typed; its `usage` says what was spent.
        """
        different = list(dict.fromkeys(pictures))
        count = min(self.selected or len(different) // 2, len(different) - 1)
        self._check(len(different))
        # Also where nothing is asked: bytes that are no picture are an error and no verdict.
        showing = await asyncio.to_thread(show, ask, different, max(count, 1), self.mode)
        if count < 1:
            return Verdict(scores=(None,) * len(pictures), usage=NO_CALL)
        choice, usage = await self._choice(ask, showing, count)
        chosen = {different[showing.labels.index(label)] for label in choice.labels}
        scores = tuple(REWARD if picture in chosen else -REWARD for picture in pictures)
        return Verdict(scores=scores, rationale=_told(choice, showing, different, pictures), usage=usage)

    def _check(self, count: int) -> None:
        if self.mode == "separate" and count > self.max_images:
            raise JudgeError(
                f"the judge {self.card.name!r} is misconfigured for this job: it may show {self.max_images} pictures at once and was "
                f"asked about {count}. Ask for fewer candidates, or set its mode to grid"
            )

    async def _choice(self, ask: JudgeAsk, showing: Showing, count: int) -> tuple[Choice, JudgeUsage]:
        """What the model chose, at the second attempt if need be, and what both cost.

        A job with a cap on its calls gets no second one here: its cap is spent on attempts of the worker, who counts them.
        """
        conversation = Conversation(SYSTEM, showing.parts, schema(showing.labels))
        first = await self._say(conversation, ask, NO_CALL)
        try:
            return read(first.text, first.thinking, showing.labels, count), first.usage
        except JudgeMalformed as error:
            if first.cut or ask.attempts is not None:
                raise self._malformed(error, first) from error
            said = first.text or first.thinking or "(nothing)"
            again = replace(
                conversation, corrected=(said[:2000], correction(str(error), sorted(showing.labels), count))
            )
        second = await self._say(again, ask, first.usage)
        try:
            return read(second.text, second.thinking, showing.labels, count), second.usage
        except JudgeMalformed as error:
            raise self._malformed(error, second) from error

    async def _say(self, conversation: Conversation, ask: JudgeAsk, before: JudgeUsage) -> Reply:
        """One call; the usage of the reply, or of the error, includes what was spent `before`."""
        try:
            seconds = (ask.deadline - datetime.now(UTC)).total_seconds()
            if seconds <= 0:
                raise JudgeUnavailable(f"the judge {self.card.name!r} has no time left to ask its model", usage=NO_CALL)
            reply = await self.chat.say(conversation, seconds)
        except JudgeError as error:
            error.usage = before.plus(error.usage)
            raise
        return replace(reply, usage=before.plus(reply.usage))

    def _malformed(self, error: JudgeMalformed, reply: Reply) -> JudgeMalformed:
        detail = f"the model of the judge {self.card.name!r} gave no usable answer: {error}"
        if reply.cut:
            detail += ". It was cut off at its limit of tokens: raise the judge's max_tokens, or switch the model's thinking off"
        return JudgeMalformed(detail, usage=reply.usage)


def _told(choice: Choice, showing: Showing, different: Sequence[bytes], pictures: Sequence[bytes]) -> str | None:
    """The rationale, with what its labels stand for: candidates are numbered from 1."""
    if choice.rationale is None:
        return None
    numbers = (f"{label} is {pictures.index(one) + 1}" for label, one in zip(showing.labels, different, strict=True))
    return f"{choice.rationale} ({', '.join(numbers)})"
