"""However a job ends other than well: cancelled, overdue, without its judge or its model; in one state, with one sentence."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from torch import Tensor

from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.errors import EngineStopped, Fenced, JudgeRefused
from contracts.jobs import JobState
from contracts.judging import JudgeAsk, Verdict
from workers.models.base import Condition, Network
from workers.models.toy import Toy

from ..conftest import wait_until
from .court import Answer, Court, card, in_session
from .studio import STEPS, let_go, studio


@pytest.mark.parametrize("policy", ["skip", "fail"])
async def test_cancelled_midway_it_ends_at_its_next_step(redis: Client, tmp_path: Path, policy: str) -> None:
    async def cancel(ask: JudgeAsk) -> Answer | None:
        if ask.name.step == 2:
            await Jobs(redis).cancel(ask.name.job)
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", cancel)):
        job = await at.drawn(on_judge_failure=policy)
    assert (job.state, job.error, job.result) == (JobState.CANCELED, None, None)
    assert job.progress.step in (1, 2)
    assert job.usage.judge.calls >= 1


async def test_cancelled_while_it_waits_for_a_judge_worker(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at:
        job_id = await at.submit()
        run = asyncio.create_task(at.runner.run(job_id))
        await wait_until(lambda: at.has_begun(job_id, 1), "a worker has it")
        await at.jobs.cancel(job_id)
        await run
        assert (await at.jobs.get(job_id)).state is JobState.CANCELED


async def test_overdue_before_it_began(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at:
        job = await at.drawn(deadline=datetime.now(UTC) - timedelta(seconds=1))
    assert (job.state, job.epoch) == (JobState.EXPIRED, 0)


async def test_overdue_while_its_judge_thinks(redis: Client, tmp_path: Path) -> None:
    async def think(ask: JudgeAsk) -> Answer | None:
        await asyncio.get_running_loop().create_future()
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", think)):
        job = await at.drawn(deadline=datetime.now(UTC) + timedelta(seconds=1))
    assert (job.state, job.error, job.result) == (JobState.EXPIRED, None, None)
    assert job.progress.step == 0
    assert job.usage.network_rows > 0, "what it took is told all the same"
    assert job.usage.judge.calls == 1, "the ask under way may be paid for"


async def test_one_failure_is_skipped_recorded_and_survived(redis: Client, tmp_path: Path) -> None:
    async def fail_once(ask: JudgeAsk) -> Answer | None:
        if ask.name.step == 2:
            raise JudgeRefused("it declined to look")
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", fail_once)):
        job = await at.drawn()
        rows = await at.audit(job)
    assert (job.state, job.usage.judge.failures) == (JobState.SUCCEEDED, 1)
    assert [row.failure for row in rows] == [None, "judge_refused: it declined to look", None, None, None]
    assert (rows[1].taken, rows[1].scores) == ("plain", (None, None, None))
    assert job.result is not None
    assert job.result.steered_steps == 2


@pytest.mark.parametrize("method", ["demon", "best_of_n"])
async def test_a_judge_that_never_answers_is_no_picture_steered_by_nobody(
    redis: Client, tmp_path: Path, method: str
) -> None:
    async with (
        studio(redis, tmp_path, patience=timedelta(seconds=0.1)) as at,
        Cards(redis).published("judges", judges=[card("selecting")]),
    ):
        job = await at.drawn({"method": method})
        rows = await at.audit(job)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.retryable) == ("judge_unavailable", True)
    assert "the judge 'critic' answered at no step" in job.error.detail
    assert "gave no answer within its time" in job.error.detail
    assert len(rows) == STEPS
    assert job.usage.judge.failures == len([row for row in rows if row.failure])


@pytest.mark.parametrize("method", ["demon", "best_of_n"])
async def test_a_judge_that_refuses_every_time_is_named_as_what_it_is(
    redis: Client, tmp_path: Path, method: str
) -> None:
    async def refuse(ask: JudgeAsk) -> Answer | None:
        raise JudgeRefused("it declined to look")

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", refuse)):
        job = await at.drawn({"method": method})
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, job.error.retryable, job.error.status) == ("judge_refused", False, 502)
    assert job.error.detail == (
        "the judge 'critic' answered at no step; the last time: judge_refused: it declined to look"
    )


async def test_a_judge_without_an_opinion_has_answered(redis: Client, tmp_path: Path) -> None:
    """Its one failure beside that is skipped like any other."""

    async def shrug(ask: JudgeAsk) -> Answer | None:
        if ask.name.step == 2:
            raise JudgeRefused("it declined to look")
        return Verdict(scores=(None,) * ask.pictures)

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", shrug)):
        job = await at.drawn()
    assert (job.state, job.error, job.usage.judge.failures) == (JobState.SUCCEEDED, None, 1)
    assert job.result is not None
    assert (job.result.steered_steps, job.result.preference) == (0, None), (
        "nobody is asked to choose between equal pictures"
    )


async def test_without_any_worker_for_its_judge(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path, patience=timedelta(seconds=0.1)) as at:
        job = await at.drawn()
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "judge_unavailable")
    assert "no judge worker offers the judge 'critic' now" in job.error.detail


async def test_for_a_model_that_this_worker_does_not_serve(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at:
        job = await at.drawn(model="embedded")
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "model_unavailable")
    assert "'embedded': it serves toy" in job.error.detail


class Fragile(Toy):
    """The toy, with a failure to come."""

    failure: BaseException | None = None

    def denoise(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition], guidance: Tensor, network: Network
    ) -> Tensor:
        if self.failure is not None:
            raise self.failure
        return super().denoise(x, sigma, conditions, guidance, network)


async def test_a_model_that_fails_fails_its_job_by_name(redis: Client, tmp_path: Path) -> None:
    model = Fragile()
    async with studio(redis, tmp_path, model=model) as at, in_session(redis, Court()):
        model.failure = ArithmeticError("a row is broken")
        job = await at.drawn()
    assert job.error is not None
    assert (job.state, job.error.code) == (JobState.FAILED, "internal")
    assert "the model 'toy' failed in a denoise forward (ArithmeticError: a row is broken)" in job.error.detail


class Defect(BaseException):
    """Nothing that a forward may raise."""


async def test_an_engine_that_ends_leaves_the_job_to_another_worker(redis: Client, tmp_path: Path) -> None:
    model = Fragile()
    async with in_session(redis, Court()):
        async with studio(redis, tmp_path / "first", model=model) as at:
            model.failure = Defect("broken")
            job_id = await at.submit()
            with pytest.raises(EngineStopped, match="broken"):
                await at.runner.run(job_id)
            assert not (await at.jobs.get(job_id)).state.terminal
        async with studio(redis, tmp_path / "second") as at:
            await at.runner.run(job_id)
            assert (await at.jobs.get(job_id)).state is JobState.SUCCEEDED


async def test_whose_job_was_taken_over_writes_nothing_more(redis: Client, tmp_path: Path) -> None:
    thinking = asyncio.Event()
    may_answer = asyncio.Event()

    async def think(ask: JudgeAsk) -> Answer | None:
        thinking.set()
        await may_answer.wait()
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", think)):
        job_id = await at.submit()
        run = asyncio.create_task(at.runner.run(job_id))
        await thinking.wait()
        claim = await at.jobs.claim(job_id, "worker-2")
        assert claim is not None
        may_answer.set()
        with pytest.raises(Fenced):
            await run
        job = await at.jobs.get(job_id)
        assert (job.state, job.epoch, job.progress.step) == (JobState.RUNNING, 2, 0)
        await at.jobs.finish(job_id, claim.epoch, JobState.FAILED)


async def test_what_has_ended_is_not_run(redis: Client, tmp_path: Path) -> None:
    court = Court()
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job_id = await at.submit()
        await at.jobs.cancel(job_id)
        await at.runner.run(job_id)
        await at.runner.run("gen_unknown")
    assert court.asked == []


async def test_a_worker_that_stops_before_the_first_step_hands_the_job_back(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at:
        job_id = await at.submit()
        for epoch in range(1, 5):  # more often than a job may crash
            run = asyncio.create_task(at.runner.run(job_id))
            await wait_until(lambda epoch=epoch: at.has_begun(job_id, epoch), "a worker has it")
            await let_go(run)
            assert run.cancelled()
        async with in_session(redis, Court()):
            await at.runner.run(job_id)
        assert (await at.jobs.get(job_id)).state is JobState.SUCCEEDED
