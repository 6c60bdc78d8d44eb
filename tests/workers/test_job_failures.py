"""A judge's failures in the life of a job: all in its audit, skipped as many as may be, and then its end, whoever works on it."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from bus.connection import Client
from contracts.errors import BusUnavailable, JudgeError, JudgeRefused, JudgeUnavailable
from contracts.jobs import JobState, StepAudit
from contracts.judging import JudgeAsk
from workers.judge_policy import check_answered, heed

from ..bus.builders import spec
from ..conftest import wait_until
from .court import Answer, Before, Court, in_session
from .studio import let_go, studio

LONG = {"steps": 8, "stop_sigma": 0.03}  # the last step alone is not judged
DECLINED = "judge_refused: it declined to look"


def refusing(*steps: int, kind: str = "candidates") -> Before:
    """Declines at these steps."""

    async def refuse(ask: JudgeAsk) -> Answer | None:
        if ask.name.step in steps and ask.kind == kind:
            raise JudgeRefused("it declined to look")
        return None

    return refuse


@pytest.mark.parametrize("failure", [JudgeRefused("it declined to look"), JudgeUnavailable("the provider answers 503")])
async def test_with_the_policy_fail_the_first_failure_is_the_jobs_and_is_written_down_first(
    redis: Client, tmp_path: Path, failure: JudgeError
) -> None:
    async def fail(ask: JudgeAsk) -> Answer | None:
        if ask.name.step == 2:
            raise failure
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", fail)):
        job = await at.drawn(on_judge_failure="fail")
        rows = await at.audit(job)
    assert (job.state, job.progress.step, job.usage.judge.failures) == (JobState.FAILED, 2, 1)
    assert [row.failure for row in rows] == [None, f"{failure.code}: {failure}"]
    assert (rows[1].taken, rows[1].scores) == ("plain", (None, None, None))
    assert job.error is not None
    assert (job.error.code, job.error.detail, job.error.status) == (failure.code, str(failure), failure.status)


async def test_a_check_that_fails_is_in_the_audit_and_fails_a_job_that_says_so(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at, in_session(redis, Court("scoring", refusing(2, kind="check"))):
        skipped = await at.drawn()
        failed = await at.drawn(on_judge_failure="fail", max_skipped_steps=0)
        rows = await at.audit(skipped)
        assert [row.check_failure for row in await at.audit(failed)] == [None, DECLINED]
    assert (skipped.state, skipped.usage.judge.failures) == (JobState.SUCCEEDED, 1)
    assert [row.check_failure for row in rows] == [None, DECLINED, None, None, None]
    assert (rows[1].failure, rows[1].taken) == (None, "mixed")
    assert failed.error is not None
    assert (failed.state, failed.error.code) == (JobState.FAILED, "judge_refused")


@pytest.mark.parametrize(
    ("most", "end", "words"),
    [
        (0, 2, "the judge 'critic' failed at step 2, and max_skipped_steps allows no step to be skipped"),
        (1, 4, "1 step was skipped for failures of the judge 'critic', as many as max_skipped_steps allows; at step 4 it failed again"),
        (2, 5, "2 steps were skipped for failures of the judge 'critic', as many as max_skipped_steps allows; at step 5 it failed again"),
    ],
)  # fmt: skip
async def test_so_many_steps_may_be_skipped_and_the_next_failure_is_the_jobs(
    redis: Client, tmp_path: Path, most: int, end: int, words: str
) -> None:
    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", refusing(2, 4, 5))):
        job = await at.drawn(LONG, max_skipped_steps=most)
        rows = await at.audit(job)
        enough = await at.drawn(LONG, max_skipped_steps=3)
    assert (job.state, job.progress.step) == (JobState.FAILED, end)
    assert job.error is not None
    assert (job.error.code, job.error.detail) == ("judge_refused", f"{words}: {DECLINED}")
    assert job.usage.judge.failures == len([row for row in rows if row.failure]) == most + 1
    assert (enough.state, enough.usage.judge.failures) == (JobState.SUCCEEDED, 3)


async def test_skipped_steps_are_counted_over_the_jobs_life_whoever_works_on_it(redis: Client, tmp_path: Path) -> None:
    """One is skipped before its worker stops, the next one by another worker, and that is one too many."""
    may_answer, reached = asyncio.Event(), asyncio.Event()
    refuse = refusing(1, 4)

    async def before(ask: JudgeAsk) -> Answer | None:
        if ask.name.step == 3:
            reached.set()
            await may_answer.wait()
        return await refuse(ask)

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", before)):
        job_id = await at.submit(LONG, max_skipped_steps=1)
        first = asyncio.create_task(at.runner.run(job_id))
        await reached.wait()
        await let_go(first)
        again = asyncio.create_task(at.runner.run(job_id))
        await wait_until(lambda: at.has_begun(job_id, 2), "the second worker has it")
        may_answer.set()
        await again
        job = await at.jobs.get(job_id)
        rows = await at.audit(job)
    assert [(row.step, row.epoch) for row in rows if row.failure] == [(1, 1), (4, 2)]
    assert (job.state, job.progress.step, job.usage.judge.failures) == (JobState.FAILED, 4, 2)
    assert job.error is not None
    assert job.error.detail.startswith("1 step was skipped")


@pytest.mark.parametrize("policy", [{"on_judge_failure": "fail"}, {"max_skipped_steps": 0}], ids=str)
async def test_a_worker_that_dies_before_it_ends_the_job_leaves_that_to_the_next(
    redis: Client, tmp_path: Path, policy: dict[str, Any]
) -> None:
    court = Court("selecting", refusing(2))
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        finish = at.jobs.finish

        async def dies(*given: Any, **named: Any) -> None:
            raise BusUnavailable("away")

        at.jobs.finish = dies  # type: ignore[method-assign]
        job_id = await at.submit(**policy)
        with pytest.raises(BusUnavailable):
            await at.runner.run(job_id)
        at.jobs.finish = finish  # type: ignore[method-assign]
        asked = len(court.asked)
        await at.runner.run(job_id)
        job = await at.jobs.get(job_id)
    assert (job.state, job.progress.step, job.epoch, len(court.asked)) == (JobState.FAILED, 2, 2, asked)
    assert job.error is not None
    assert job.error.code == "judge_refused"


def row(step: int, failure: str | None = None, *scores: float | None) -> StepAudit:
    return StepAudit.model_validate(
        {
            "step": step,
            "sigma": 1.0,
            "taken": "plain",
            "scores": scores,
            "failure": failure,
            "at": "2026-01-01T00:00:00Z",
        }
    )


def test_a_cap_that_was_reached_is_no_failure_of_the_judges() -> None:
    rows = [row(1, "budget_exceeded: the cap of 2 judge calls leaves none for this step", None, None), row(2)]
    for policy in ("skip", "fail"):
        job = spec(on_judge_failure=policy, max_skipped_steps=0)
        heed(job, rows)
        check_answered(job, rows)


def test_failures_are_the_typed_errors_that_they_were_and_no_opinion_is_an_answer() -> None:
    rows = [row(1, "judge_unavailable: busy: try later", None), row(2, "judge_refused: no", None)]
    with pytest.raises(JudgeUnavailable, match=r"^busy: try later$"):
        heed(spec(on_judge_failure="fail"), rows)
    with pytest.raises(JudgeRefused, match=r"^1 step was skipped .* at step 2 it failed again: judge_refused: no$"):
        heed(spec(max_skipped_steps=1), rows)
    heed(spec(max_skipped_steps=2), rows)
    with pytest.raises(JudgeRefused, match=r"answered at no step; the last time: judge_refused: no$"):
        check_answered(spec(), rows)
    check_answered(spec(), [*rows, row(3, None, None, None)])
    check_answered(spec(), [])
