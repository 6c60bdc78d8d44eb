"""A judge worker tries again where that may help, counts what it cost, keeps the deadline and never makes a verdict up."""

import asyncio
import math
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta

import pytest
import stamina
from structlog.testing import capture_logs

from contracts.errors import JudgeError, JudgeMalformed, JudgeRefused, JudgeUnavailable
from contracts.judging import Allowance, JudgeAsk, JudgeCard, JudgeFailure, JudgeUsage, Tokens, Verdict
from workers.judging import ATTEMPTS, Bench, pause_before_retry

from ..adapters.pictures import ask
from ..conftest import wait_until

CARD = JudgeCard(name="scripted", kind="scoring", description="A test's.", objective="none")
PICTURES = [b"one", b"two"]
GOOD = Verdict(scores=(1.0, None), rationale="because", usage=JudgeUsage(calls=1, tokens=Tokens(input=9), usd=0.01))

Line = Verdict | Exception


class ScriptedJudge:
    """Says its lines one after the other, the last one for ever; then it never answers, where it has none."""

    card = CARD

    def __init__(self, *lines: Line) -> None:
        self.lines = list(lines)
        self.asked: list[float] = []

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        self.asked.append(asyncio.get_running_loop().time())
        if not self.lines:
            await asyncio.get_running_loop().create_future()
        line = self.lines.pop(0) if len(self.lines) > 1 else self.lines[0]
        if isinstance(line, Exception):
            raise line
        return line


async def answer_of(judge: ScriptedJudge, seconds: float = 60.0, attempts: int | None = None) -> Verdict | JudgeFailure:
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    asked = ask(CARD, len(PICTURES), deadline=deadline, allowance=Allowance(calls=attempts))
    return await Bench({"scripted": judge}).answer(asked, PICTURES)


@pytest.fixture
def no_pauses() -> Iterator[None]:
    """Retries without the pauses between them."""
    with stamina.set_testing(True, attempts=ATTEMPTS):
        yield


async def test_a_verdict_goes_through_with_its_usage_and_the_time_it_took() -> None:
    answer = await answer_of(ScriptedJudge(GOOD))
    assert answer.usage.seconds > 0
    assert answer.model_copy(update={"usage": GOOD.usage}) == GOOD
    assert answer.usage.model_copy(update={"seconds": 0.0}) == GOOD.usage


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize("passing", [JudgeUnavailable("503"), JudgeMalformed("no JSON"), Verdict(scores=(1.0,))])
async def test_what_may_pass_is_tried_again_and_every_attempt_is_counted(passing: Line) -> None:
    judge = ScriptedJudge(passing, passing, GOOD)
    answer = await answer_of(judge)
    assert isinstance(answer, Verdict)
    assert (answer.scores, answer.usage.calls, len(judge.asked)) == (GOOD.scores, 3, 3)


@pytest.mark.usefixtures("no_pauses")
async def test_what_failed_attempts_cost_is_counted_too() -> None:
    costly = JudgeMalformed("no JSON", usage=JudgeUsage(calls=2, tokens=Tokens(input=7, output=1), usd=0.25))
    answer = await answer_of(ScriptedJudge(costly, JudgeUnavailable("503"), GOOD))
    used = JudgeUsage(calls=4, tokens=Tokens(input=16, output=1), usd=0.26, seconds=answer.usage.seconds)
    assert isinstance(answer, Verdict)
    assert answer.usage == used
    answer = await answer_of(ScriptedJudge(costly))
    assert isinstance(answer, JudgeFailure)
    assert (answer.usage.calls, answer.usage.tokens.input, answer.usage.usd) == (6, 21, 0.75)


@pytest.mark.usefixtures("no_pauses")
async def test_after_the_last_attempt_it_is_a_failure_of_its_kind() -> None:
    answer = await answer_of(ScriptedJudge(JudgeUnavailable("the provider answers 503")))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.detail) == ("judge_unavailable", "the provider answers 503")
    assert answer.usage.calls == ATTEMPTS


@pytest.mark.parametrize("final", [JudgeRefused("it declined to look"), JudgeError("not a picture")])
async def test_what_will_not_pass_is_not_tried_again(final: JudgeError) -> None:
    answer = await answer_of(ScriptedJudge(final))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls) == (final.code, 1)


@pytest.mark.usefixtures("no_pauses")
@pytest.mark.parametrize(
    "broken",
    [
        Verdict(scores=()),
        Verdict(scores=(1.0, 2.0, 3.0)),
        Verdict(scores=(math.nan, 1.0)),
        Verdict(scores=(1.0, math.inf)),
        Verdict(scores=(5.0, -5.0), measured=(math.nan, 0.0)),
    ],
)
async def test_a_verdict_that_is_none_on_these_pictures_is_malformed(broken: Verdict) -> None:
    answer = await answer_of(ScriptedJudge(broken))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls) == ("judge_malformed", ATTEMPTS)


async def test_a_judge_that_does_not_answer_fails_at_the_deadline() -> None:
    answer = await answer_of(ScriptedJudge(), seconds=0.05)
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls) == ("judge_unavailable", 1)
    assert "gave no answer within its time" in answer.detail


async def test_a_judge_that_may_be_asked_only_after_the_deadline_is_given_up_at_once_with_its_own_reason() -> None:
    judge = ScriptedJudge(JudgeUnavailable("the provider allows 3 asks an hour", retry_after=timedelta(hours=1)))
    async with asyncio.timeout(20):
        answer = await answer_of(judge, seconds=600)
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.detail) == ("judge_unavailable", "the provider allows 3 asks an hour")
    assert (answer.usage.calls, len(judge.asked)) == (1, 1)


async def test_a_pause_does_not_outlast_the_deadline() -> None:
    judge = ScriptedJudge(JudgeUnavailable("503"))
    answer = await answer_of(judge, seconds=0.05)
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, len(judge.asked)) == ("judge_unavailable", 1)


@pytest.mark.parametrize(("allowed", "made"), [(1, 1), (2, 2), (3, ATTEMPTS), (9, ATTEMPTS), (None, ATTEMPTS)])
async def test_an_ask_may_allow_fewer_attempts(allowed: int | None, made: int) -> None:
    judge = ScriptedJudge(JudgeUnavailable("503", retry_after=timedelta(milliseconds=1)))
    answer = await answer_of(judge, attempts=allowed)
    assert isinstance(answer, JudgeFailure)
    assert (answer.usage.calls, len(judge.asked)) == (made, made)


async def test_it_comes_back_when_the_judge_says_and_not_before() -> None:
    judge = ScriptedJudge(JudgeUnavailable("429", retry_after=timedelta(seconds=0.6)), GOOD)
    assert isinstance(await answer_of(judge), Verdict)
    assert judge.asked[1] - judge.asked[0] >= 0.6


def test_only_retryable_errors_of_judges_are_tried_again() -> None:
    deadline = datetime.now(UTC) + timedelta(minutes=1)
    assert pause_before_retry(JudgeUnavailable("503"), deadline) is True
    assert pause_before_retry(JudgeUnavailable("429", retry_after=timedelta(seconds=7)), deadline) == timedelta(
        seconds=7
    )
    assert pause_before_retry(JudgeUnavailable("429", retry_after=timedelta(minutes=1)), deadline) is False
    assert pause_before_retry(JudgeRefused("no"), deadline) is False
    assert pause_before_retry(ZeroDivisionError(), deadline) is False


@pytest.mark.parametrize("bug", [ZeroDivisionError("a bug"), TimeoutError("the judge's own")])
async def test_a_bug_is_logged_and_costs_what_the_attempts_cost_the_one_that_it_ended_as_the_card_says(
    no_pauses: None, bug: Exception
) -> None:
    spent = JudgeUsage(tokens=Tokens(input=7), usd=0.25)
    with capture_logs() as logs:
        answer = await answer_of(ScriptedJudge(JudgeUnavailable("503", usage=spent), bug))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.detail) == ("judge_failed", f"the judge 'scripted' failed ({type(bug).__name__})")
    assert (answer.usage.calls, answer.usage.usd) == (1 + CARD.cost(2).calls, 0.25)
    assert [log["exc_info"] for log in logs if "unexpectedly" in log["event"]] == [True]


async def test_cancelled_work_ends_cancelled() -> None:
    judge = ScriptedJudge()
    task = asyncio.create_task(answer_of(judge))
    await wait_until(lambda: bool(judge.asked), "the judge is asked")
    task.cancel()
    await asyncio.wait([task])
    assert task.cancelled()
