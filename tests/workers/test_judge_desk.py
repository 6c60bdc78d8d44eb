"""The desk puts a sampler's pictures before a judge over a real bus, keeps the job's caps, and remembers failures."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import torch

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.errors import JudgeError, JudgeMalformed, JudgeRefused, JudgeUnavailable
from contracts.jobs import Budget, JobState, JudgeTotal, Usage
from contracts.judging import CallCost, JudgeAsk, JudgeFailure, JudgeKind, JudgeUsage, Tokens, Verdict
from workers.judge_desk import JudgeDesk
from workers.sampling import Judge

from ..bus.builders import claimed
from .court import Answer, Court, card, in_session
from .studio import let_go

PATIENCE = timedelta(seconds=20)


def reds(*levels: float) -> torch.Tensor:
    """One plain picture [3, 8, 8] for each level of red."""
    pictures = torch.zeros(len(levels), 3, 8, 8)
    pictures[:, 0] = torch.tensor(levels).view(-1, 1, 1)
    return pictures


@asynccontextmanager
async def desk(redis: Client, court: Court, patience: timedelta = PATIENCE, **spec: Any) -> AsyncIterator[JudgeDesk]:
    """The desk of a running job, before that court."""
    jobs = Jobs(redis)
    claim = await claimed(jobs, judge=court.card.name, **spec)
    async with Asks(redis) as asks, in_session(redis, court):
        yield JudgeDesk(claim.record.spec, court.card, asks, Cards(redis), patience, Usage())
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)


async def test_the_judge_sees_the_pictures_in_order_and_is_asked_by_step_and_ordinal(redis: Client) -> None:
    court = Court()
    async with desk(redis, court, scenario_text="you like red") as at:
        at.begin(3, 2.5)
        scores = await at.judge(Judge(reds(0.2, 1.0, 0.0)))
        assert scores == pytest.approx([0.2, 1.0, 0.0], abs=0.01)
        assert await at.judge(Judge(reds(0.6), "check")) == pytest.approx([0.6], abs=0.01)
        assert at.memory.grid is not None
        assert at.memory.verdict is not None
        assert list(at.memory.verdict.scores) == scores, "the candidates' verdict, not the check's"
        assert at.memory.failure is None
        assert at.memory.judge_seconds > 0
        at.begin(4, 1.5)
        await at.judge(Judge(reds(0.2, 1.0)))
        assert at.memory.asked == 1
    names = [(ask.name.step, ask.name.ordinal, ask.kind, ask.sigma, ask.pictures) for ask in court.asked]
    assert names == [(3, 0, "candidates", 2.5, 3), (3, 1, "check", 2.5, 1), (4, 0, "candidates", 1.5, 2)]
    assert {(ask.prompt, ask.scenario) for ask in court.asked} == {("a red apple", "you like red")}
    assert len({ask.seed for ask in court.asked}) == 3


async def test_what_it_cost_is_added_up(redis: Client) -> None:
    async with desk(redis, Court()) as at:
        at.usage = Usage(judge=JudgeTotal(calls=4, usd=1.0), seconds={"judge": 100.0, "denoise": 3.0})
        for step in (1, 2):
            at.begin(step, 1.0)
            await at.judge(Judge(reds(0.0, 1.0)))
        used = at.usage
    assert (used.judge.calls, used.judge.failures, used.judge.tokens.input, used.judge.tokens.output) == (6, 0, 20, 2)
    assert used.judge.usd == pytest.approx(2.0)
    assert (used.seconds["judge"] > 100.0, used.seconds["judge_own"], used.seconds["denoise"]) == (True, 0.5, 3.0)


async def test_a_judge_without_a_price_leaves_the_cost_open(redis: Client) -> None:
    async def free(ask: JudgeAsk) -> Answer:
        return Verdict(scores=(0.0, 1.0))

    async with desk(redis, Court(before=free)) as at:
        await at.judge(Judge(reds(0.0, 1.0)))
        assert at.usage.judge.usd is None


async def test_the_cap_ends_the_asking_for_steering_and_retries_count(redis: Client) -> None:
    async def three_attempts(ask: JudgeAsk) -> Answer:
        return Verdict(scores=(0.0, 1.0), usage=JudgeUsage(calls=3))

    court = Court(before=three_attempts)
    async with desk(redis, court, budget=Budget(judge_calls=5)) as at:
        assert (at.affords("candidates", 2, 4), at.affords("candidates", 2, 5)) == (True, False), (
            "one is the comparison's"
        )
        assert (at.affords("final", 2, 5), at.affords("final", 2, 6)) == (True, False)
        assert await at.judge(Judge(reds(0.0, 1.0))) == [0.0, 1.0]
        assert (at.affords("candidates", 2, 1), at.affords("candidates", 2, 2)) == (True, False)
        at.begin(2, 1.0)
        await at.judge(Judge(reds(0.0, 1.0)))
        at.begin(3, 1.0)
        assert not at.affords("candidates", 2)
        assert await at.judge(Judge(reds(0.0, 1.0))) == [None, None]
        assert at.memory.failure == "budget_exceeded: the cap of 5 judge calls leaves none for this step"
        assert at.usage.judge.failures == 0
    assert len(court.asked) == 2


@pytest.mark.parametrize(
    ("kind", "cap", "steering", "final"),
    [
        ("scoring", 0, 0, 0),
        ("scoring", 1, 1, 1),
        ("scoring", 2, 1, 2),
        ("scoring", 9, 8, 9),
        ("selecting", 2, 2, 2),
        ("selecting", 3, 1, 3),
        ("selecting", 9, 7, 9),
    ],
)
async def test_a_cap_large_enough_for_both_keeps_the_comparisons_calls(
    redis: Client, kind: JudgeKind, cap: int, steering: int, final: int
) -> None:
    async with desk(redis, Court(kind), budget=Budget(judge_calls=cap)) as at:
        for asked, most in (("candidates", steering), ("check", steering), ("final", final), ("preference", final)):
            assert (at.affords(asked, 2, most), at.affords(asked, 2, most + 1)) == (True, False)  # type: ignore[arg-type]


async def test_an_ask_may_take_no_more_attempts_than_the_cap_leaves(redis: Client) -> None:
    court = Court("selecting")
    async with desk(redis, court, budget=Budget(judge_calls=7)) as at:
        await at.judge(Judge(reds(0.0, 1.0)))
        await at.judge(Judge(reds(0.0, 1.0), "check"))
        await at.ask("preference", reds(0.0, 1.0))
    async with desk(redis, court) as at:
        await at.judge(Judge(reds(0.0, 1.0)))
    assert [ask.allowance.calls for ask in court.asked] == [5, 4, 2, None], (
        "a preference's other ask goes out at the same time"
    )


async def test_an_ask_does_not_outlive_its_job(redis: Client) -> None:
    """The judge worker gives up with the job, not after the patience that an ask has otherwise."""
    court, soon = Court(), datetime.now(UTC) + timedelta(seconds=10)
    for deadline in (soon, soon + timedelta(days=1), None):
        async with desk(redis, court, deadline=deadline) as at:
            await at.judge(Judge(reds(0.0, 1.0)))
    first, second, third = (ask.deadline for ask in court.asked)
    assert first == soon
    assert soon < second <= datetime.now(UTC) + PATIENCE
    assert soon < third <= datetime.now(UTC) + PATIENCE


async def test_where_calls_turn_out_dearer_than_estimated_the_cap_holds_all_the_same(redis: Client) -> None:
    """$0.50 a call where $0.20 was expected. After the first call a cap of $2.20 has room for two more and the comparison."""
    court = Court(price=CallCost(usd=0.2))
    async with desk(redis, court, budget=Budget(usd=2.2)) as at:
        assert at.affords("candidates", 2, 10), "ten at the expected price and one for the comparison"
        await at.judge(Judge(reds(0.0, 1.0)))
        assert (at.affords("candidates", 2, 2), at.affords("candidates", 2, 3)) == (True, False)
        assert (at.affords("final", 2, 3), at.affords("final", 2, 4)) == (True, False)
        await at.judge(Judge(reds(0.0, 1.0)))
        again = JudgeDesk(at.spec, at.card, at.asks, at.cards, at.patience, at.usage)
        assert (again.affords("final", 2, 2), again.affords("final", 2, 3)) == (True, False), (
            "another worker knows it too"
        )
    first, second = (ask.allowance.usd for ask in court.asked)
    assert first == pytest.approx(2.0)
    assert second == pytest.approx((2.2 - 0.5 - 0.5) * 0.2 / 0.5), "in dollars of the card"


async def test_an_ask_that_a_judge_took_and_nobody_heard_of_again_counts_as_the_card_says(redis: Client) -> None:
    taken = asyncio.Event()

    async def never(ask: JudgeAsk) -> Answer:
        taken.set()
        await asyncio.get_running_loop().create_future()
        raise AssertionError

    court = Court(before=never, price=CallCost(tokens=Tokens(input=9), usd=0.5, tokens_per_picture=4))
    async with desk(redis, court) as at:
        asking = asyncio.create_task(at.judge(Judge(reds(0.0, 1.0))))
        await taken.wait()
        await let_go(asking)
        assert at.usage.judge == JudgeTotal(calls=1, tokens=Tokens(input=17, image=8), estimated=True, usd=0.5)
    async with desk(redis, court, patience=timedelta(seconds=0.3)) as at:
        await at.judge(Judge(reds(0.0, 1.0)))
        assert at.usage.judge.model_copy(update={"failures": 0}) == JudgeTotal(
            calls=1, tokens=Tokens(input=17, image=8), estimated=True, usd=0.5
        )


async def test_a_step_whose_mixture_was_not_checked_has_not_failed(redis: Client) -> None:
    async def fail_check(ask: JudgeAsk) -> Answer | None:
        if ask.kind == "check":
            raise JudgeRefused("it declined to look")
        return None

    declined = "judge_refused: it declined to look"
    for court, cap, failure in ((Court(), 2, None), (Court(before=fail_check), 9, declined)):
        async with desk(redis, court, budget=Budget(judge_calls=cap)) as at:
            await at.judge(Judge(reds(0.0, 1.0)))
            assert await at.judge(Judge(reds(0.5), "check")) == [None]
            assert (at.memory.failure, at.memory.check_failure) == (None, failure)
            assert at.memory.verdict is not None


async def test_who_waited_in_vain_does_not_wait_again_for_a_judge_that_nobody_offers(redis: Client) -> None:
    jobs, court = Jobs(redis), Court()
    claim = await claimed(jobs, judge="critic")
    async with Asks(redis) as asks:
        at = JudgeDesk(claim.record.spec, court.card, asks, Cards(redis), timedelta(milliseconds=50), Usage())
        assert await at.judge(Judge(reds(0.0, 1.0))) == [None, None]
        at.patience = PATIENCE
        async with asyncio.timeout(PATIENCE.total_seconds() / 2):
            for step in (2, 3):
                at.begin(step, 1.0)
                calls = at.usage.judge.calls
                assert await at.judge(Judge(reds(0.0, 1.0))) == [None, None]
                assert (
                    at.memory.failure
                    == "judge_unavailable: no judge worker offers the judge 'critic' any more: start one"
                )
                assert at.usage.judge.calls == calls, "it costs nothing"
        async with in_session(redis, court):
            at.begin(4, 1.0)
            assert await at.judge(Judge(reds(0.0, 1.0))) == pytest.approx([0.0, 1.0], abs=0.01)
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)


FAILURES = [
    (JudgeUnavailable("the provider answers 503"), JudgeUnavailable),
    (JudgeRefused("it declined to look"), JudgeRefused),
    (JudgeMalformed("no JSON"), JudgeMalformed),
    (JudgeError("it failed"), JudgeError),
    (ZeroDivisionError("a bug"), JudgeError),
]


@pytest.mark.parametrize("policy", ["skip", "fail"])
@pytest.mark.parametrize(("failure", "kind"), FAILURES, ids=lambda one: getattr(one, "__name__", None))
async def test_a_failure_is_remembered_for_the_audit_and_counted_and_no_verdict_whatever_the_policy(
    redis: Client, failure: Exception, kind: type[JudgeError], policy: str
) -> None:
    async def fail(ask: JudgeAsk) -> Answer:
        raise failure

    async with desk(redis, Court(before=fail), on_judge_failure=policy) as at:
        at.begin(2, 1.0)
        assert await at.judge(Judge(reds(0.0, 1.0))) == [None, None]
        assert at.memory.failure is not None
        assert at.memory.failure.startswith(f"{kind.code}: ")
        assert (at.memory.verdict, at.memory.grid, at.usage.judge.failures) == (None, None, 1)


async def test_a_judge_that_does_not_come_back_is_unavailable_in_the_end(redis: Client) -> None:
    jobs = Jobs(redis)
    claim = await claimed(jobs, judge="critic")
    async with Asks(redis) as asks:
        at = JudgeDesk(claim.record.spec, card(), asks, Cards(redis), timedelta(milliseconds=50), Usage())
        answer = await at.ask("candidates", reds(0.0, 1.0))
    assert isinstance(answer, JudgeFailure)
    assert answer.code == "judge_unavailable"
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.FAILED)
