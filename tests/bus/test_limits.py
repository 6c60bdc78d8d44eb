"""Limits that processes share: rates, calls at a time, turns; by hand-worked cases against a real server."""

import asyncio
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus import keys
from bus.connection import Client
from bus.limits import BURST, LimitGate, _rate, latest_start
from contracts.errors import (
    JudgeRateLimited,
    JudgeUnavailable,
)
from contracts.judging import NO_CALL
from contracts.limits import JudgeLimits

from ..conftest import wait_until
from .calls import ACCOUNT, ask, call, fails, gates, in_line, tokens

ROOT = Path(__file__).parents[2]
PROCESS = """
import asyncio, sys
from datetime import timedelta
from bus.connection import connect
from bus.limits import Limits
from contracts.judging import NO_CALL
from contracts.limits import JudgeLimits
from tests.bus.builders import ask

async def main():
    async with connect(sys.argv[1]) as redis, Limits(redis, lease=timedelta(seconds=0.6)) as limits:
        async with limits.gate(JudgeLimits(account=sys.argv[2], concurrency=1)).call(ask("another"), NO_CALL):
            print("in", flush=True)
            await asyncio.Event().wait()

asyncio.run(main())
"""


# Rates


@given(st.integers(1, 100_000))
def test_a_burst_and_what_follows_it_make_no_minute_too_full(per_minute: int) -> None:
    """Calls as early as GCRA allows: `burst` at 0, then one an interval. The half-open minute from 0 is the fullest."""
    interval, burst = _rate(per_minute)
    later = int((60_000 - 1e-6) // interval)
    assert burst + later == per_minute
    assert burst <= 1 + per_minute / BURST


async def test_a_call_more_than_the_rate_waits_and_one_that_would_wait_too_long_fails_at_once(redis: Client) -> None:
    async with gates(redis, 2, requests_per_minute=1) as (one, other):
        await call(one)
        with pytest.raises(JudgeRateLimited) as raised:
            await call(other)
    error = raised.value
    assert error.usage == NO_CALL
    assert not error.retryable, "the worker would only wait for it again"
    assert error.retry_after is not None
    assert timedelta(seconds=30) < error.retry_after <= timedelta(minutes=1)


async def test_calls_come_as_the_rate_says(redis: Client) -> None:
    """600 a minute: 31 at once, then one each 60/570 s. By a lower bound: nothing is said of how late they come."""
    loop = asyncio.get_running_loop()
    async with gates(redis, 2, requests_per_minute=600) as both:
        began = loop.time()
        await asyncio.gather(*(call(both[k % 2], job=f"gen_{k % 5}") for k in range(34)))
        assert loop.time() - began >= 3 * 60 / 570 - 0.005


async def test_a_call_that_was_not_made_gives_its_place_back(redis: Client) -> None:
    async with gates(redis, requests_per_minute=1, tokens_per_minute=100) as (gate,):
        await fails_unmade(gate)
        await call(gate, expected=90)


async def fails_unmade(gate: LimitGate) -> None:
    with pytest.raises(JudgeUnavailable, match="no time left"):
        await call(gate, JudgeUnavailable("no time left", usage=NO_CALL), expected=90)


@pytest.mark.parametrize(
    ("expected", "used", "goes"),
    [(1000, 10, True), (1000, None, False), (1000, 0, False), (10, 1000, False), (10, 10, True)],
)
async def test_tokens_are_reserved_and_set_right_by_what_the_call_took(
    redis: Client, expected: int, used: int | None, goes: bool
) -> None:
    """1000 a minute, so 1000 of them are gone for about a minute, 10 for half a second. Where nobody says, what was expected stands."""
    async with gates(redis, tokens_per_minute=1000) as (gate,):
        async with gate.call(ask(), tokens(expected)) as permit:
            if used is not None:
                permit.used(tokens(used))
        if goes:
            await call(gate, expected=40)
            return
        with pytest.raises(JudgeRateLimited):
            await call(gate, expected=40)


async def test_a_call_larger_than_all_that_may_come_at_once_goes_all_the_same(redis: Client) -> None:
    async with gates(redis, tokens_per_minute=100) as (gate,):
        await call(gate, expected=10_000)
        with pytest.raises(JudgeRateLimited) as raised:
            await call(gate, expected=1)
    assert raised.value.retry_after is not None
    assert raised.value.retry_after > timedelta(minutes=90)


async def test_when_the_provider_says_wait_all_wait(redis: Client) -> None:
    async with gates(redis, 2) as (one, other):
        began = asyncio.get_running_loop().time()
        await fails(one, JudgeRateLimited("429", timedelta(milliseconds=200)))
        await call(other)
        assert asyncio.get_running_loop().time() - began >= 0.195
        await fails(one, JudgeRateLimited("429", timedelta(minutes=5)))
        with pytest.raises(JudgeRateLimited) as raised:
            await call(other)
        assert raised.value.usage == NO_CALL


async def test_no_call_is_let_through_too_late_to_be_answered(redis: Client) -> None:
    """The second may begin 20 s on, 10 s before its deadline: in time for calls of 4 s, and in vain for those of 8."""
    async with gates(redis, 2, requests_per_minute=3) as (one, other):
        await call(one)
        assert one.usual > 0
        one.usual, other.usual = 4.0, 8.0
        with pytest.raises(JudgeRateLimited):
            await call(other, job="gen_b")
        in_time = asyncio.create_task(call(one))
        await in_line(redis, 1)
        in_time.cancel()
        await asyncio.wait([in_time])


async def test_calls_of_other_jobs_in_line_are_waited_for_and_the_jobs_own_known_to_last_too_long_are_not(
    redis: Client,
) -> None:
    """One each 20 s, 30 s to wait: the third job's call comes too late only if the second job's does not give up."""
    async with gates(redis, requests_per_minute=3) as (gate,):
        await call(gate)
        waiting = []
        for place, job in enumerate(("gen_b", "gen_c"), 1):
            waiting.append(asyncio.create_task(call(gate, job=job)))
            await in_line(redis, place)
        with pytest.raises(JudgeRateLimited):
            await call(gate, job="gen_b")
        await in_line(redis, 2)
        for one in waiting:
            one.cancel()
        await asyncio.wait(waiting)


@given(left=st.floats(0.0, 300.0), usual=st.floats(0.0, 600.0))
def test_what_a_call_usually_takes_is_kept_for_it_but_half_of_its_time_at_most(left: float, usual: float) -> None:
    now = datetime.now(UTC)
    kept = (now + timedelta(seconds=left) - latest_start(now, now + timedelta(seconds=left), usual)).total_seconds()
    assert kept == pytest.approx(max(0.5, min(2 * usual, left / 2)), abs=1e-5)


async def test_accounts_are_apart(redis: Client) -> None:
    async with gates(redis, requests_per_minute=1) as (gate,):
        await call(gate)
        await call(gate.limits.gate(JudgeLimits(account="another", requests_per_minute=1)))


# Calls at a time


async def test_no_more_calls_at_a_time_than_allowed_over_processes(redis: Client) -> None:
    now, most = 0, 0

    async def work(gate: LimitGate, job: str) -> None:
        nonlocal now, most
        async with gate.call(ask(job), NO_CALL):
            now += 1
            most = max(most, now)
            await asyncio.sleep(0)
            assert await redis.zcard(keys.LIMIT_LEASES % ACCOUNT) <= 3
            now -= 1

    async with gates(redis, 2, concurrency=3) as both, asyncio.TaskGroup() as group:
        for k in range(40):
            group.create_task(work(both[k % 2], f"gen_{k % 7}"))
    assert most == 3


async def test_a_killed_workers_calls_count_until_their_lease_is_over(redis: Client) -> None:
    command = [sys.executable, "-c", PROCESS, redis.url, ACCOUNT]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout is not None
    try:
        assert await process.stdout.readline() == b"in\n"
    finally:
        process.kill()
        await process.wait()
    async with gates(redis, concurrency=1, lease=0.6) as (gate,):
        await call(gate)


async def test_a_lease_is_renewed_while_the_call_lasts(redis: Client) -> None:
    entered = asyncio.Event()

    async def end_of_lease() -> float:
        (lease,) = await cast(Any, redis).zrange(keys.LIMIT_LEASES % ACCOUNT, 0, -1, withscores=True)
        return float(lease[1])

    async def wait_in_line(gate: LimitGate) -> None:
        async with gate.call(ask("gen_b"), NO_CALL):
            entered.set()

    async with (
        gates(redis, 2, concurrency=1, lease=1.0) as (one, other),
        asyncio.TaskGroup() as group,
        one.call(ask(), NO_CALL),
    ):
        first = await end_of_lease()
        group.create_task(wait_in_line(other))

        async def renewed() -> bool:
            return await end_of_lease() > first + 1000

        await wait_until(renewed, "the lease ends later than it could have without being renewed")
        assert not entered.is_set()
    assert entered.is_set()


async def test_who_gives_up_leaves_the_line(redis: Client) -> None:
    async with gates(redis, concurrency=1) as (gate,):
        async with gate.call(ask(), NO_CALL):
            waiting = asyncio.create_task(call(gate, job="gen_b"))
            await in_line(redis, 1)
            waiting.cancel()
            await asyncio.wait([waiting])
            await in_line(redis, 0)
            with pytest.raises(JudgeRateLimited) as raised:
                async with gate.call(ask(seconds=0.7), NO_CALL):
                    pass
            assert raised.value.usage == NO_CALL
            await in_line(redis, 0)
        await call(gate)


# Turns


async def test_jobs_take_turns_across_processes(redis: Client) -> None:
    """A has six calls in line before B has one and C two: A B C A C A A A A."""
    order: list[str] = []

    async def one_of(gate: LimitGate, job: str) -> None:
        async with gate.call(ask(job), NO_CALL):
            order.append(job)

    async with (
        gates(redis, 2, concurrency=1) as (one, other),
        asyncio.TaskGroup() as group,
        one.call(ask("holder"), NO_CALL),
    ):
        for place, (gate, job) in enumerate([(one, "A")] * 6 + [(other, "B")] + [(other, "C")] * 2):
            group.create_task(one_of(gate, job))
            await in_line(redis, place + 1)
    assert "".join(order) == "ABCACAAAA"


async def test_a_place_in_line_whose_process_is_gone_is_passed_over(redis: Client) -> None:
    async with gates(redis, concurrency=1, lease=0.5) as (gate,):
        async with gate.call(ask(), NO_CALL):
            rules = [str(rule) for rule in gate._rules]
            await gate.limits.script(args=["enter", ACCOUNT, "gone-process 0 0 gen_gone", *rules])
            waiting = asyncio.create_task(call(gate, job="gen_b"))
            await in_line(redis, 2)
            await in_line(redis, 1)
        await waiting


async def test_without_limits_a_step_whose_time_is_over_blames_none(redis: Client) -> None:
    async with gates(redis) as [gate]:
        with pytest.raises(JudgeUnavailable, match="the time of this step is over"):
            async with gate.call(ask(seconds=0.3), tokens(0)):
                pytest.fail("half a second is the least for a call")
