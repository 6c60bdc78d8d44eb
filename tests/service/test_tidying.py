"""The gateway alone ends overdue jobs and removes what is kept of old ones: no worker needs to run."""

from pathlib import Path

import httpx
import pytest

from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobState
from service.settings import GatewaySettings
from tests.conftest import wait_until

from .by_hand import finish, submit

pytestmark = pytest.mark.usefixtures("workers")


async def test_a_job_that_nobody_draws_expires_and_its_stream_ends(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client, budget={"seconds": 1})
    async with client.stream("GET", f"/v1/generations/{job_id}/events") as answer:
        seen = [line async for line in answer.aiter_lines()]
    assert "event: done" in seen
    assert (await jobs.get(job_id)).state is JobState.EXPIRED
    assert await jobs.waiting() == 0


async def test_pictures_go_with_their_job(
    client: httpx.AsyncClient, jobs: Jobs, redis: Client, settings: GatewaySettings
) -> None:
    """And their folder too; another job's stay."""
    kept, old = await submit(client), await submit(client)
    folder = Path(settings.state_dir) / "artifacts" / "jobs"
    for job_id in (kept, old):
        await finish(jobs, job_id)
        for name in ("image.png", "steps/1/grid.jpg"):
            (folder / job_id / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / job_id / name).write_bytes(b"picture")
    await redis.zadd("jobs:ended", {f"{old} anonymous": 1}, xx=True)
    await wait_until(lambda: not (folder / old).exists(), "the old job's folder is gone")

    async def forgotten() -> bool:
        return await redis.zscore("jobs:all", old) is None

    await wait_until(forgotten, "the old job is forgotten")
    assert (folder / kept / "steps" / "1" / "grid.jpg").read_bytes() == b"picture"
    assert await redis.zscore("jobs:all", kept) == 0
