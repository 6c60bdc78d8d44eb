"""Gates to one account, and calls through them that end at once, for the tests of the limits. It knows no test."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest

from bus import keys
from bus.connection import Client
from bus.limits import LimitGate, Limits
from contracts.errors import JudgeError
from contracts.judging import JudgeAsk, JudgeUsage, Tokens
from contracts.limits import JudgeLimits

from ..conftest import wait_until
from . import builders

ACCOUNT = "0123456789abcdef"


@asynccontextmanager
async def gates(redis: Client, count: int = 1, **limits: Any) -> AsyncIterator[list[LimitGate]]:
    """As many ways to one account as there would be processes. `lease` and `pause` are those of Limits."""
    of_limits = {name: timedelta(seconds=limits.pop(name)) for name in ("lease", "pause") if name in limits}
    async with AsyncExitStack() as stack:
        all_of = [await stack.enter_async_context(Limits(redis, **of_limits)) for _ in range(count)]
        yield [one.gate(JudgeLimits(account=ACCOUNT, **limits)) for one in all_of]


def ask(job: str = "gen_a", seconds: float = 30.0) -> JudgeAsk:
    return builders.ask(job, seconds=seconds)


def tokens(number: int) -> JudgeUsage:
    return JudgeUsage(tokens=Tokens(input=number - 1, output=1) if number else Tokens())


async def call(gate: LimitGate, error: JudgeError | None = None, *, job: str = "gen_a", expected: int = 0) -> None:
    """One call that ends at once."""
    async with gate.call(ask(job), tokens(expected)):
        if error is not None:
            raise error


async def fails(gate: LimitGate, error: JudgeError) -> None:
    """One call that is made and ends with this error."""
    with pytest.raises(type(error)) as raised:
        await call(gate, error)
    assert raised.value is error


async def in_line(redis: Client, count: int) -> None:
    async def so_many() -> bool:
        return bool(await redis.zcard(keys.LIMIT_WAITING % ACCOUNT) == count)

    await wait_until(so_many, f"{count} calls wait in line")
