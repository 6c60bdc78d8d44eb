"""A job's caps bind the calls of one ask, its corrections included, and a whole job's over the real SDK and bus."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
import stamina

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from contracts.errors import JudgeMalformed
from contracts.jobs import Budget, JobState, JudgeTotal
from contracts.judging import Allowance
from reward_adapters.gate import OpenGate
from reward_adapters.vlm.conversation import Interview, Purse
from reward_adapters.vlm.showing import Gallery
from workers.judging import ATTEMPTS, Bench

from ...conformance.provider import Provider
from ...workers.court import LEASE
from ...workers.studio import studio
from ..pictures import ask
from .asking import built, environment, reds
from .priced import ASKED, Muttering, asked_of, card, priced

SAMPLER = {"candidates": 4, "steps": 7, "stop_sigma": 0.03}


async def test_a_correction_is_asked_for_only_where_the_cap_in_dollars_has_room(provider: Provider) -> None:
    """What the first answer cost is what the provider told; the correction is held against the estimate."""
    async with asked_of(provider) as asker:
        estimate = asker.estimate.usd
        assert estimate is not None
        for room, made in ((0.0, 1), (0.99, 1), (1.01, 2), (9.0, 2)):
            used = await asker.usage("once:empty", usd=max(estimate, ASKED + room * estimate))
            assert (used.calls, len(provider.received)) == (made, made)
            provider.reset()


@pytest.mark.parametrize(("allowed", "corrected"), [(3, 0), (4, 1), (5, 2), (6, 3), (9, 3)])
async def test_calls_side_by_side_leave_each_other_their_share(allowed: int, corrected: int) -> None:
    """Three calls of one ask, all malformed: no correction takes what a call that is still to come needs."""
    free = card()
    asked = ask(free, 2, allowance=Allowance(calls=allowed))
    pictures = reds(20, 220)
    interview, purse = Interview(free, Muttering(), OpenGate()), Purse(owed=3)
    showing = Gallery.of(asked, pictures, "separate").whole(7, 1)
    answers = await asyncio.gather(
        *(interview.choose(asked, showing, 1, purse) for _ in range(3)), return_exceptions=True
    )
    assert all(isinstance(answer, JudgeMalformed) for answer in answers)
    assert (purse.spent.calls, purse.owed) == (3 + corrected, 0)


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Retries without the pauses between them."""
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


async def drawn(
    redis: Client, folder: Path, provider: Provider, budgets: list[Budget], **settings: str
) -> list[JudgeTotal]:
    """What the judge of jobs with these budgets cost, one job after the other, and nobody else asked the provider."""
    totals = []
    known = environment(provider, **settings) | priced(settings["model"])
    async with (
        built("openai", known) as judge,
        studio(redis, folder) as at,
        Cards(redis).published("judges", judges=[judge.card]),
    ):
        bench = Bench({"openai": judge})
        serving = asyncio.create_task(Asks(redis, lease=LEASE).serve(["openai"], bench.answer, concurrency=4))
        try:
            for seed, budget in enumerate(budgets):
                job = await at.drawn(SAMPLER, judge="openai", seed=seed, budget=budget)
                assert job.state in (JobState.SUCCEEDED, JobState.FAILED)
                totals.append(job.usage.judge)
        finally:
            serving.cancel()
            await asyncio.wait([serving])
    assert sum(total.calls for total in totals) == len(provider.received)
    return totals


@pytest.mark.usefixtures("no_pauses")
async def test_a_whole_job_with_a_moody_model_never_costs_more_than_its_cap(
    redis: Client, tmp_path: Path, provider: Provider
) -> None:
    """Three requests in ten end in any of the provider's faults. What it answers it bills alike; the estimate is a little above that."""
    caps = [0.001, 0.004, 0.009, 0.013, 0.02, 0.03]
    settings = {"model": "flaky", "tokens_per_picture": "300", "answer_tokens": "50"}
    totals = await drawn(redis, tmp_path, provider, [Budget(usd=cap) for cap in caps], **settings)
    for cap, total in zip(caps, totals, strict=True):
        assert (total.usd or 0.0) <= cap
    assert totals[0].calls == 0 < totals[1].calls < totals[-1].calls
    assert sum(total.failures for total in totals) > 0


async def test_an_estimate_below_the_bill_is_learnt_from(redis: Client, tmp_path: Path, provider: Provider) -> None:
    """Where the first call costs twice what was expected, the next ones are expected to: no cap is exceeded that had room for one."""
    caps = [ASKED * times for times in (1.0, 2.5, 3.99, 4.01, 5.5)]
    settings = {"model": "truthful", "tokens_per_picture": "0", "answer_tokens": "0"}
    totals = await drawn(redis, tmp_path, provider, [Budget(usd=cap) for cap in caps], **settings)
    for cap, total in zip(caps, totals, strict=True):
        assert (total.usd or 0.0) == pytest.approx(total.calls * ASKED)
        assert (total.usd or 0.0) <= cap
    # Below a comparison ($0.0048) and one call, all goes into steering; from there on the comparison's two calls are kept.
    assert [total.calls for total in totals] == [1, 2, 3, 4, 5]
