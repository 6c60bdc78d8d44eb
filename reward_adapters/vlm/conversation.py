"""One question to a model and its checked answer, with one attempt to repair a malformed one; every call paid for and let through.

It knows what an answer is; it knows no provider (a `Chat` does), no limits (a `Gate` does) and not what the answers are for.
"""

from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import NO_CALL, ONE_CALL, JudgeAsk, JudgeCard, JudgeUsage

from .answer import Choice, read
from .prompt import SYSTEM, correction, schema
from .showing import Part, Showing

REPEATED = 2000  # characters of a malformed answer that the model is reminded of


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

    async def close(self) -> None:
        """End its connections."""


class Gate(Protocol):
    """What stands between a judge and its provider: limits that all judge workers share."""

    def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AbstractAsyncContextManager["Permit"]:
        """Entered when the call may be made. Raises JudgeRateLimited or JudgeUnavailable where it may not be in the ask's time.

        The body is the one call; an error that leaves it is noticed.
        """


class Permit(Protocol):
    """One call under way."""

    def used(self, usage: JudgeUsage) -> None:
        """What the call really took."""


class _Free:
    def used(self, usage: JudgeUsage) -> None:
        """Nobody counts."""


class OpenGate:
    """No limits."""

    def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AbstractAsyncContextManager[Permit]:
        return nullcontext(_Free())


@dataclass
class Purse:
    """What one attempt at one ask has spent, also when it fails halfway."""

    spent: JudgeUsage = field(default=NO_CALL)

    def pay(self, usage: JudgeUsage) -> None:
        self.spent = self.spent.plus(usage)


@dataclass(frozen=True)
class Interview:
    """Asks one model, for one judge."""

    card: JudgeCard
    chat: Chat
    gate: Gate

    async def choose(self, ask: JudgeAsk, showing: Showing, count: int, purse: Purse) -> Choice:
        """Which `count` of the pictures shown the model chooses, at the second attempt if need be.

        Raises JudgeError, typed; what was spent until then is in the purse.
        """
        conversation = Conversation(SYSTEM, showing.parts, schema(showing.labels))
        first = await self._say(conversation, ask, purse)
        try:
            return read(first.text, first.thinking, showing.labels, count)
        except JudgeMalformed as error:
            if first.cut or not ask.allowance.after(purse.spent).covers(self._one_call(showing)):
                raise self._malformed(error, first.cut) from error
            said = first.text or first.thinking or "(nothing)"
            words = correction(str(error), sorted(showing.labels), count)
        second = await self._say(replace(conversation, corrected=(said[:REPEATED], words)), ask, purse)
        try:
            return read(second.text, second.thinking, showing.labels, count)
        except JudgeMalformed as error:
            raise self._malformed(error, second.cut) from error

    async def _say(self, conversation: Conversation, ask: JudgeAsk, purse: Purse) -> Reply:
        """One call through the gate, paid for."""
        expected = self._expected(sum(isinstance(part, bytes) for part in conversation.parts))
        async with self.gate.call(ask, expected) as permit:
            seconds = (ask.deadline - datetime.now(UTC)).total_seconds()
            if seconds <= 0:
                raise JudgeUnavailable(f"the judge {self.card.name!r} has no time left to ask its model", usage=NO_CALL)
            try:
                reply = await self.chat.say(conversation, seconds)
            except JudgeError as error:
                purse.pay(error.usage)
                permit.used(error.usage)
                raise
            purse.pay(reply.usage)
            permit.used(reply.usage)
            return reply

    def _one_call(self, showing: Showing) -> JudgeUsage:
        return self._expected(sum(isinstance(part, bytes) for part in showing.parts))

    def _expected(self, pictures: int) -> JudgeUsage:
        """What one call that shows so many pictures is likely to take."""
        return self.card.call.usage(pictures)

    def _malformed(self, error: JudgeMalformed, cut: bool) -> JudgeMalformed:
        detail = f"the model of the judge {self.card.name!r} gave no usable answer: {error}"
        if cut:
            detail += ". It was cut off at its limit of tokens: raise the judge's max_tokens, or switch the model's thinking off"
        wrong = JudgeMalformed(detail)
        wrong.retryable = False  # it had its second chance
        return wrong
