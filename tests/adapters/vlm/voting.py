"""A model in the test's own process that says, call by call, what the test tells it to. It knows no protocol and no test."""

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from contracts.judging import JudgeCard
from reward_adapters.vlm.conversation import Conversation, Reply
from reward_adapters.vlm.judge import VlmJudge
from reward_adapters.vlm.pricing import Price, Rates

from ..pictures import blots, encoded

Saying = Callable[[int, dict[bytes, str]], Awaitable[str]]


@dataclass
class Scripted:
    """A `Chat`. `saying` gets the call's number, from 0, and each picture's label in the order shown; it returns text or raises."""

    saying: Saying
    calls: int = 0
    cancelled: int = 0
    corrections: int = 0

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        number, self.calls = self.calls, self.calls + 1
        self.corrections += conversation.corrected is not None
        shown: dict[bytes, str] = {}
        for text, picture in zip(conversation.parts[1:-1:2], conversation.parts[2:-1:2], strict=True):
            label = re.fullmatch("Image (.+):", str(text))
            assert label is not None
            assert isinstance(picture, bytes)
            shown[picture] = label[1]
        try:
            return Reply(await self.saying(number, shown))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def close(self) -> None:
        """Nothing to end."""


def choosing(labels: Sequence[str], why: str = "why") -> str:
    """An answer with these labels."""
    return json.dumps({"rationale": why, "selected": list(labels)})


def scripted(
    saying: Saying, votes: int = 1, rounds: int | None = None, selected: int | None = None
) -> tuple[VlmJudge, Scripted]:
    """A judge that asks such a model, at half a dollar a call."""
    rates = Rates("scripted", Price(input=500, output=0))
    card = JudgeCard(
        name="scripted",
        kind="selecting",
        description="A test's.",
        objective="none",
        votes=votes,
        rounds=rounds,
        call=rates.call(text=1000, answer=0),
    )
    chat = Scripted(saying)
    return VlmJudge(card, chat, "separate" if rounds is None else "pairwise", selected, rates=rates), chat


def some(count: int) -> list[bytes]:
    """Different small pictures."""
    return [encoded(blots(k, 16), "jpeg") for k in range(count)]
