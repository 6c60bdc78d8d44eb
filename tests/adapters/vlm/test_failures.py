"""Everything that goes wrong at a provider has its typed error, its words and its price; no key is in any of them."""

import asyncio
import random
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from structlog.testing import capture_logs

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import Allowance, JudgeFailure, Verdict
from reward_adapters.base import REWARD
from reward_adapters.vlm.failures import retry_after
from workers.judging import Bench

from ...conformance.faults import ANSWERED, LOST, MALFORMED
from ...conformance.provider import KEY, Provider
from ..pictures import ask
from .asking import built, environment, reds, verdict

LEVELS = (10, 200, 30, 150)
CHOSEN = (-REWARD, REWARD, -REWARD, REWARD)


@pytest.fixture(autouse=True)
def no_key_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever the SDK and we log, at any level, the key is not in it."""
    caplog.set_level("DEBUG")
    yield
    assert KEY not in caplog.text


async def failure(provider: Provider, **settings: str) -> JudgeError:
    """The error of an ask about four pictures."""
    with pytest.raises(JudgeError) as raised:
        await verdict(provider, reds(*LEVELS), "openai", None, **settings)
    error: JudgeError = raised.value
    assert KEY not in repr(error)
    assert provider.url not in str(error)  # users see it
    return error


@pytest.mark.parametrize("fault", ANSWERED)
@pytest.mark.parametrize("schema_mode", ["json_schema", "prompt"])
async def test_a_choice_is_read_however_it_is_wrapped(provider: Provider, fault: str, schema_mode: str) -> None:
    answer = await verdict(provider, reds(*LEVELS), model=fault, schema_mode=schema_mode)
    assert (answer.scores, answer.usage.calls) == (CHOSEN, 1)
    assert answer.usage.tokens.input == (0 if fault.startswith("usage") else 1000)


@pytest.mark.parametrize("fault", MALFORMED)
async def test_a_malformed_answer_is_corrected_once_in_the_same_conversation(provider: Provider, fault: str) -> None:
    answer = await verdict(provider, reds(*LEVELS), model=f"once:{fault}")
    assert answer.scores == CHOSEN
    assert (answer.usage.calls, answer.usage.tokens.input, answer.usage.tokens.output) == (2, 2000, 100)
    first, second = provider.received
    assert second["messages"][:2] == first["messages"]
    said, correction = (message["content"] for message in second["messages"][2:])
    assert said
    assert MALFORMED[fault][1].split(" pictures")[0] in correction
    assert {**second, "messages": 0} == {**first, "messages": 0}


@pytest.mark.parametrize("fault", MALFORMED)
async def test_malformed_twice_is_a_failure_that_says_why_and_counts_both(provider: Provider, fault: str) -> None:
    error = await failure(provider, model=fault)
    assert isinstance(error, JudgeMalformed)
    assert MALFORMED[fault][1] in str(error)
    assert (error.usage.calls, error.usage.tokens.input, len(provider.received)) == (2, 2000, 2)


async def test_a_job_with_a_cap_on_its_calls_gets_no_correction_beyond_it(provider: Provider) -> None:
    with pytest.raises(JudgeMalformed):
        await verdict(provider, reds(*LEVELS), model="once:empty", asked={"allowance": Allowance(calls=1)})
    assert len(provider.received) == 1


@pytest.mark.parametrize("fault", LOST)
async def test_every_other_failure_has_its_type_and_says_what_to_do(provider: Provider, fault: str) -> None:
    error = await failure(provider, model=fault)
    code, words = LOST[fault][1:]
    assert (error.code, error.usage.calls, len(provider.received)) == (code, 1, 1)
    assert words in str(error)
    assert error.retryable == (
        code in ("judge_unavailable", "judge_rate_limited", "judge_malformed") and fault != "cut"
    )


async def test_what_a_refusal_cost_is_kept(provider: Provider) -> None:
    assert (await failure(provider, model="refusal")).usage.tokens.input == 1000
    assert (await failure(provider, model="cut")).usage.tokens.output == 50


async def test_when_to_come_back_is_passed_on(provider: Provider) -> None:
    assert (await failure(provider, model="429")).retry_after == timedelta(seconds=7)
    assert (await failure(provider, model="429-ms")).retry_after == timedelta(milliseconds=300)
    assert (await failure(provider, model="500")).retry_after is None


def test_when_to_come_back_may_be_a_date_and_nonsense_is_none() -> None:
    in_a_minute = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)})
    assert in_a_minute is not None
    assert timedelta(seconds=55) < in_a_minute <= timedelta(minutes=1)
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == timedelta(0)
    assert retry_after({"retry-after-ms": "x", "retry-after": "2"}) == timedelta(seconds=2)
    for nonsense in ("soon", "nan", "inf", "-1", "1e300", ""):
        assert retry_after({"retry-after": nonsense}) is None


async def test_a_wrong_key_an_unknown_model_and_no_server_are_said_with_the_fix(provider: Provider) -> None:
    wrong = await failure(provider, api_key="sk-wrong-9876543210")
    assert (wrong.code, wrong.retryable) == ("judge_misconfigured", False)
    assert "check MAXWELL_JUDGE_OPENAI_API_KEY" in str(wrong)
    assert "3210" not in str(wrong)
    unknown = await failure(provider, model="gpt-0")
    assert "check MAXWELL_JUDGE_OPENAI_MODEL" in str(unknown)
    assert "The model `gpt-0` does not exist" in str(unknown)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = await failure(provider, base_url=f"http://127.0.0.1:{port}/v1")
    assert isinstance(nobody, JudgeUnavailable)
    assert "cannot be reached, or hung up" in str(nobody)


async def test_more_pictures_than_the_server_takes_are_not_even_sent(provider: Provider) -> None:
    error = await failure(provider, max_images="2")
    assert "it may show 2 pictures at once and was asked about 4" in str(error)
    assert not provider.received


async def test_a_server_that_shows_the_key_is_not_quoted_with_it(provider: Provider) -> None:
    for shown in (KEY, "sk-another-one"):
        error = await failure(provider, model=shown)
        assert "The model `(key)` does not exist" in str(error)


@pytest.mark.parametrize("seconds", [0.2, -1.0])
async def test_no_answer_within_the_deadline_is_unavailable(provider: Provider, seconds: float) -> None:
    with pytest.raises(JudgeUnavailable, match="no answer in time" if seconds > 0 else "no time left"):
        await verdict(
            provider, reds(*LEVELS), model="slow", asked={"deadline": datetime.now(UTC) + timedelta(seconds=seconds)}
        )


async def test_the_worker_counts_every_call_and_token_and_never_logs_the_key(provider: Provider) -> None:
    async with built("openai", environment(provider, model="empty")) as judge:
        with capture_logs() as logs:
            answer = await Bench({"openai": judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls, answer.usage.tokens.input) == ("judge_malformed", 2, 2000), (
        "repaired once, and never asked again"
    )
    assert len(provider.received) == 2
    assert logs[-1]["event"] == "judge failed"
    assert KEY not in str(logs) + answer.detail


async def test_with_faults_at_three_requests_in_ten_every_ask_gets_the_true_verdict_or_a_typed_failure(
    provider: Provider,
) -> None:
    chance, places = random.Random(5), asyncio.Semaphore(32)
    async with built("openai", environment(provider, model="flaky")) as judge:
        bench = Bench({"openai": judge})

        async def one(seed: int) -> tuple[Verdict | JudgeFailure, tuple[float, ...]]:
            levels = chance.sample(range(10, 250, 30), 4)
            true = tuple(REWARD if level >= sorted(levels)[2] else -REWARD for level in levels)
            async with places:
                deadline = datetime.now(UTC) + timedelta(seconds=30)
                return await bench.answer(ask(judge.card, 4, seed=seed, deadline=deadline), reds(*levels)), true

        answers = await asyncio.gather(*(one(seed) for seed in range(300)))
    verdicts = [(answer, true) for answer, true in answers if isinstance(answer, Verdict)]
    failures = [answer for answer, _ in answers if isinstance(answer, JudgeFailure)]
    assert len(verdicts) + len(failures) == 300
    assert all(answer.scores == true for answer, true in verdicts)
    assert {answer.code for answer in failures} <= {code for _, code, _ in LOST.values()}
    assert len(verdicts) >= 250  # about 23 in 300 meet a fault that trying again does not mend, standard deviation 5
    assert sum(answer.usage.calls for answer, _ in answers) == len(provider.received)


async def test_the_worker_comes_back_when_the_server_says(provider: Provider) -> None:
    async with built("openai", environment(provider, model="429-ms")) as judge:
        began = datetime.now(UTC)
        answer = await Bench({"openai": judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert not isinstance(answer, Verdict)
    assert (answer.code, len(provider.received)) == ("judge_rate_limited", 3)
    assert datetime.now(UTC) - began >= timedelta(milliseconds=600)
