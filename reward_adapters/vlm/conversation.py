"""One question to a model and its checked answer, with one attempt to repair a malformed one; every call paid for and let through.

It knows what an answer is; it knows no provider (a `Chat` does), no limits (a `Gate` does) and not what the answers are for.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Protocol

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import NO_CALL, ONE_CALL, JudgeAsk, JudgeCard, JudgeUsage

from ..gate import Gate
from .answer import Choice, read
from .pricing import Rates
from .prompt import SYSTEM, cleaned, correction, schema
from .showing import Part, Showing

REPEATED = 2000  # characters of a malformed answer that the model is reminded of, and of what was wrong with it


@dataclass(frozen=True)
class Conversation:
    """What a model is told. `count` labels are asked for; `corrected` holds its malformed answer and what is said to it."""

    system: str
    parts: tuple[Part, ...]
    schema: dict[str, Any]
    count: int
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


@dataclass
class Purse:
    """What one attempt at one ask has spent, also when it fails halfway. `owed` calls are decided upon and not paid yet."""

    owed: int = 1
    spent: JudgeUsage = field(default=NO_CALL)

    def pay(self, usage: JudgeUsage) -> None:
        """For one call that is over, whatever came of it."""
        self.spent = self.spent.plus(usage)
        self.owed = max(0, self.owed - 1)


@dataclass(frozen=True)
class Interview:
    """Asks one model, for one judge."""

    card: JudgeCard
    chat: Chat
    gate: Gate
    rates: Rates = field(default_factory=Rates)

    async def choose(self, ask: JudgeAsk, showing: Showing, count: int, purse: Purse) -> Choice:
        """Which `count` of the pictures shown the model chooses, at the second attempt if need be.

        Raises JudgeError, typed; what was spent until then is in the purse.
        """
        conversation = Conversation(SYSTEM, showing.parts, schema(showing.options), count)
        first = await self._say(conversation, ask, purse)
        try:
            return read(first.text, first.thinking, showing.options, count)
        except JudgeMalformed as error:
            if first.cut or not self._may_repair(ask, showing, purse):
                raise self._malformed(error, first.cut) from error
            purse.owed += 1
            # Cleaned: a token of a chat template that the model spelled out would become one when it is told again.
            said = cleaned(first.text or first.thinking or "", REPEATED) or "(nothing)"
            words = correction(cleaned(str(error), REPEATED), showing.task)
        second = await self._say(replace(conversation, corrected=(said, words)), ask, purse)
        try:
            return read(second.text, second.thinking, showing.options, count)
        except JudgeMalformed as error:
            raise self._malformed(error, second.cut) from error

    async def _say(self, conversation: Conversation, ask: JudgeAsk, purse: Purse) -> Reply:
        """One call through the gate, paid for: one that is cut off as if it had been answered, for it may be billed all the same."""
        expected = self._expected(conversation.parts)
        async with self.gate.call(ask, expected) as permit:
            seconds = (ask.deadline - datetime.now(UTC)).total_seconds()
            if seconds <= 0:
                raise JudgeUnavailable(f"the judge {self.card.name!r} has no time left to ask its model", usage=NO_CALL)
            used = expected
            try:
                async with asyncio.timeout(seconds) as limit:
                    reply = await self.chat.say(conversation, seconds)
                used = self.rates.of_reply(reply.usage, expected)
            except JudgeError as error:
                # Whoever was told to stop may say so by an error of its own, which knows of no tokens.
                used = expected if limit.expired() and error.usage == ONE_CALL else self.rates.priced(error.usage)
                raise
            except TimeoutError as error:
                if not limit.expired():
                    raise
                raise JudgeUnavailable(f"the model of the judge {self.card.name!r} gave no answer in time") from error
            finally:
                purse.pay(used)
                permit.used(used)
            return reply

    def _may_repair(self, ask: JudgeAsk, showing: Showing, purse: Purse) -> bool:
        """Whether the job's caps leave room for one more call beside those that are still to come."""
        pictures = sum(isinstance(part, bytes) for part in showing.parts)
        calls = purse.owed + 1
        return ask.allowance.after(purse.spent).covers(self.card.call.usage(calls * pictures, calls))

    def _expected(self, parts: Sequence[Part]) -> JudgeUsage:
        """What one call with these parts is likely to take."""
        return self.card.call.usage(sum(isinstance(part, bytes) for part in parts))

    def _malformed(self, error: JudgeMalformed, cut: bool) -> JudgeMalformed:
        detail = f"the model of the judge {self.card.name!r} gave no usable answer: {error}"
        if cut:
            detail += ". It was cut off at its limit of tokens: raise the judge's max_tokens, or switch the model's thinking off"
        wrong = JudgeMalformed(detail)
        wrong.retryable = False  # it had its second chance
        return wrong
