"""A whole job: real engine, real bus, the worker's bench, and the example's server, which likes red."""

import asyncio
from pathlib import Path

import pytest

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from contracts.jobs import JobState
from reward_adapters.http_scorer.judge import judge
from reward_adapters.http_scorer.settings import PREFIX
from workers.gates import closing
from workers.judging import Bench

from ...workers.court import LEASE, redness
from ...workers.studio import studio
from .asking import of_example


@pytest.mark.parametrize("kind", ["scoring", "selecting"])
async def test_a_scorer_that_likes_red_makes_pictures_redder(redis: Client, tmp_path: Path, kind: str) -> None:
    with of_example("http") as settings:
        made = judge(settings | {f"{PREFIX}KIND": kind})
        async with closing([made]), studio(redis, tmp_path) as at:
            async with Cards(redis).published("judges", judges=[made.card]):
                answer = Bench({"http": made}).answer
                serving = asyncio.create_task(Asks(redis, lease=LEASE).serve(["http"], answer, concurrency=4))
                try:
                    job = await at.drawn({"candidates": 6, "steps": 10}, judge="http", seed=1)
                finally:
                    serving.cancel()
                    await asyncio.wait([serving])
            gain = redness(await at.picture(job)) - redness(await at.picture(job, "baseline.png"))
    assert job.state == JobState.SUCCEEDED
    assert gain > 0
    assert job.usage.judge.failures == 0
    assert job.usage.judge.calls > 0
