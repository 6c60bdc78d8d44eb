"""An event stream begins with the job as it is, tells every change, ends with the job, and goes on where a client left off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from bus.jobs import Jobs
from contracts.jobs import JobState

from .by_hand import claim, finish, step, submit

pytestmark = pytest.mark.usefixtures("workers")


@dataclass(frozen=True)
class Event:
    """One event as the wire has it."""

    kind: str
    version: int
    job: dict[str, Any]


@asynccontextmanager
async def following(
    client: httpx.AsyncClient, job_id: str, last: str | None = None
) -> AsyncIterator[tuple[httpx.Response, AsyncIterator[Event]]]:
    """The answer, and its events as they come."""
    headers = {"Last-Event-ID": last} if last is not None else {}
    async with client.stream("GET", f"/v1/generations/{job_id}/events", headers=headers) as answer:
        yield answer, _events(answer)


async def _events(answer: httpx.Response) -> AsyncIterator[Event]:
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Event(fields["event"], int(fields["id"]), json.loads(fields["data"]))
            fields = {}


async def test_a_job_followed_from_the_line_to_its_end(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client)
    async with following(client, job_id) as (answer, events):
        assert answer.headers["content-type"].startswith("text/event-stream")
        first = await anext(events)
        assert (first.kind, first.version, first.job["status"]) == ("status", 1, "queued")
        assert first.job["queue_position"] == 1
        claimed = await claim(jobs, job_id)
        assert [(e := await anext(events)).kind, e.job["status"]] == ["status", "running"]
        for number in (1, 2):
            await step(jobs, claimed, number)
            event = await anext(events)
            assert (event.kind, event.job["progress"]["step"]) == ("progress", number)
        await jobs.finish(job_id, claimed.epoch, JobState.SUCCEEDED)
        last = [event async for event in events]
    assert [(event.kind, event.job["status"]) for event in last] == [("done", "succeeded")]
    assert last[0].job == (await client.get(f"/v1/generations/{job_id}")).json()


async def test_versions_only_grow_and_the_end_is_told_however_fast_the_changes_come(
    client: httpx.AsyncClient, jobs: Jobs
) -> None:
    job_id = await submit(client)
    async with following(client, job_id) as (_, events):
        claimed = await claim(jobs, job_id)
        for number in range(1, 17):
            await step(jobs, claimed, number)
        await jobs.finish(job_id, claimed.epoch, JobState.FAILED)
        told = [event async for event in events]
    versions = [event.version for event in told]
    assert versions == sorted(set(versions))
    assert (told[-1].kind, told[-1].job["status"], told[-1].job["progress"]["step"]) == ("done", "failed", 16)


async def test_a_client_that_comes_back_misses_nothing_and_hears_nothing_twice(
    client: httpx.AsyncClient, jobs: Jobs
) -> None:
    job_id = await submit(client)
    claimed = await claim(jobs, job_id)
    async with following(client, job_id) as (_, events):
        seen = await anext(events)
    async with following(client, job_id, str(seen.version)) as (_, events):
        following_event = asyncio.ensure_future(anext(events))
        await step(jobs, claimed, 1)
        assert (await following_event).version == seen.version + 1
    await step(jobs, claimed, 2)
    async with following(client, job_id, str(seen.version + 1)) as (_, events):
        behind = await anext(events)
        assert (behind.version, behind.job["progress"]["step"]) == (seen.version + 2, 2)


async def test_after_the_end_the_stream_is_one_event_and_then_204(client: httpx.AsyncClient, jobs: Jobs) -> None:
    job_id = await submit(client)
    await finish(jobs, job_id)
    async with following(client, job_id) as (_, events):
        (only,) = [event async for event in events]
    assert only.kind == "done"
    async with following(client, job_id, str(only.version)) as (answer, _):
        assert answer.status_code == 204


@pytest.mark.parametrize("last", ["", "nonsense", "-1", "999999999999999999999", "²"])
async def test_a_last_event_id_of_no_use_is_as_none(client: httpx.AsyncClient, jobs: Jobs, last: str) -> None:
    job_id = await submit(client)
    await finish(jobs, job_id)
    headers = [(b"Last-Event-ID", last.encode())]
    answer = await client.get(f"/v1/generations/{job_id}/events", headers=headers)
    assert (answer.status_code, answer.text.count("event: done")) == (200, 1)


async def test_an_idle_stream_carries_comments(client: httpx.AsyncClient) -> None:
    job_id = await submit(client)
    async with following(client, job_id) as (answer, _):
        async for line in answer.aiter_lines():
            if line == ": keep-alive":
                break


async def test_a_stream_ends_where_its_job_is_canceled_and_deleted(client: httpx.AsyncClient) -> None:
    job_id = await submit(client)
    async with following(client, job_id) as (_, events):
        await anext(events)
        await client.post(f"/v1/generations/{job_id}/cancel")
        await client.delete(f"/v1/generations/{job_id}")
        assert [event.kind async for event in events] in (["done"], [])
