"""How a judge worker answers one ask: in time, with retries where they may help, every attempt counted.

It knows judges by their protocol and the ask's deadline; it knows no queue and no Redis.
"""

import asyncio
import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import stamina
import structlog

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import NO_CALL, JudgeAsk, JudgeFailure, JudgeUsage, Verdict
from reward_adapters.base import Judge

ATTEMPTS = 3
FIRST_PAUSE = timedelta(milliseconds=200)  # doubled each time, plus chance, unless the judge says when to come back
JITTER = timedelta(milliseconds=200)
LAST_WORDS = timedelta(milliseconds=250)  # at most: for a judge that keeps the deadline, to say what it has spent

log = structlog.get_logger()


@dataclass
class _Trial:
    """Attempts made so far and what they cost, kept beside the attempts because they may be cut off at any point."""

    attempts: int = 0
    spent: JudgeUsage = NO_CALL


class Bench:
    """The judges of one worker, by name."""

    def __init__(self, judges: Mapping[str, Judge]) -> None:
        self._judges = judges

    async def answer(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict | JudgeFailure:
        """The judge's verdict, or its failure after at most three attempts, never later than the ask's deadline.

        The ask may allow fewer attempts. Errors that are no JudgeError are bugs, logged here; what they may have cost counts all the
        same.
        """
        began, trial = time.perf_counter(), _Trial()
        said = log.bind(judge=ask.judge, job=ask.name.job, step=ask.name.step, kind=ask.kind)
        try:
            verdict = await self._in_time(ask, pictures, trial)
        except JudgeError as error:
            said.warning("judge failed", code=error.code, reason=str(error), attempts=trial.attempts)
            failure = error
        except Exception as error:
            said.exception("the judge failed unexpectedly")
            failure = JudgeError(f"the judge {ask.judge!r} failed ({type(error).__name__})")
        else:
            seconds = time.perf_counter() - began
            said.debug("judged", pictures=ask.pictures, seconds=round(seconds, 3), attempts=trial.attempts)
            return verdict.model_copy(update={"usage": trial.spent.model_copy(update={"seconds": seconds})})
        usage = trial.spent.model_copy(update={"seconds": time.perf_counter() - began})
        return JudgeFailure(code=failure.code, detail=str(failure), usage=usage)

    async def _in_time(self, ask: JudgeAsk, pictures: Sequence[bytes], trial: _Trial) -> Verdict:
        try:
            async with asyncio.timeout((ask.deadline - datetime.now(UTC)).total_seconds()) as limit:
                return await self._with_retries(ask, pictures, trial)
        except TimeoutError as error:
            if not limit.expired():
                raise
            raise JudgeUnavailable(f"the judge {ask.judge!r} gave no answer within its time") from error

    async def _with_retries(self, ask: JudgeAsk, pictures: Sequence[bytes], trial: _Trial) -> Verdict:
        def pause(error: Exception) -> bool | timedelta:
            left = ask.allowance.after(trial.spent)
            return left.covers(judge.card.cost(ask.pictures)) and pause_before_retry(error, ask.deadline)

        judge = self._judges[ask.judge]
        async for attempt in stamina.retry_context(
            on=pause, attempts=ATTEMPTS, timeout=None, wait_initial=FIRST_PAUSE, wait_jitter=JITTER
        ):
            with attempt:
                trial.attempts = attempt.num
                return checked(await self._tried(judge, ask, pictures, trial), ask)
        raise AssertionError("the last attempt returns or raises")

    async def _tried(self, judge: Judge, ask: JudgeAsk, pictures: Sequence[bytes], trial: _Trial) -> Verdict:
        """One attempt. One that is cut off counts as the card says, for nobody says what it cost."""
        before = trial.spent
        trial.spent = before.plus(judge.card.cost(ask.pictures))
        try:
            left, words = ask.allowance.after(before), min(LAST_WORDS, (ask.deadline - datetime.now(UTC)) / 20)
            bound = ask.model_copy(update={"allowance": left, "deadline": ask.deadline - words})
            verdict = await judge.score(bound, pictures)
        except JudgeError as error:
            trial.spent = before.plus(error.usage)
            raise
        trial.spent = before.plus(verdict.usage)
        return verdict


def pause_before_retry(error: Exception, deadline: datetime) -> bool | timedelta:
    """Whether to try again, and where the judge said when: not before then, nor at all where that is too late to be answered."""
    if not isinstance(error, JudgeError) or not error.retryable:
        return False
    if datetime.now(UTC) + (error.retry_after or FIRST_PAUSE) + LAST_WORDS >= deadline:
        return False
    return error.retry_after or True


def checked(verdict: Verdict, ask: JudgeAsk) -> Verdict:
    """The verdict, if it is one on these pictures. Raises JudgeMalformed: wrong number of scores, or one that is not finite."""
    if len(verdict.scores) != ask.pictures:
        raise JudgeMalformed(
            f"the judge {ask.judge!r} gave {len(verdict.scores)} scores for {ask.pictures} pictures: one each is asked for"
        )
    if not all(math.isfinite(score) for score in (*verdict.scores, *(verdict.measured or ())) if score is not None):
        raise JudgeMalformed(f"the judge {ask.judge!r} gave scores that are not finite: {verdict.scores}")
    return verdict
