"""The queue hands every job to a worker until it is done: across hand-backs, swallowed cancels, fences and exceptions."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

from structlog.testing import capture_logs

from bus.connection import Client, connect
from bus.jobs import Jobs
from bus.queue import Handler, JobQueue, Queue
from bus.server import EmbeddedServer
from contracts.jobs import JobState

from ..conftest import wait_until
from .builders import STEPS, commit, submitted

LEASE = timedelta(seconds=1)


@asynccontextmanager
async def worker(redis: Client, handler: Handler, *, room: int = 8) -> AsyncIterator[asyncio.Task[None]]:
    """A worker of this process; on leaving, it is asked to stop and must."""
    async with JobQueue(redis, lease=LEASE) as queue:
        task = asyncio.create_task(queue.run(handler, room=room))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


class Draw:
    """A handler that draws: claims, commits its steps, finishes. `pace` is awaited before each step."""

    def __init__(self, jobs: Jobs, name: str = "w") -> None:
        self.jobs, self.name = jobs, name
        self.started: list[str] = []
        self.most_at_once = self._at_once = 0
        self.go_on = asyncio.Event()
        self.go_on.set()

    async def __call__(self, job_id: str) -> None:
        claim = await self.jobs.claim(job_id, self.name)
        if claim is None:
            return
        self.started.append(job_id)
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            for step in range(int(claim.checkpoint or b"0") + 1, STEPS + 1):
                await self.go_on.wait()
                await commit(self.jobs, job_id, claim.epoch, step)
            await self.jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED)
        except asyncio.CancelledError:
            await self.jobs.hand_back(job_id, claim.epoch)
            raise
        finally:
            self._at_once -= 1


async def wait_for_end(jobs: Jobs, ids: list[str], state: JobState = JobState.SUCCEEDED, seconds: float = 20.0) -> None:
    async def ended() -> bool:
        return all([(await jobs.get(job_id)).state is state for job_id in ids])

    await wait_until(ended, f"all jobs {state.value}", seconds)


async def test_jobs_run_once_in_the_order_of_admission_within_the_room(redis: Client) -> None:
    jobs = Jobs(redis)
    ids = [await submitted(jobs, owner=owner) for owner in "aaaaab"]
    draw = Draw(jobs)
    async with worker(redis, draw, room=2):
        await wait_for_end(jobs, ids)
    assert sorted(draw.started) == sorted(ids)
    assert ids[-1] in draw.started[:3], "the other owner's job does not wait for five"
    assert draw.most_at_once <= 2
    assert all([len(await jobs.audit(job_id)) == STEPS for job_id in ids])
    assert not [key for key in await redis.keys("gpu:*") if b":runs:" in key], (
        "the engine keeps nothing of a job that is done"
    )


async def test_a_stopping_worker_hands_its_jobs_back_within_a_second(redis: Client) -> None:
    jobs = Jobs(redis)
    ids = [await submitted(jobs) for _ in range(8)]
    first, second = Draw(jobs, "first"), Draw(jobs, "second")
    first.go_on.clear()
    async with worker(redis, first) as leaving:
        await wait_until(lambda: len(first.started) == 8, "the first worker has all jobs")
        async with worker(redis, second):
            leaving.cancel()
            await wait_until(
                lambda: len(second.started) == 8, "the second worker has them", seconds=1.0 + LEASE.total_seconds()
            )
            await wait_for_end(jobs, ids)
    assert {(await jobs.get(job_id)).epoch for job_id in ids} == {2}
    crashes = [await redis.hget(f"job:{{{job_id}}}", "crashes") for job_id in ids]
    assert set(crashes) == {b"0"}, "no hand-back counts as a crash"


async def test_a_handler_that_swallows_its_cancel_is_canceled_again(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    swallowed = asyncio.Event()

    async def stubborn(name: str) -> None:
        claim = await jobs.claim(name, "stubborn")
        assert claim is not None
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            swallowed.set()
        try:
            await asyncio.Event().wait()
        finally:
            await jobs.hand_back(name, claim.epoch)

    async with worker(redis, stubborn) as task:
        await wait_until(lambda: _running(jobs, job_id), "the job runs")
        task.cancel()
        await asyncio.wait([task])
    assert swallowed.is_set()
    async with worker(redis, Draw(jobs)):
        await wait_for_end(jobs, [job_id])


async def test_a_fenced_worker_does_not_take_the_job_from_its_new_owner(redis: Client) -> None:
    """Returning would acknowledge the message, and the job would be lost when the new owner dies."""
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    starts = []

    async def first_a_zombie(name: str) -> None:
        starts.append(name)
        if len(starts) == 1:
            zombie = await jobs.claim(name, "zombie")
            assert zombie is not None
            await jobs.claim(name, "new owner, about to die")
            await commit(jobs, name, zombie.epoch, 1)
        await Draw(jobs)(name)

    async with worker(redis, first_a_zombie):
        await wait_for_end(jobs, [job_id])
    assert len(starts) == 2, "delivered again after the lease"
    assert (await jobs.get(job_id)).epoch == 3


async def test_a_handler_that_raises_gets_its_job_again_until_it_counts_as_poison(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id, good = await submitted(jobs), await submitted(jobs)
    draw = Draw(jobs)

    async def broken(name: str) -> None:
        if name == good:
            await draw(name)
        elif await jobs.claim(name, "w"):
            raise RuntimeError("a bug")

    async with worker(redis, broken):
        await wait_for_end(jobs, [job_id], JobState.FAILED)
        await wait_for_end(jobs, [good])
    error = (await jobs.get(job_id)).error
    assert error is not None
    assert error.code == "poison_job"


async def test_a_hand_over_that_was_lost_is_made_again(redis: Client) -> None:
    """Whoever admitted the job died before the queue engine knew it."""
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    assert await jobs.admit(1) == [job_id]
    await redis.zadd("jobs:admitted", {job_id: 1})
    async with worker(redis, Draw(jobs)):
        await wait_for_end(jobs, [job_id])


async def test_a_hand_over_made_again_disturbs_no_running_job(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    draw = Draw(jobs)
    draw.go_on.clear()
    async with worker(redis, draw), JobQueue(redis, lease=LEASE) as other:
        await wait_until(lambda: draw.started == [job_id], "the job runs")
        await redis.zadd("jobs:running", {job_id: 1})
        await other.reconcile()
        draw.go_on.set()
        await wait_for_end(jobs, [job_id])
    assert draw.started == [job_id]


async def test_a_job_longer_than_the_lease_is_not_started_twice(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    draw = Draw(jobs)
    draw.go_on.clear()
    async with worker(redis, draw):
        await wait_until(lambda: draw.started == [job_id], "the job runs")
        async with worker(redis, Draw(jobs, "idle")):
            asyncio.get_running_loop().call_later(2.5 * LEASE.total_seconds(), draw.go_on.set)
            await wait_for_end(jobs, [job_id])
    assert (await jobs.get(job_id)).epoch == 1


async def test_a_full_redis_ends_no_worker(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as server, capture_logs() as logs:
        async with connect(server.url, patience=timedelta(seconds=0.2)) as redis:
            jobs = Jobs(redis)
            job_id = await submitted(jobs)
            async with JobQueue(redis, lease=LEASE) as queue:
                await redis.config_set("maxmemory", 1)
                task = asyncio.create_task(queue.run(Draw(jobs), room=8))
                await wait_until(lambda: task.done() or any("is full" in str(log) for log in logs), "Redis is full")
                assert not task.done()
                await redis.config_set("maxmemory", 0)
                await wait_for_end(jobs, [job_id])
                task.cancel()
                await asyncio.wait([task])


async def test_a_name_taken_out_leaves_nothing(redis: Client) -> None:
    async with Queue(redis, "judge-nobody") as queue:
        await queue.add("name")
        await queue.add("name")
        assert await redis.xlen("judge-nobody:stream") == 1
        await queue.remove("name")
        assert await redis.xlen("judge-nobody:stream") == 0
        assert await redis.exists("judge-nobody:runs:name") == 0


async def _running(jobs: Jobs, job_id: str) -> bool:
    return (await jobs.get(job_id)).state is JobState.RUNNING
