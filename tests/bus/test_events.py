"""An event stream tells every change of a job once, in order, from any version on, and ends with the job."""

import asyncio
from contextlib import aclosing

from bus.connection import Client
from bus.events import Events
from bus.jobs import Jobs
from contracts.jobs import JobEvent, JobState

from ..conftest import wait_until
from .builders import STEPS, claimed, commit, submitted


async def collect(events: Events, job_id: str, after: int = 0) -> list[JobEvent]:
    async with aclosing(events.read(job_id, after)) as changes:
        return [event async for event in changes]


async def run(jobs: Jobs, job_id: str) -> None:
    claim = await jobs.claim(job_id, "w")
    assert claim is not None
    for step in range(1, STEPS + 1):
        await commit(jobs, job_id, claim.epoch, step)
    await jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED)


KINDS = ["status", "status", *["progress"] * STEPS, "done"]


async def test_readers_see_every_change_live_and_end_with_the_job(redis: Client) -> None:
    jobs, events = Jobs(redis), Events(redis)
    ids = [await submitted(jobs) for _ in range(3)]
    readers = [asyncio.create_task(collect(events, job_id)) for job_id in ids * 2]
    for job_id in ids:
        await run(jobs, job_id)
    for reader in readers:
        seen = await reader
        assert [event.kind for event in seen] == KINDS
        assert [event.version for event in seen] == list(range(1, len(KINDS) + 1))


async def test_a_reader_resumes_after_a_version(redis: Client) -> None:
    jobs, events = Jobs(redis), Events(redis)
    job_id = await submitted(jobs)
    await run(jobs, job_id)
    assert [event.version for event in await collect(events, job_id, 4)] == [5, 6, 7]
    assert await collect(events, job_id, 7) == []
    assert await collect(events, job_id, 99) == []
    assert (await jobs.get(job_id)).version == 7


async def test_an_unknown_job_has_no_events(redis: Client) -> None:
    assert await collect(Events(redis), "gen_none") == []


async def test_one_connection_serves_all_readers_and_none_is_left_behind(redis: Client) -> None:
    jobs, events = Jobs(redis), Events(redis)
    claims = [await claimed(jobs) for _ in range(20)]
    readers = [asyncio.create_task(collect(events, claim.record.spec.id)) for claim in claims]

    async def blocked() -> int:
        clients: list[dict[str, str]] = await redis.client_list()
        return sum(client["cmd"] == "xread" and "b" in client["flags"] for client in clients)

    async def one() -> bool:
        return await blocked() == 1

    async def none() -> bool:
        return await blocked() == 0

    await wait_until(one, "one blocked read")
    for claim in claims:
        await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
    await asyncio.gather(*readers)
    await wait_until(none, "no blocked read")


async def test_a_lost_ring_costs_a_late_look_only(redis: Client) -> None:
    jobs, events = Jobs(redis), Events(redis)
    claim = await claimed(jobs)
    reader = asyncio.create_task(collect(events, claim.record.spec.id))
    await asyncio.sleep(0)
    events._bell._last = "99999999999999-0"  # from here on it hears nothing
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
    assert (await reader)[-1].kind == "done"


async def test_a_reader_that_is_interrupted_leaves_nothing_behind(redis: Client) -> None:
    jobs, events = Jobs(redis), Events(redis)
    claim = await claimed(jobs)
    reader = asyncio.create_task(collect(events, claim.record.spec.id))
    await wait_until(lambda: events._bell._reader is not None, "the reader reads")
    reader.cancel()
    await asyncio.wait([reader])
    assert reader.cancelled()
    assert events._bell._reader is None
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
