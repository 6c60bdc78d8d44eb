"""A claimed job belongs to one epoch; it ends in exactly one terminal state, whatever its workers and its user do."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from bus.connection import Client
from bus.jobs import MAX_CRASHES, Jobs
from contracts.errors import Conflict, Fenced, Problem, StoreUnavailable
from contracts.jobs import JobState, JudgeTotal, Progress, Result, Usage

from .builders import STEPS, claimed, commit, submitted

PROBLEM = Problem(title="t", status=500, detail="d", code="internal")


async def test_a_job_from_claim_to_end(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    job_id = claim.record.spec.id
    assert (claim.epoch, claim.checkpoint, claim.record.state) == (1, None, JobState.RUNNING)
    assert await jobs.position(job_id) is None
    for step in range(1, STEPS + 1):
        assert await commit(jobs, job_id, claim.epoch, step) is False
    await jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED, result=Result(score=1.5), usage=Usage(network_rows=9))
    record = await jobs.get(job_id)
    assert (record.state, record.progress.step, record.usage.network_rows) == (JobState.SUCCEEDED, STEPS, 9)
    assert record.result == Result(score=1.5)
    assert record.version == 1 + 1 + STEPS + 1
    assert record.started_at is not None
    assert record.completed_at is not None
    assert record.started_at <= record.completed_at
    assert [row.step for row in await jobs.audit(job_id)] == list(range(1, STEPS + 1))
    assert await redis.exists(f"job:{{{job_id}}}:checkpoint") == 0


async def test_a_new_owner_goes_on_from_the_last_step_and_fences_the_old_one(redis: Client) -> None:
    jobs = Jobs(redis)
    old = await claimed(jobs, "old")
    job_id = old.record.spec.id
    checkpoint = bytes(range(256)) * 400
    await jobs.commit(
        job_id,
        old.epoch,
        progress=Progress(step=1, steps=STEPS),
        usage=Usage(judge=JudgeTotal(calls=3)),
        checkpoint=checkpoint,
        audit=None,
    )
    new = await jobs.claim(job_id, "new")
    assert new is not None
    assert (new.epoch, new.checkpoint, new.record.usage.judge.calls) == (2, checkpoint, 3)
    version = (await jobs.get(job_id)).version
    with pytest.raises(Fenced, match="epoch 1"):
        await commit(jobs, job_id, old.epoch, 2)
    with pytest.raises(Fenced):
        await jobs.finish(job_id, old.epoch, JobState.SUCCEEDED)
    await jobs.hand_back(job_id, old.epoch)
    assert (await jobs.get(job_id)).version == version, "a zombie changes nothing"
    await jobs.finish(job_id, new.epoch, JobState.FAILED, error=PROBLEM)
    with pytest.raises(Fenced):
        await commit(jobs, job_id, new.epoch, 2)
    assert (await jobs.get(job_id)).error == PROBLEM


async def test_of_many_ends_at_once_one_counts(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    job_id = claim.record.spec.id
    states = [JobState.SUCCEEDED, JobState.FAILED, JobState.EXPIRED] * 5
    ends = await asyncio.gather(*(jobs.finish(job_id, claim.epoch, state) for state in states), return_exceptions=True)
    state = (await jobs.get(job_id)).state
    assert [end is None for end in ends] == [state is tried for tried in states], (
        "only repetitions of the same end pass"
    )
    assert await redis.xlen(f"job:{{{job_id}}}:events") == 3, "accepted, claimed, done"


async def test_a_commit_sent_twice_after_a_lost_connection_writes_one_row(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    job_id = claim.record.spec.id
    arguments: list[Any] = [job_id, claim.epoch, Progress(steps=STEPS).model_dump_json(), "{}", b"x", '{"step":1}']
    for _ in range(2):
        assert await jobs._scripts["commit"](args=arguments) == 0
    assert await redis.llen(f"job:{{{job_id}}}:audit") == 1
    token: list[Any] = [job_id, "worker", "token", MAX_CRASHES, ""]
    epochs = [(await jobs._scripts["claim"](args=token)) is not None for _ in range(5)]
    assert (epochs, (await jobs.get(job_id)).epoch) == ([True] * 5, 2)
    await jobs.finish(job_id, 2, JobState.SUCCEEDED)


async def test_cancel_ends_a_waiting_job_at_once(redis: Client) -> None:
    jobs = Jobs(redis)
    first, second = await submitted(jobs), await submitted(jobs)
    record = await jobs.cancel(first)
    assert (record.state, record.cancel) == (JobState.CANCELED, True)
    assert await jobs.position(second) == 1
    assert await jobs.claim(first, "w") is None
    assert (await jobs.cancel(first)).state is JobState.CANCELED, "asking twice is no error"
    assert await jobs.admit(5) == [second]
    assert (await jobs.cancel(second)).state is JobState.CANCELED, "handed over, not begun"
    assert await jobs.waiting() == 0


async def test_cancel_reaches_a_running_job_at_its_next_step(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    job_id = claim.record.spec.id
    assert (await jobs.cancel(job_id)).state is JobState.CANCELING
    version = (await jobs.cancel(job_id)).version
    assert version == claim.record.version + 1
    assert await commit(jobs, job_id, claim.epoch, 1) is True
    await jobs.finish(job_id, claim.epoch, JobState.FAILED, error=PROBLEM)
    record = await jobs.get(job_id)
    assert (record.state, record.error) == (JobState.CANCELED, None), "how the worker stopped does not matter"


async def test_a_canceled_job_whose_worker_died_is_ended_by_the_next(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = (await claimed(jobs)).record.spec.id
    await jobs.cancel(job_id)
    assert await jobs.claim(job_id, "next") is None
    assert (await jobs.get(job_id)).state is JobState.CANCELED


async def test_a_picture_that_is_there_is_kept_although_cancel_was_asked(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    await jobs.cancel(claim.record.spec.id)
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
    with pytest.raises(Conflict, match="succeeded already"):
        await jobs.cancel(claim.record.spec.id)


async def test_a_poison_job_fails_after_three_crashes_and_is_written_down(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = (await claimed(jobs)).record.spec.id
    for crash in range(1, MAX_CRASHES):
        assert await jobs.claim(job_id, f"worker-{crash}") is not None
    assert await jobs.claim(job_id, "one too many") is None
    record = await jobs.get(job_id)
    assert record.state is JobState.FAILED
    assert record.error is not None
    assert record.error.code == "poison_job"
    letters: Any = await redis.xrange("jobs:dead")
    assert [letter[b"job"] for _, letter in letters] == [job_id.encode()]


async def test_neither_hand_backs_nor_progress_make_a_poison_job(redis: Client) -> None:
    jobs = Jobs(redis)
    job_id = await submitted(jobs)
    for _ in range(3 * MAX_CRASHES):
        claim = await jobs.claim(job_id, "handing back")
        assert claim is not None
        await jobs.hand_back(job_id, claim.epoch)
    for step in range(3 * MAX_CRASHES):
        claim = await jobs.claim(job_id, "dying after a step")
        assert claim is not None
        await commit(jobs, job_id, claim.epoch, step)
    assert (await jobs.get(job_id)).epoch == 6 * MAX_CRASHES


async def test_a_deadline_ends_waiting_jobs_and_those_nobody_ends(redis: Client) -> None:
    jobs, past = Jobs(redis), datetime.now(UTC) - timedelta(hours=1)
    waiting, in_time = await submitted(jobs, deadline=past), await submitted(jobs)
    late = await submitted(jobs, deadline=past)
    assert await jobs.claim(late, "w") is None, "a worker does not begin it"
    running = (await claimed(jobs, deadline=datetime.now(UTC) + timedelta(hours=1))).record.spec.id
    await redis.zadd("jobs:deadlines", {running: past.timestamp() * 1000})
    await jobs.expire()
    states = [(await jobs.get(job)).state for job in (waiting, late, running, in_time)]
    assert states == [JobState.EXPIRED] * 3 + [JobState.QUEUED]
    assert await jobs.position(in_time) == 1


async def test_a_worker_has_time_to_end_its_overdue_job_itself(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs, deadline=datetime.now(UTC) + timedelta(hours=1))
    await redis.zadd("jobs:deadlines", {claim.record.spec.id: datetime.now(UTC).timestamp() * 1000})
    await jobs.expire()
    assert (await jobs.get(claim.record.spec.id)).state is JobState.RUNNING
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.EXPIRED)


async def test_silent_jobs_are_named_for_a_new_hand_over_once_in_a_while(redis: Client) -> None:
    jobs = Jobs(redis)
    handed, running, fresh = await submitted(jobs), (await claimed(jobs)).record.spec.id, await claimed(jobs)
    assert await jobs.admit(1) == [handed]
    assert await jobs.silent() == []
    await redis.zadd("jobs:admitted", {handed: 1})
    await redis.zadd("jobs:running", {running: 1})
    assert sorted(await jobs.silent()) == sorted([handed, running])
    assert await jobs.silent() == []
    await jobs.finish(fresh.record.spec.id, fresh.epoch, JobState.SUCCEEDED)


async def test_a_removed_job_is_forgotten_after_what_is_kept_of_it_elsewhere(redis: Client) -> None:
    """Were it forgotten first, a crash in between would leave its pictures to nobody."""
    jobs = Jobs(redis)
    claim = await claimed(jobs, owner="an owner with spaces")
    job_id = claim.record.spec.id
    await jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED)
    asked: list[str] = []

    async def remove(job: str) -> None:
        asked.append(job)
        if len(asked) == 1:
            raise StoreUnavailable("the disk is away")

    await jobs.remove_old(remove)
    assert asked == [], "its time has not come"
    await redis.zadd("jobs:ended", {f"{job_id} an owner with spaces": 1}, xx=True)
    await redis.delete(f"job:{{{job_id}}}")
    assert await jobs.list(None, 5) == ([], None)
    with pytest.raises(StoreUnavailable):
        await jobs.remove_old(remove)
    assert await redis.zcard("jobs:ended") == 1
    await jobs.remove_old(remove)
    assert asked == [job_id, job_id]
    assert await redis.exists("jobs:all", "jobs:of:an owner with spaces", "jobs:ended") == 0


async def test_one_job_that_cannot_be_removed_keeps_no_other(redis: Client) -> None:
    jobs = Jobs(redis, retention=timedelta(0))
    first, second = await claimed(jobs), await claimed(jobs)
    for claim in (first, second):
        await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)

    async def remove(job: str) -> None:
        if job == first.record.spec.id:
            raise StoreUnavailable("not ours to remove")

    with pytest.raises(StoreUnavailable):
        await jobs.remove_old(remove)
    assert await redis.zrange("jobs:ended", 0, -1) == [f"{first.record.spec.id} anonymous".encode()]


async def test_a_job_that_nobody_holds_is_canceled_at_once(redis: Client) -> None:
    """No worker may come for a long time: it must not wait for one in order to end."""
    jobs = Jobs(redis)
    handed, canceling = await claimed(jobs), await claimed(jobs)
    await jobs.hand_back(handed.record.spec.id, handed.epoch)
    assert (await jobs.cancel(handed.record.spec.id)).state is JobState.CANCELED
    assert (await jobs.cancel(canceling.record.spec.id)).state is JobState.CANCELING
    await jobs.hand_back(canceling.record.spec.id, canceling.epoch)
    assert (await jobs.get(canceling.record.spec.id)).state is JobState.CANCELED
    assert await redis.exists("jobs:running") == 0
