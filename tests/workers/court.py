"""A judge behind a real bus for the tests of jobs: it looks at the pictures, and does at each ask what the test says."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from contracts.judging import CallCost, JudgeAsk, JudgeCard, JudgeFailure, JudgeKind, JudgeUsage, Tokens, Verdict
from reward_adapters.base import select
from workers.pictures import opened

LEASE = timedelta(seconds=1)
Answer = Verdict | JudgeFailure
Before = Callable[[JudgeAsk], Awaitable[Answer | None]]


def card(kind: JudgeKind = "scoring", name: str = "critic", price: CallCost | None = None) -> JudgeCard:
    """A judge that sees pictures exactly as they are."""
    call = price or CallCost()
    return JudgeCard(name=name, kind=kind, description="A test's.", objective="red", encoding="png", call=call)


async def nothing(ask: JudgeAsk) -> Answer | None:
    """No interference."""
    return None


@dataclass
class Court:
    """A judge that likes red. `before(ask)` comes first: what it returns or raises is the answer, None lets the judge speak."""

    kind: JudgeKind = "scoring"
    before: Before = nothing
    price: CallCost | None = None  # on its card; what it really takes is always half a dollar
    asked: list[JudgeAsk] = field(default_factory=list)

    @property
    def card(self) -> JudgeCard:
        return card(self.kind, price=self.price)

    @property
    def kinds(self) -> list[str]:
        """The kind of each ask."""
        return [ask.kind for ask in self.asked]

    async def answer(self, ask: JudgeAsk, pictures: list[bytes]) -> Answer:
        self.asked.append(ask)
        said = await self.before(ask)
        if said is not None:
            return said
        measured = tuple(redness(picture) for picture in pictures)
        usage = JudgeUsage(tokens=Tokens(input=10, output=1), usd=0.5, seconds=0.25)
        if self.kind == "scoring":
            return Verdict(scores=measured, rationale="red", usage=usage)
        return Verdict(scores=select(measured), measured=measured, rationale="red", usage=usage)


def redness(picture: bytes) -> float:
    """How much redder than blue."""
    pixels = opened(picture)[0]
    return float((pixels[0] - pixels[2]).mean())


@asynccontextmanager
async def in_session(redis: Client, court: Court) -> AsyncIterator[None]:
    """The judge's worker while the block runs: its card is published, its asks are answered."""
    async with Cards(redis).published("judges", judges=[court.card]):
        serving = asyncio.create_task(Asks(redis, lease=LEASE).serve([court.card.name], court.answer, concurrency=4))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.wait([serving])
