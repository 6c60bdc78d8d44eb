"""A whole job: real engine, real bus, the worker's bench, the real SDK over HTTP, and a model that tells the truth about redness."""

import asyncio
from pathlib import Path

import pytest

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from contracts.jobs import JobRecord, JobState
from workers.judging import Bench

from ...conformance.provider import Provider
from ...workers.court import LEASE, redness
from ...workers.studio import Studio, studio
from .asking import built, environment

SEEDS = range(1, 5)
SAMPLER = {"candidates": 6, "steps": 10}


async def drawn(
    redis: Client, folder: Path, provider: Provider, name: str = "openai", **settings: str
) -> list[tuple[JobRecord, float]]:
    """Jobs of four seeds drawn with a judge of these settings, and how much redder each became than its plain picture."""
    async with built(name, environment(provider, name, **settings)) as judge, studio(redis, folder) as at:
        async with Cards(redis).published("judges", judges=[judge.card]):
            bench = Bench({name: judge})
            serving = asyncio.create_task(Asks(redis, lease=LEASE).serve([name], bench.answer, concurrency=4))
            try:
                jobs = [await at.drawn(SAMPLER, judge=name, seed=seed) for seed in SEEDS]
            finally:
                serving.cancel()
                await asyncio.wait([serving])
        return [(job, await _gain(at, job)) for job in jobs]


async def _gain(at: Studio, job: JobRecord) -> float:
    """0 for a job without a picture."""
    if job.state != JobState.SUCCEEDED:
        return 0.0
    return redness(await at.picture(job)) - redness(await at.picture(job, "baseline.png"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("openai", {"mode": "separate"}),
        ("openai", {"mode": "grid"}),
        ("openai", {"mode": "pairwise", "rounds": "2"}),
        ("gemini", {"mode": "separate"}),
    ],
)
async def test_a_truthful_model_makes_pictures_redder(
    redis: Client, tmp_path: Path, provider: Provider, name: str, told: dict[str, str]
) -> None:
    answers = await drawn(redis, tmp_path, provider, name, **told)
    for job, gain in answers:
        assert job.state == JobState.SUCCEEDED
        assert gain > 0
        assert job.result is not None
        assert job.result.preference == "result"
        assert job.usage.judge.failures == 0
        assert job.usage.judge.tokens.input == 1000 * job.usage.judge.calls
    assert len(provider.received) == sum(job.usage.judge.calls for job, _ in answers)


async def test_a_model_that_takes_the_first_steers_to_nowhere(
    redis: Client, tmp_path: Path, provider: Provider
) -> None:
    steered = [gain for _, gain in await drawn(redis, tmp_path, provider, model="first")]
    truthful = [gain for _, gain in await drawn(redis, tmp_path / "truthful", provider)]
    assert sum(steered) < sum(truthful) / 2


async def test_of_a_model_that_always_refuses_no_verdict_is_made_up_and_every_call_is_counted(
    redis: Client, tmp_path: Path, provider: Provider
) -> None:
    for job, _ in await drawn(redis, tmp_path, provider, model="refusal"):
        assert job.error is not None
        assert (job.state, job.error.code) == (JobState.FAILED, "judge_refused")
        assert job.usage.judge.failures == job.usage.judge.calls > 0
        assert job.usage.judge.tokens.input == 1000 * job.usage.judge.calls
