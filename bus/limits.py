"""Limits on calls to a provider that all judge workers share: rates, calls at a time, a breaker, and whose turn it is.

It knows digests of accounts, jobs by their id and what a call is expected to take; it knows no provider, no key of one, no judge.

One script (`scripts/limits.lua`, docs/adr/0004) decides for all processes, by the clock of Redis. What holds:
- In any minute at most `requests_per_minute` calls begin. Tokens are reserved as expected and set right by what a call took.
- At most `concurrency` calls are under way, as long as workers renew their leases; a killed one's count 10 s longer.
- Jobs with waiting calls take turns, across processes: a job's second call waits for every other job's first one.
- After so many failures in a row nobody is asked for a while; then one call tries, and the pause doubles until one is answered.
- A call waits in line only as long as it can still be answered in its ask's time: else, where more calls come than may be made, each
  would be let through just before its deadline, paid for, cut off, and taken for a failure of the provider.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from time import perf_counter
from types import TracebackType
from typing import Any, Self

import structlog

from contracts.errors import BusUnavailable, JudgeError, JudgeRateLimited, JudgeUnavailable
from contracts.judging import NO_CALL, JudgeAsk, JudgeUsage
from contracts.limits import JudgeLimits

from . import keys
from .bell import Bell, wait
from .connection import Client
from .lua import script
from .queue import LEASE, process_name

BURST = 20  # of a minute's calls or tokens one in so many may come at once; the others are spread over the minute
LEAST = timedelta(milliseconds=500)  # left for a call; with less it is not worth making
SMOOTHED = 8  # calls, over which the time that one takes is averaged
CUT_OFF = timedelta(milliseconds=50)  # a call cancelled this near its deadline was cut off by it
PAUSE = timedelta(seconds=5)  # of the open breaker at first; doubled each time it opens again
LONGEST_PAUSE = timedelta(seconds=60)

log = structlog.get_logger()


class Limits:
    """`async with` it: it renews the leases of this process's calls meanwhile."""

    def __init__(self, redis: Client, *, lease: timedelta = LEASE, pause: timedelta = PAUSE) -> None:
        self.lease = lease  # of calls under way, and of places in line
        self.look_every = lease / 3
        self.pause = pause
        self.process = process_name()
        self.numbers = itertools.count()
        self.bell = Bell(redis, self.process)
        self.script, self._hold = script(redis, "limits"), script(redis, "hold")
        self.held: dict[str, str] = {}  # calls under way, by ticket, to their account
        self._renewing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._renewing = asyncio.create_task(self._renew(), name="leases of calls")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._renewing is not None
        self._renewing.cancel()
        await asyncio.wait([self._renewing])

    def gate(self, limits: JudgeLimits) -> "LimitGate":
        """The way through to one account."""
        return LimitGate(self, limits)

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.look_every.total_seconds())
            for account in set(self.held.values()):
                tickets = [ticket for ticket, of in self.held.items() if of == account]
                try:
                    await self._hold(args=[account, _ms(self.lease), *tickets])
                except BusUnavailable as error:
                    log.warning("leases of calls not renewed, others may be let through", reason=str(error))


@dataclass
class Passage:
    """One call under way."""

    expected: int
    real: int = 0

    def used(self, usage: JudgeUsage) -> None:
        """What the call really took. Where nobody says so, what was expected stands."""
        self.real = usage.tokens.input + usage.tokens.output

    @property
    def unused(self) -> int:
        """Tokens reserved and not taken; negative where it took more."""
        return self.expected - self.real if self.real else 0


@dataclass
class LimitGate:
    """Lets calls to one account through. The interface is `reward_adapters.gate.Gate`, which judges know us by."""

    limits: Limits
    of: JudgeLimits
    usual: float = 0.0  # seconds that an answered call takes, as far as this process knows

    @asynccontextmanager
    async def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AsyncIterator[Passage]:
        """Entered when the call may be made; see the module. Errors raised here cost no call.

        Raises JudgeRateLimited where it could not be made in the ask's time, and JudgeUnavailable where the breaker is open, until
        it may be tried again, or Redis is away: without it nobody knows the limits.
        """
        passage = Passage(expected.tokens.input + expected.tokens.output)
        ticket = f"{self.limits.process} {next(self.limits.numbers)} {passage.expected} {ask.name.job}"
        outcome, retry_after = "unmade", timedelta(0)
        try:
            await self._let_through(ask, ticket)
            self.limits.held[ticket] = self.of.account
            outcome, began = "unknown", perf_counter()
            yield passage
            outcome = "answered"
            self.usual += (perf_counter() - began - self.usual) / SMOOTHED
        except JudgeError as error:
            if outcome != "unmade":
                outcome, retry_after = _outcome(error)
            raise
        except asyncio.CancelledError:
            if outcome != "unmade" and datetime.now(UTC) >= ask.deadline - CUT_OFF:
                outcome = "failed"
            raise
        finally:
            self.limits.held.pop(ticket, None)
            await self._leave(ticket, outcome, passage.unused if outcome != "unmade" else passage.expected, retry_after)

    @property
    def _rules(self) -> tuple[float, ...]:
        rates = (*_rate(self.of.requests_per_minute), *_rate(self.of.tokens_per_minute))
        times = (_ms(self.limits.pause), _ms(LONGEST_PAUSE), _ms(self.limits.lease))
        return (*rates, self.of.concurrency or 0, self.of.failures, *times)

    async def _let_through(self, ask: JudgeAsk, ticket: str) -> None:
        now = datetime.now(UTC)
        end = latest_start(now, ask.deadline, self.usual)
        try:
            async with asyncio.timeout((end - now).total_seconds()):
                if await self._look(ask, ticket, end) is None:
                    return
                async with self.limits.bell.listen(ticket) as rung:
                    while (pause := await self._look(ask, ticket, end)) is not None:
                        await wait(rung, pause)
                        rung.clear()
        except TimeoutError as error:
            raise self._late(ask) from error
        except BusUnavailable as error:
            raise _final(
                JudgeUnavailable(f"the limits of the judge {ask.judge!r} cannot be looked up: {error.public}")
            ) from error

    async def _look(self, ask: JudgeAsk, ticket: str, end: datetime) -> float | None:
        """None: go. Otherwise the seconds to wait before the next look."""
        answer: Any = await self.limits.script(args=["enter", self.of.account, ticket, *self._rules])
        said = answer[0].decode()
        if said == "go":
            return None
        span = timedelta(milliseconds=answer[1])
        if said == "open":
            raise JudgeUnavailable(
                f"the server of the judge {ask.judge!r} failed {self.of.failures} times in a row or more: it is left alone for a while",
                span,
                NO_CALL,
            )
        if datetime.now(UTC) + span >= end:
            raise self._late(ask, span)
        first_in_line = bool(answer[2])
        return min(span if first_in_line and span else self.limits.look_every, self.limits.look_every).total_seconds()

    def _late(self, ask: JudgeAsk, span: timedelta | None = None) -> JudgeError:
        if not (self.of.requests_per_minute or self.of.tokens_per_minute or self.of.concurrency or span):
            return _final(
                JudgeUnavailable(f"the time of this step is over before the judge {ask.judge!r} could ask its model")
            )
        return _final(
            JudgeRateLimited(
                f"the limits of the judge {ask.judge!r} let no more calls through in the time this step had: more calls wait than its "
                "requests_per_minute, tokens_per_minute and concurrency allow",
                span,
            )
        )

    async def _leave(self, ticket: str, outcome: str, unused: int, retry_after: timedelta) -> None:
        """What the call came to stands, whether or not it can be said: without it the lease runs out by itself."""
        ms = min(_ms(retry_after), _ms(keys.LIMIT_LIFE))
        try:
            await self.limits.script(args=["leave", self.of.account, ticket, *self._rules, outcome, unused, ms])
        except BusUnavailable as error:
            log.warning("the end of a call could not be noted, its lease runs out", reason=str(error))


def latest_start(now: datetime, deadline: datetime, usual: float) -> datetime:
    """Until when a call may wait in line: it keeps twice its usual seconds, but no more than half of the time that is left now."""
    return deadline - max(LEAST, min(timedelta(seconds=2 * usual), (deadline - now) / 2))


def _rate(per_minute: int | None) -> tuple[float, int]:
    """Milliseconds a unit, 0 for no limit, and how many may come at once, so that no minute sees more than `per_minute`.

    GCRA lets burst - 1 + 60 s / interval units begin in a minute, which gives the interval.
    """
    if per_minute is None:
        return 0, 0
    burst = 1 + per_minute // BURST
    return 60_000 / (per_minute - burst + 1), burst


def _outcome(error: JudgeError) -> tuple[str, timedelta]:
    """What an error says of the provider: whether it answers, and when it wants to be asked again."""
    if error.usage.calls == 0:
        return "unmade", timedelta(0)
    if isinstance(error, JudgeRateLimited):
        return "answered", error.retry_after or timedelta(0)
    return ("failed" if isinstance(error, JudgeUnavailable) else "answered"), timedelta(0)


def _final(error: JudgeError) -> JudgeError:
    """Of a call that was not made; and made again at once it would end the same way."""
    error.usage, error.retryable = NO_CALL, False
    return error


def _ms(span: timedelta) -> int:
    return int(span.total_seconds() * 1000)
