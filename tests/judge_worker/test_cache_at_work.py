"""The cache at work: several worker processes' parts on one Redis, and a whole job that is drawn twice."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobState
from contracts.judging import JudgeCard, Verdict
from reward_adapters.colorfulness import colorfulness
from workers.judge_worker import JudgeWorkerSettings, serve

from ..adapters.pictures import ask, blots, encoded
from ..adapters.vlm.asking import environment
from ..bus.builders import claimed
from ..conformance.provider import Provider, running
from ..conftest import wait_until
from ..workers.studio import studio

CARD = JudgeCard(name="colorfulness", kind="scoring", description="As asked.", objective="colour")
PICTURES = [encoded(blots(k)) for k in range(5)]


async def test_workers_that_cache_share_it_and_others_do_not(redis: Client, redis_url: str) -> None:
    costs = []
    for seconds in (0, 60, 60, 0):
        claim = await claimed(Jobs(redis))
        settings = JudgeWorkerSettings(redis_url=redis_url, judges="colorfulness", judge_cache_seconds=seconds)
        serving = asyncio.create_task(serve(settings, {}))
        async with Asks(redis) as asks:
            job = {"job": claim.record.spec.id, "step": 1}
            answer = await asks.ask(ask(CARD, 5, name=job), PICTURES)
        serving.cancel()
        await asyncio.wait([serving])
        await Jobs(redis).finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
        assert isinstance(answer, Verdict)
        assert list(answer.scores) == [colorfulness(blots(k)) for k in range(5)]
        costs.append((answer.usage.calls, answer.usage.cached))
    assert costs == [(1, 0), (1, 0), (0, 1), (1, 0)]


@pytest.fixture
def provider() -> Iterator[Provider]:
    """One of this test's own."""
    with running() as provider:
        yield provider


async def test_a_job_drawn_again_asks_nobody_and_its_audit_says_so(
    redis: Client, redis_url: str, tmp_path: Path, provider: Provider
) -> None:
    settings = JudgeWorkerSettings(redis_url=redis_url, judges="openai", judge_cache_seconds=60)
    serving = asyncio.create_task(serve(settings, environment(provider)))
    await wait_until(lambda: _offered(redis), "the judge is there")
    async with studio(redis, tmp_path) as at:
        first = await at.drawn({"candidates": 4}, judge="openai")
        made = len(provider.received)
        again = await at.drawn({"candidates": 4}, judge="openai")
        assert first.usage.judge.calls == made > 0
        assert first.usage.judge.cached == 0
        assert len(provider.received) == made
        assert (again.usage.judge.calls, again.usage.judge.cached) == (0, made)
        assert again.usage.judge.tokens.input == 0
        assert await at.picture(again) == await at.picture(first)
        assert again.result == first.result
        asked = [row for row in await at.audit(again) if any(score is not None for score in row.scores)]
        assert asked
        assert all(row.cached for row in asked)
        assert not any(row.cached for row in await at.audit(first))
    serving.cancel()
    await asyncio.wait([serving])


async def _offered(redis: Client) -> bool:
    return "openai" in await Cards(redis).judges()
