"""A cap in dollars or calls is never exceeded: with retries, asks side by side, jobs taken up again, and calls that cost nothing."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
import stamina

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from contracts.errors import JudgeMalformed, JudgeRateLimited, JudgeRefused
from contracts.jobs import Budget, JobRecord, JobState
from contracts.judging import NO_CALL, CallCost, JudgeAsk, JudgeCard, JudgeKind, JudgeUsage, Tokens, Verdict
from reward_adapters.base import select
from workers.judging import ATTEMPTS, Bench

from .court import LEASE, Court, card, in_session, redness
from .studio import Studio, let_go, studio

CALL = CallCost(tokens=Tokens(input=100, output=10), tokens_per_picture=10, usd=0.03, usd_per_picture=0.01)
SAMPLER = {"steps": 7, "stop_sigma": 0.03, "candidates": 3}
ROUNDING = 1e-6


@dataclass
class Merchant:
    """A judge that keeps its own books. At each call one in three goes wrong: paid for or not, worth another try or not."""

    kind: JudgeKind
    chance: random.Random
    votes: int = 1
    calls: int = 0
    usd: float = 0.0
    waits: asyncio.Event | None = None  # at the next ask, if any
    reached: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def card(self) -> JudgeCard:
        return card(self.kind, price=CALL).model_copy(update={"votes": self.votes})

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        if self.waits is not None:
            waits, self.waits = self.waits, None
            self.reached.set()
            await waits.wait()
        spent = NO_CALL
        for _ in range(self.votes):
            fate = self.chance.choice(["free", "paid", "refused", *["well"] * 6])
            used = CALL.usage(len(pictures)) if fate != "free" else JudgeUsage(usd=0.0)
            spent = spent.plus(used)
            self.calls += 1
            self.usd += used.usd or 0.0
            if fate == "free":
                raise JudgeRateLimited("too fast", timedelta(milliseconds=1), usage=spent)
            if fate == "paid":
                raise JudgeMalformed("nonsense", timedelta(milliseconds=1), usage=spent)
            if fate == "refused":
                raise JudgeRefused("no", usage=spent)
        measured = tuple(redness(picture) for picture in pictures)
        return Verdict(scores=measured if self.kind == "scoring" else select(measured), usage=spent)


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Retries without the pauses between them."""
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


@asynccontextmanager
async def trading(redis: Client, merchant: Merchant) -> AsyncIterator[None]:
    """Behind a worker's bench, which tries again."""
    async with Cards(redis).published("judges", judges=[merchant.card]):
        bench = Bench({merchant.card.name: merchant})
        serving = asyncio.create_task(Asks(redis, lease=LEASE).serve([merchant.card.name], bench.answer, concurrency=4))
        try:
            yield
        finally:
            serving.cancel()
            await asyncio.wait([serving])


async def interrupted(at: Studio, merchant: Merchant, budget: Budget, seed: int) -> JobRecord:
    """A job whose first worker stops while the judge thinks about its third ask or so."""
    merchant.waits = asyncio.Event()
    waits = merchant.waits
    job_id = await at.submit(SAMPLER, budget=budget, seed=seed)
    first = asyncio.create_task(at.runner.run(job_id))
    waiting = asyncio.create_task(merchant.reached.wait())
    await asyncio.wait([first, waiting], return_when=asyncio.FIRST_COMPLETED)
    await let_go(waiting)
    await let_go(first)
    waits.set()
    await at.runner.run(job_id)
    return await at.jobs.get(job_id)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("seed", range(12))
async def test_a_cap_is_never_exceeded_and_the_bill_is_the_judges_own(redis: Client, tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    merchant = Merchant(chance.choice(["scoring", "selecting"]), chance, votes=chance.choice([1, 1, 2]))
    usd = round(chance.uniform(0, 1.2), 4) if chance.random() < 0.8 else None
    calls = chance.randrange(0, 16) if usd is None or chance.random() < 0.4 else None
    budget = Budget(usd=usd, judge_calls=calls)
    async with studio(redis, tmp_path) as at, trading(redis, merchant):
        if seed % 2:
            job = await interrupted(at, merchant, budget, seed)
        else:
            job = await at.drawn(SAMPLER, budget=budget, seed=seed)
    total = job.usage.judge
    assert job.state in (JobState.SUCCEEDED, JobState.FAILED)
    assert total.calls == merchant.calls
    assert (total.usd or 0.0) == pytest.approx(merchant.usd)
    assert usd is None or merchant.usd <= usd + ROUNDING
    assert calls is None or merchant.calls <= calls


@pytest.mark.parametrize(
    ("usd", "kinds"),
    [
        (0.0, []),
        (0.0599, []),
        (0.06, ["candidates"]),
        (0.10, ["candidates"]),
        (0.1599, ["candidates"] * 2),
        (0.16, ["candidates", *["preference"] * 2]),
        (0.2199, ["candidates", *["preference"] * 2]),
        (0.22, [*["candidates"] * 2, *["preference"] * 2]),
    ],
)
async def test_a_cap_in_dollars_ends_the_asking_before_the_call_that_would_exceed_it(
    redis: Client, tmp_path: Path, usd: float, kinds: list[str]
) -> None:
    """$0.06 for three candidates, $0.10 for the comparison in both orders, which is kept where there is room for both."""

    async def answered(ask: JudgeAsk) -> Verdict:
        scores = (5.0, *[-5.0] * (ask.pictures - 1))
        return Verdict(scores=scores, usage=CALL.usage(ask.pictures))

    court = Court("selecting", answered, price=CALL)
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(budget=Budget(usd=usd))
    assert (job.state, court.kinds) == (JobState.SUCCEEDED, kinds)
    assert job.usage.judge.usd == (
        pytest.approx(sum(0.06 if kind == "candidates" else 0.05 for kind in kinds)) if kinds else None
    )


async def test_a_judge_that_lost_its_price_is_not_asked_by_a_job_with_a_cap_in_dollars(
    redis: Client, tmp_path: Path
) -> None:
    court = Court()
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(budget=Budget(usd=1.0))
    assert (job.state, court.asked) == (JobState.FAILED, [])
    assert job.error is not None
    assert job.error.code == "judge_misconfigured"
    assert "the judge 'critic' has no price any more" in job.error.detail
