"""A job is accepted as a whole or not at all, once for each idempotency key, and can be read, listed and removed."""

import asyncio
from datetime import timedelta

import pytest
import redis as sync_redis

from bus.connection import Client
from bus.jobs import Idempotency, Jobs, new_job_id
from contracts.errors import Conflict, IdempotencyReused, NotFound, QueueFull
from contracts.jobs import JobState

from ..conftest import leaked_keys
from .builders import STEPS, claimed, commit, spec, submitted


async def test_an_accepted_job_reads_back_as_it_was_sent(redis: Client) -> None:
    jobs, job = Jobs(redis), spec(prompt="ein Äpfelchen 🍎", owner="anna lena:1", metadata={"a": "b"})
    submission = await jobs.submit(job, steps=STEPS, idempotency=None, queue_limit=1)
    record = await jobs.get(job.id)
    assert (submission.job_id, submission.replayed) == (job.id, False)
    assert (record.spec, record.state, record.version) == (job, JobState.QUEUED, 1)
    assert (record.progress.step, record.progress.steps) == (0, STEPS)
    assert record.started_at is record.completed_at is record.expires_at is None
    assert await jobs.position(job.id) == 1
    assert await jobs.waiting() == 1


async def test_many_requests_with_one_key_make_one_job(redis: Client) -> None:
    jobs, key = Jobs(redis), Idempotency("key-1", "fingerprint")
    submissions = await asyncio.gather(
        *(jobs.submit(spec(), steps=STEPS, idempotency=key, queue_limit=100) for _ in range(40))
    )
    assert len({submission.job_id for submission in submissions}) == 1
    assert sorted(submission.replayed for submission in submissions) == [False] + [True] * 39
    assert await jobs.waiting() == 1
    assert len((await jobs.list(None, 100))[0]) == 1


async def test_a_key_belongs_to_its_owner_and_to_one_body(redis: Client) -> None:
    jobs = Jobs(redis)
    await jobs.submit(spec(owner="a"), steps=STEPS, idempotency=Idempotency("k", "one"), queue_limit=9)
    other = await jobs.submit(spec(owner="b"), steps=STEPS, idempotency=Idempotency("k", "two"), queue_limit=9)
    assert not other.replayed
    with pytest.raises(IdempotencyReused, match="another body"):
        await jobs.submit(spec(owner="a"), steps=STEPS, idempotency=Idempotency("k", "two"), queue_limit=9)
    assert await jobs.waiting() == 2


async def test_a_submission_sent_twice_after_a_lost_connection_is_one_job(redis: Client) -> None:
    jobs, job, key = Jobs(redis), spec(), Idempotency("k", "f")
    for idempotency in (None, None, key):
        assert not (await jobs.submit(job, steps=STEPS, idempotency=idempotency, queue_limit=9)).replayed
    keyed = spec()
    for _ in range(2):
        assert not (await jobs.submit(keyed, steps=STEPS, idempotency=key, queue_limit=9)).replayed
    assert await jobs.waiting() == 2


async def test_a_full_queue_refuses_and_leaves_nothing(redis: Client) -> None:
    jobs, refused = Jobs(redis), spec()
    await submitted(jobs)
    before = await redis.keys()
    with pytest.raises(QueueFull) as caught:
        await jobs.submit(refused, steps=STEPS, idempotency=Idempotency("k", "f"), queue_limit=1)
    assert caught.value.retry_after.total_seconds() > 0
    assert sorted(before) == sorted(await redis.keys())
    with pytest.raises(NotFound, match=refused.id):
        await jobs.get(refused.id)
    replay = spec()
    await jobs.submit(replay, steps=STEPS, idempotency=Idempotency("other", "f"), queue_limit=2)
    again = await jobs.submit(spec(), steps=STEPS, idempotency=Idempotency("other", "f"), queue_limit=2)
    assert again.replayed, "a job accepted before is found also while the queue is full"


async def test_listing_goes_page_by_page_newest_first(redis: Client) -> None:
    jobs = Jobs(redis)
    ids = [await submitted(jobs, id=f"gen_{number:032x}", owner="ab"[number % 2]) for number in range(230)]
    await submitted(jobs, id=new_job_id(), owner="c")
    for owner, expected in (("a", ids[::2]), ("b", ids[1::2])):
        seen, cursor = [], None
        while True:
            page, cursor = await jobs.list(owner, 20, cursor)
            seen += [record.spec.id for record in page]
            assert len(page) == 20 or cursor is None
            if cursor is None:
                break
        assert seen == expected[::-1]
    assert len((await jobs.list(None, 500))[0]) == 231


async def test_listing_by_state_finds_the_rare_ones(redis: Client) -> None:
    jobs = Jobs(redis)
    ids = [await submitted(jobs, id=f"gen_{number:032x}") for number in range(150)]
    for number in (3, 70, 149):
        await jobs.claim(ids[number], "w")
    first, cursor = await jobs.list("anonymous", 2, None, JobState.RUNNING)
    rest, end = await jobs.list("anonymous", 2, cursor, JobState.RUNNING)
    assert [record.spec.id for record in first + rest] == [ids[149], ids[70], ids[3]]
    assert end is None


async def test_a_deleted_job_leaves_no_key(redis: Client) -> None:
    jobs = Jobs(redis)
    job = spec()
    await jobs.submit(job, steps=STEPS, idempotency=Idempotency("k", "f"), queue_limit=9)
    with pytest.raises(Conflict, match="cancel it"):
        await jobs.delete(job.id)
    claim = await jobs.claim(job.id, "w")
    assert claim is not None
    await commit(jobs, job.id, claim.epoch, 1)
    await jobs.finish(job.id, claim.epoch, JobState.SUCCEEDED)
    await jobs.delete(job.id)
    assert await redis.keys() == [b"bell:events"]
    assert (await jobs.list(None, 9))[0] == []
    for call in (jobs.get, jobs.delete, jobs.cancel):
        with pytest.raises(NotFound, match=job.id):
            await call(job.id)
    again = await jobs.submit(spec(), steps=STEPS, idempotency=Idempotency("k", "f"), queue_limit=9)
    assert not again.replayed


async def test_a_deleted_job_takes_no_newer_jobs_idempotency_record(redis: Client) -> None:
    jobs, key = Jobs(redis), Idempotency("k", "f")
    old, new = spec(), spec()
    await jobs.submit(old, steps=STEPS, idempotency=key, queue_limit=9)
    await jobs.cancel(old.id)
    (record,) = await redis.keys("idempotency:*")
    await redis.delete(record)  # as its time to live does after a day
    await jobs.submit(new, steps=STEPS, idempotency=key, queue_limit=9)
    await jobs.delete(old.id)
    assert (await jobs.submit(spec(), steps=STEPS, idempotency=key, queue_limit=9)).job_id == new.id


async def test_ended_jobs_go_away_after_their_retention(redis: Client) -> None:
    jobs = Jobs(redis, retention=timedelta(seconds=1))
    claim = await claimed(jobs)
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
    record = await jobs.get(claim.record.spec.id)
    assert record.expires_at is not None
    assert record.completed_at is not None
    assert record.expires_at - record.completed_at == timedelta(seconds=1)


def test_job_ids_sort_by_age() -> None:
    ids = [new_job_id() for _ in range(1000)]
    assert len(set(ids)) == 1000
    assert [i[:16] for i in ids] == sorted(i[:16] for i in ids)
    assert all(len(i) == 36 and i.startswith("gen_") for i in ids)


def test_the_leak_check_finds_leaks(redis_url: str) -> None:
    with sync_redis.Redis.from_url(redis_url) as client:
        client.set("forgotten", 1)
        client.set("job:{gone}:verdicts", 1)
        client.set("bounded", 1, ex=60)
        client.rpush("line:high", "owner")
        client.hset("judge-x:runs:forgotten", "state", "queued")
        client.hset("judge-x:runs:waiting", "state", "queued")
        client.xadd("judge-x:stream", {"key": "waiting"})
        assert sorted(leaked_keys(client)) == ["forgotten", "job:{gone}:verdicts", "judge-x:runs:forgotten"]
        client.flushall()
