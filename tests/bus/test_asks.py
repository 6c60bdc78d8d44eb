"""An ask is answered once under its name: stored verdicts are not paid for again, late and failed judges are told as such."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from structlog.testing import capture_logs

from bus.asks import Asks
from bus.connection import Client
from bus.jobs import Jobs
from contracts.errors import JudgeRefused
from contracts.jobs import JobState
from contracts.judging import JudgeAsk, JudgeFailure, Verdict

from ..conftest import wait_until
from .asking import LEASE, VERDICT, Judge, job, judge_worker
from .builders import PICTURES, ask, claimed


async def test_an_ask_reaches_its_judge_and_the_verdict_comes_back(redis: Client) -> None:
    judge = Judge()
    async with job(redis) as job_id, judge_worker(redis, judge), Asks(redis, lease=LEASE) as asks:
        question = ask(job_id)
        assert await asks.ask(question, PICTURES) == VERDICT
        assert judge.asked == [(question, PICTURES)]
        assert await redis.exists(f"job:{{{job_id}}}:asks") == 0, "the pictures go once the verdict is in"
        assert not [key for key in await redis.keys("judge-*") if b":runs:" in key]


async def test_no_judge_works_on_more_than_its_asks_at_a_time(redis: Client) -> None:
    """A ninth and tenth name have been fetched by then, and their pictures have not."""
    judge = Judge()
    judge.may_answer.clear()
    async with job(redis) as job_id, judge_worker(redis, judge), Asks(redis, lease=LEASE) as asks:
        asking = [asyncio.create_task(asks.ask(ask(job_id, step=step), PICTURES)) for step in range(1, 13)]

        async def fetched() -> bool:
            if len(judge.asked) < 8:
                return False
            (group,) = await redis.xinfo_groups("judge-local:stream")
            return bool(group["pending"] == 10)

        await wait_until(fetched, "ten names are fetched")
        assert len(judge.asked) == 8
        judge.may_answer.set()
        assert await asyncio.gather(*asking) == [VERDICT] * 12


async def test_who_is_next_at_the_judge_does_not_wait_until_the_answer_is_written(redis: Client) -> None:
    judge, slots, may_write = Judge(), asyncio.Semaphore(1), asyncio.Event()
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        write = asks._write

        async def written_later(args: list[str | int]) -> object:
            await may_write.wait()
            return await write(args=args)

        asks._write = cast(Any, written_later)
        async with asyncio.TaskGroup() as group:
            for step in (1, 2):
                question = ask(job_id, step=step)
                await asks._put(args=[job_id, f"0:{step}:0", "nobody", 60, question.model_dump_json(), *PICTURES])
                group.create_task(asks._answer(judge, slots, str(question.name)))
            await wait_until(lambda: len(judge.asked) == 2, "both have been asked")
            may_write.set()


async def test_asking_again_finds_the_stored_verdict(redis: Client) -> None:
    judge = Judge()
    async with job(redis) as job_id, judge_worker(redis, judge):
        for _ in range(2):
            async with Asks(redis, lease=LEASE) as asks:
                assert await asks.ask(ask(job_id), PICTURES) == VERDICT
    assert len(judge.asked) == 1


async def test_an_interrupted_ask_goes_on_and_is_not_made_twice(redis: Client) -> None:
    """The GPU worker dies while the judge thinks; its successor asks the same and pays nothing."""
    judge = Judge()
    judge.may_answer.clear()
    async with job(redis) as job_id, judge_worker(redis, judge):
        async with Asks(redis, lease=LEASE) as dying:
            first = asyncio.create_task(dying.ask(ask(job_id), PICTURES))
            await wait_until(lambda: len(judge.asked) == 1, "the judge thinks")
            first.cancel()
            await asyncio.wait([first])
        async with Asks(redis, lease=LEASE) as successor:
            second = asyncio.create_task(successor.ask(ask(job_id), PICTURES))
            await wait_until(lambda: successor._bell._reader is not None, "the successor waits")
            judge.may_answer.set()
            assert await second == VERDICT
    assert len(judge.asked) == 1


async def test_of_two_answers_the_first_counts(redis: Client) -> None:
    async with job(redis) as job_id:
        asks = Asks(redis, lease=LEASE)
        other = Verdict(scores=(1.0, 1.0))
        name = f"{job_id}:0:1:0"
        written = [
            await asks._write(args=[job_id, "0:1:0", name, verdict.model_dump_json(), 2])
            for verdict in (VERDICT, other)
        ]
        assert written == [1, 0]
        async with asks:
            assert await asks.ask(ask(job_id), PICTURES) == VERDICT


async def test_a_judge_that_stays_away_is_a_failure_and_leaves_nothing(redis: Client) -> None:
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        answer = await asks.ask(ask(job_id, judge="absent", seconds=0.3), PICTURES)
        assert isinstance(answer, JudgeFailure)
        assert answer.code == "judge_unavailable"
        assert "'absent'" in answer.detail
        assert answer.usage.calls == 0
        assert await redis.exists(f"job:{{{job_id}}}:asks") == 0
        assert await redis.xlen("judge-absent:stream") == 0
        assert not [key for key in await redis.keys("judge-*") if b":runs:" in key]


async def test_one_who_gives_up_takes_nothing_from_another_who_waits(redis: Client) -> None:
    """A stalled worker wakes, waits for the rest of its time and gives up; the job's new owner waits for the same ask."""
    judge = Judge()
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as zombie, Asks(redis, lease=LEASE) as owner:
        patience = 1.0
        given_up = asyncio.create_task(zombie.ask(ask(job_id, seconds=patience), PICTURES))
        await wait_until(lambda: zombie._bell._reader is not None, "the first one waits")
        waiting = asyncio.create_task(owner.ask(ask(job_id), PICTURES))
        failure = await given_up
        assert isinstance(failure, JudgeFailure)
        assert (failure.code, failure.usage.calls) == ("judge_unavailable", 0), "no judge was reached"
        assert await redis.hkeys(f"job:{{{job_id}}}:asks") == [b"0:1:0/ask", b"0:1:0/bell", b"0:1:0/0", b"0:1:0/1"]
        async with judge_worker(redis, judge):
            assert await waiting == VERDICT
    assert len(judge.asked) == 1


async def test_pictures_that_were_lost_are_sent_again(redis: Client) -> None:
    judge = Judge()
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        waiting = asyncio.create_task(asks.ask(ask(job_id), PICTURES))

        async def put() -> bool:
            return bool(await redis.hexists(f"job:{{{job_id}}}:asks", "0:1:0/ask"))

        await wait_until(put, "the ask is up")
        await redis.delete(f"job:{{{job_id}}}:asks")
        async with judge_worker(redis, judge):
            assert await waiting == VERDICT
    assert [pictures for _, pictures in judge.asked] == [PICTURES]


async def test_a_call_that_was_made_is_counted_though_its_answer_came_too_late(redis: Client) -> None:
    judge = Judge()
    judge.may_answer.clear()
    async with job(redis) as job_id, judge_worker(redis, judge), Asks(redis, lease=LEASE) as asks:
        answer = await asks.ask(ask(job_id, seconds=1.5), PICTURES)
        assert isinstance(answer, JudgeFailure)
        assert (answer.code, answer.usage.calls, len(judge.asked)) == ("judge_unavailable", 1, 1)
        assert await redis.exists(f"job:{{{job_id}}}:asks") == 0
        judge.may_answer.set()


async def test_a_verdict_stored_before_the_deadline_is_found_after_it(redis: Client) -> None:
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        await asks._write(args=[job_id, "0:1:0", f"{job_id}:0:1:0", VERDICT.model_dump_json(), 2])
        late = ask(job_id).model_copy(update={"deadline": datetime.now(UTC) - timedelta(seconds=1)})
        assert await asks.ask(late, PICTURES) == VERDICT


async def test_a_reader_that_died_is_replaced_by_the_next_listener(redis: Client) -> None:
    async with (
        job(redis) as job_id,
        Asks(redis, lease=LEASE) as asks,
        judge_worker(redis, Judge()),
        asks._bell.listen("somebody else"),
    ):
        with capture_logs() as logs:
            asks._bell._last = "no stream id"
            await wait_until(lambda: asks._bell._reader is not None and asks._bell._reader.done(), "it dies")
            await asyncio.sleep(0)
        assert any("reader died" in log["event"] for log in logs)
        asks._bell._last = "0-0"
        assert await asks.ask(ask(job_id), PICTURES) == VERDICT
        reader = asks._bell._reader
        assert reader is not None
        assert not reader.done()


async def test_a_late_judge_is_not_called(redis: Client) -> None:
    judge = Judge()
    async with job(redis) as job_id:
        late = ask(job_id).model_copy(update={"deadline": datetime.now(UTC) - timedelta(seconds=1)})
        asks = Asks(redis, lease=LEASE)
        await asks._put(args=[job_id, "0:1:0", "nobody", 60, late.model_dump_json(), *PICTURES])
        for name in (str(late.name), f"{job_id}:0:9:0"):
            await asks._answer(judge, asyncio.Semaphore(), name)
        await redis.delete(f"job:{{{job_id}}}:asks")
    assert judge.asked == []


async def test_failures_are_told_as_failures_and_never_as_verdicts(redis: Client) -> None:
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        answers: list[Verdict | JudgeFailure | Exception] = [
            JudgeFailure(code="over_budget", detail="enough"),
            JudgeRefused("it will not look"),
            RuntimeError("a bug"),
            Verdict(scores=(1.0,)),
        ]
        codes = []
        for step, answer in enumerate(answers):
            async with judge_worker(redis, Judge(answer)):
                told = await asks.ask(ask(job_id, step=step), PICTURES)
            assert isinstance(told, JudgeFailure)
            codes.append(told.code)
    assert codes == ["over_budget", "judge_refused", "judge_failed", "judge_malformed"]


async def test_a_slow_judge_keeps_no_other_judge_waiting(redis: Client) -> None:
    slow, quick = Judge(), Judge()
    slow.may_answer.clear()

    async def both(question: JudgeAsk, pictures: list[bytes]) -> Verdict | JudgeFailure:
        return await (slow if question.judge == "slow" else quick)(question, pictures)

    async with job(redis) as job_id, judge_worker(redis, both, ["slow", "quick"]), Asks(redis, lease=LEASE) as asks:
        waiting = [asyncio.create_task(asks.ask(ask(job_id, judge="slow", step=step), PICTURES)) for step in range(20)]
        await wait_until(lambda: len(slow.asked) == 8, "all slots of the slow judge are taken")
        for step in range(20, 24):
            assert await asks.ask(ask(job_id, judge="quick", step=step), PICTURES) == VERDICT
        slow.may_answer.set()
        assert await asyncio.gather(*waiting) == [VERDICT] * 20


async def test_a_stopping_judge_worker_leaves_its_asks_to_others(redis: Client) -> None:
    leaving, staying = Judge(), Judge()
    leaving.may_answer.clear()
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        async with judge_worker(redis, leaving):
            waiting = asyncio.create_task(asks.ask(ask(job_id), PICTURES))
            await wait_until(lambda: len(leaving.asked) == 1, "the judge thinks")
        async with judge_worker(redis, staying):
            assert await waiting == VERDICT
    assert len(staying.asked) == 1


async def test_a_canceled_job_waits_for_no_judge(redis: Client) -> None:
    jobs = Jobs(redis)
    async with Asks(redis, lease=LEASE) as asks:
        claim = await claimed(jobs)
        job_id = claim.record.spec.id
        waiting = asyncio.create_task(asks.ask(ask(job_id, judge="absent"), PICTURES))
        await wait_until(lambda: asks._bell._reader is not None, "the job waits for its judge")
        await jobs.cancel(job_id)
        answer = await waiting
        assert isinstance(answer, JudgeFailure)
        assert (answer.code, answer.usage.calls) == ("canceled", 0)
        await jobs.finish(job_id, claim.epoch, JobState.CANCELED)


async def test_a_lost_ring_costs_a_late_look_only(redis: Client) -> None:
    async with job(redis) as job_id, Asks(redis, lease=LEASE) as asks:
        asks._bell._last = "99999999999999-0"  # it hears nothing
        async with judge_worker(redis, Judge()):
            assert await asks.ask(ask(job_id), PICTURES) == VERDICT


async def test_an_answer_after_the_jobs_end_leaves_no_key(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    job_id = claim.record.spec.id
    await jobs.finish(job_id, claim.epoch, JobState.SUCCEEDED)
    await jobs.delete(job_id)
    asks = Asks(redis, lease=LEASE)
    assert await asks._write(args=[job_id, "0:1:0", f"{job_id}:0:1:0", VERDICT.model_dump_json(), 2]) == 0
    await asks._put(args=[job_id, "0:1:0", "nobody", 60, ask(job_id).model_dump_json(), *PICTURES])
    assert not [key for key in await redis.keys() if job_id.encode() in key]
