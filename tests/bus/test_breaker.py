"""The breaker: opens for all processes after failures in a row, lets one call try after a pause that grows, closes by its answer."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta

import pytest

from bus import keys
from bus.connection import Client, connect
from bus.limits import LONGEST_PAUSE, LimitGate, Limits
from contracts.errors import (
    JudgeError,
    JudgeMalformed,
    JudgeMisconfigured,
    JudgeQuotaExhausted,
    JudgeRateLimited,
    JudgeRefused,
    JudgeUnavailable,
)
from contracts.judging import NO_CALL, JudgeAsk
from contracts.limits import JudgeLimits

from ..conftest import wait_until
from .calls import ACCOUNT, ask, call, fails, gates, in_line


async def refused(gate: LimitGate) -> JudgeUnavailable:
    """The error of a call that an open breaker stops."""
    with pytest.raises(JudgeUnavailable, match="left alone") as raised:
        await call(gate)
    return raised.value


async def test_the_breaker_opens_for_all_after_failures_in_a_row(redis: Client) -> None:
    async with gates(redis, 2, failures=3) as (one, other):
        await fails(one, JudgeUnavailable("503"))
        await fails(other, JudgeUnavailable("503"))
        await call(one)
        for _ in range(3):
            await fails(other, JudgeUnavailable("503"))
        error = await refused(one)
    assert error.usage == NO_CALL
    assert error.retryable, (
        "after the pause, where the ask has the time: else a job would run through its steps unjudged"
    )
    assert error.retry_after is not None
    assert timedelta(0) < error.retry_after <= timedelta(seconds=5)


@pytest.mark.parametrize(
    "error",
    [
        JudgeRateLimited("429"),
        JudgeMalformed("no JSON"),
        JudgeRefused("no"),
        JudgeMisconfigured("401"),
        JudgeQuotaExhausted("402"),
        JudgeUnavailable("no time left", usage=NO_CALL),
    ],
)
async def test_answers_of_any_kind_open_no_breaker(redis: Client, error: JudgeError) -> None:
    async with gates(redis, failures=1) as (gate,):
        await fails(gate, error)
        await call(gate)


async def test_a_call_that_its_deadline_cuts_off_is_a_failure_and_one_cancelled_before_is_not(redis: Client) -> None:
    async def hang(gate: LimitGate, question: JudgeAsk) -> None:
        async with gate.call(question, NO_CALL):
            entered.set()
            async with asyncio.timeout((question.deadline - datetime.now(UTC)).total_seconds()):
                await asyncio.Event().wait()

    async with gates(redis, failures=1) as (gate,):
        entered = asyncio.Event()
        canceled = asyncio.create_task(hang(gate, ask()))
        await entered.wait()
        canceled.cancel()
        await asyncio.wait([canceled])
        await call(gate)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await cut_off(gate)
        await refused(gate)


async def cut_off(gate: LimitGate) -> None:
    """A call that never ends, under a time-out of its caller that is the ask's deadline."""
    question = ask(seconds=0.8)
    async with (
        asyncio.timeout((question.deadline - datetime.now(UTC)).total_seconds()),
        gate.call(question, NO_CALL),
    ):
        await asyncio.Event().wait()


async def test_who_waits_when_it_opens_fails_at_once(redis: Client) -> None:
    async with gates(redis, 2, failures=1, concurrency=1) as (one, other):
        waiting: list[asyncio.Task[None]] = []

        async def fail_when_they_wait() -> None:
            async with one.call(ask(), NO_CALL):
                waiting.extend(asyncio.create_task(call(gate, job="gen_b")) for gate in (one, other, other))
                await in_line(redis, 3)
                raise JudgeUnavailable("503")

        with pytest.raises(JudgeUnavailable, match="503"):
            await fail_when_they_wait()
        ends = await asyncio.gather(*waiting, return_exceptions=True)
    assert [str(end).count("left alone") for end in ends] == [1, 1, 1]


async def test_after_the_pause_one_call_tries_and_its_answer_lets_all_through(redis: Client) -> None:
    async with gates(redis, 2, failures=1, pause=0.2) as (one, other):
        await fails(one, JudgeUnavailable("503"))
        async with AsyncExitStack() as probing:
            await entered_at_last(probing, one)
            await refused(other)
        await call(other)
        await call(one)


async def test_the_pause_doubles_while_the_one_that_tries_fails(redis: Client) -> None:
    async def clock() -> float:
        seconds, micros = await redis.time()
        return float(seconds * 1000 + micros / 1000)

    async def try_and_fail(gate: LimitGate) -> None:
        async with AsyncExitStack() as probing:
            await entered_at_last(probing, gate)
            raise JudgeUnavailable("503")

    async with gates(redis, failures=1, pause=0.1) as (gate,):
        await fails(gate, JudgeUnavailable("503"))
        for pause in (200, 400, 800):
            before = await clock()
            with pytest.raises(JudgeUnavailable, match="503"):
                await try_and_fail(gate)
            until = float(await redis.hget(keys.LIMITS % ACCOUNT, "open_until") or 0)
            assert until - await clock() <= pause <= until - before + 1
    assert timedelta(seconds=60) == LONGEST_PAUSE


async def entered_at_last(stack: AsyncExitStack, gate: LimitGate) -> None:
    """Inside a call, once the breaker lets one through; it is left with the stack."""

    async def entered() -> bool:
        try:
            await stack.enter_async_context(gate.call(ask(), NO_CALL))
        except JudgeUnavailable:
            return False
        return True

    await wait_until(entered, "the breaker lets one call try")


async def test_without_redis_nobody_is_let_through() -> None:
    async with (
        connect("redis://127.0.0.1:1/0", patience=timedelta(milliseconds=100)) as nowhere,
        Limits(nowhere) as limits,
    ):
        with pytest.raises(JudgeUnavailable, match="cannot reach its Redis") as raised:
            await call(limits.gate(JudgeLimits(account=ACCOUNT)))
    assert raised.value.usage == NO_CALL
    assert "127.0.0.1" not in str(raised.value)
