"""Everything that goes wrong at a provider has its typed error, its words and its price; no key is in any of them."""

import asyncio
import random
import re
import socket
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.errors import JudgeError, JudgeMalformed, JudgeUnavailable
from contracts.judging import Allowance, JudgeFailure, Verdict
from reward_adapters.base import REWARD
from reward_adapters.bodies import quoted, retry_after
from workers.judging import Bench

from ...conformance import faults, gemini_faults
from ...conformance.limits import Limits
from ...conformance.provider import KEY, Provider
from ..pictures import ask
from .asking import PREFIXES, built, environment, reds, verdict

PROTOCOLS: dict[str, Any] = {"openai": faults, "gemini": gemini_faults}
LEVELS = (10, 200, 30, 150)
CHOSEN = (-REWARD, REWARD, -REWARD, REWARD)


@pytest.fixture(autouse=True)
def no_key_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever the SDK and we log, at any level, the key is not in it."""
    caplog.set_level("DEBUG")
    yield
    assert KEY not in caplog.text


def cases(kind: str) -> list[tuple[str, str]]:
    """Every judge with every fault of this kind at its provider."""
    return [(name, fault) for name, provider in PROTOCOLS.items() for fault in getattr(provider, kind)]


async def failure(provider: Provider, name: str = "openai", **settings: str) -> JudgeError:
    """The error of an ask about four pictures."""
    with pytest.raises(JudgeError) as raised:
        await verdict(provider, reds(*LEVELS), name, None, **settings)
    error: JudgeError = raised.value
    assert KEY not in repr(error)
    assert provider.url.removesuffix("/v1") not in str(error)  # users see it
    return error


@pytest.mark.parametrize(("name", "fault"), cases("ANSWERED"))
async def test_a_choice_is_read_however_it_is_wrapped(provider: Provider, name: str, fault: str) -> None:
    answer = await verdict(provider, reds(*LEVELS), name, model=fault)
    assert (answer.scores, answer.usage.calls) == (CHOSEN, 1)
    assert answer.usage.estimated == fault.startswith("usage")
    assert answer.usage.estimated or answer.usage.tokens.input == 1000


@pytest.mark.parametrize("fault", faults.ANSWERED)
async def test_a_choice_is_read_without_a_schema_too(provider: Provider, fault: str) -> None:
    assert (await verdict(provider, reds(*LEVELS), model=fault, schema_mode="prompt")).scores == CHOSEN


@pytest.mark.parametrize(("name", "fault"), cases("MALFORMED"))
async def test_a_malformed_answer_is_corrected_once_in_the_same_conversation(
    provider: Provider, name: str, fault: str
) -> None:
    answer = await verdict(provider, reds(*LEVELS), name, model=f"once:{fault}")
    assert answer.scores == CHOSEN
    assert (answer.usage.calls, answer.usage.tokens.input, answer.usage.tokens.output) == (2, 2000, 100)
    first, second = provider.received
    turns = "contents" if name == "gemini" else "messages"
    asked = len(first[turns])
    assert second[turns][:asked] == first[turns]
    said, correction = second[turns][asked:]
    assert text_of(said)
    assert PROTOCOLS[name].MALFORMED[fault][1].split(" pictures")[0] in text_of(correction)
    assert "<" not in text_of(said) + text_of(correction), "what is told again is told as text, and holds no token"
    assert {**second, turns: 0} == {**first, turns: 0}


def text_of(turn: dict[str, Any]) -> str:
    """What is said in a turn without pictures."""
    text: str = turn["parts"][0]["text"] if "parts" in turn else turn["content"]
    return text


@pytest.mark.parametrize(("name", "fault"), cases("MALFORMED"))
async def test_malformed_twice_is_a_failure_that_says_why_and_counts_both(
    provider: Provider, name: str, fault: str
) -> None:
    error = await failure(provider, name, model=fault)
    assert isinstance(error, JudgeMalformed)
    assert PROTOCOLS[name].MALFORMED[fault][1] in str(error)
    assert (error.usage.calls, error.usage.tokens.input, len(provider.received)) == (2, 2000, 2)


async def test_a_job_with_a_cap_on_its_calls_gets_no_correction_beyond_it(provider: Provider) -> None:
    with pytest.raises(JudgeMalformed):
        await verdict(provider, reds(*LEVELS), model="once:empty", asked={"allowance": Allowance(calls=1)})
    assert len(provider.received) == 1


@pytest.mark.parametrize(("name", "fault"), cases("LOST"))
async def test_every_other_failure_has_its_type_and_says_what_to_do(provider: Provider, name: str, fault: str) -> None:
    error = await failure(provider, name, model=fault)
    code, words = PROTOCOLS[name].LOST[fault][1:]
    assert (error.code, error.usage.calls, len(provider.received)) == (code, 1, 1)
    assert words in str(error)
    passing = ("judge_unavailable", "judge_rate_limited", "judge_malformed")
    assert error.retryable == (code in passing and not fault.startswith("cut"))


async def test_what_a_refusal_cost_is_kept(provider: Provider) -> None:
    for name, refusal in (("openai", "refusal"), ("gemini", "safety"), ("gemini", "prompt-blocked")):
        assert (await failure(provider, name, model=refusal)).usage.tokens.input == 1000
        assert (await failure(provider, name, model="cut")).usage.tokens.output == 50


async def test_when_to_come_back_is_passed_on(provider: Provider) -> None:
    assert (await failure(provider, model="429")).retry_after == timedelta(seconds=1)
    assert (await failure(provider, model="429-ms")).retry_after == timedelta(milliseconds=300)
    assert (await failure(provider, model="500")).retry_after is None
    for fault, seconds in (("429", 0.9), ("429-ms", 0.3), ("429-header", 1), ("503", 1), ("429-bare", None)):
        delay = None if seconds is None else timedelta(seconds=seconds)
        assert (await failure(provider, "gemini", model=fault)).retry_after == delay


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_provider_that_refuses_for_its_limits_says_when_to_come_back(provider: Provider, name: str) -> None:
    for limits in (Limits(requests_per_minute=2, burst=30), Limits(tokens_per_minute=2 * faults.TOKENS, burst=30)):
        provider.limits = limits
        await verdict(provider, reds(*LEVELS), name)
        error = await failure(provider, name)
        assert error.code == "judge_rate_limited"
        assert error.retry_after is not None
        assert timedelta(0) < error.retry_after <= timedelta(seconds=30)
    provider.limits = Limits(at_once=0)
    assert (await failure(provider, name)).code == "judge_rate_limited"


def test_when_to_come_back_may_be_a_date_and_nonsense_is_none() -> None:
    in_a_minute = retry_after({"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=1), usegmt=True)})
    assert in_a_minute is not None
    assert timedelta(seconds=55) < in_a_minute <= timedelta(minutes=1)
    assert retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == timedelta(0)
    assert retry_after({"retry-after-ms": "x", "retry-after": "2"}) == timedelta(seconds=2)
    for nonsense in ("soon", "nan", "inf", "-1", "1e300", ""):
        assert retry_after({"retry-after": nonsense}) is None


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_wrong_key_an_unknown_model_and_no_server_are_said_with_the_fix(provider: Provider, name: str) -> None:
    wrong = await failure(provider, name, api_key="sk-wrong-9876543210")
    assert (wrong.code, wrong.retryable) == ("judge_misconfigured", False)
    assert f"check {PREFIXES[name]}API_KEY" in str(wrong)
    assert "3210" not in str(wrong)
    unknown = await failure(provider, name, model="gpt-0")
    assert f"check {PREFIXES[name]}MODEL" in str(unknown)
    assert {"openai": "The model `gpt-0` does not exist", "gemini": "models/gpt-0 is not found"}[name] in str(unknown)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    nobody = await failure(provider, name, base_url=f"http://127.0.0.1:{port}")
    assert isinstance(nobody, JudgeUnavailable)
    assert "cannot be reached, or hung up" in str(nobody)
    assert str(port) not in str(nobody)


async def test_more_pictures_than_the_server_takes_are_not_even_sent(provider: Provider) -> None:
    error = await failure(provider, max_images="2")
    assert "it may show 2 pictures at once and was asked about 4" in str(error)
    assert not provider.received


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_a_server_that_shows_the_key_is_not_quoted_with_it(provider: Provider, name: str) -> None:
    for shown in (KEY, "sk-another-one", "AIzaSyAnother-1"):
        error = await failure(provider, name, model=shown)
        assert ("The model `(key)` does not exist" if name == "openai" else "models/(key) is not found") in str(error)


def test_a_server_is_not_quoted_with_addresses() -> None:
    """As Ollama, nginx and gateways say it."""
    for said in (
        "dial tcp 10.0.3.17:11434: connect: refused", "cannot reach http://gpu-box.internal:8000/v1/models now",
        "Post HTTPS://proxy/x: EOF", "localhost:8000 is down", "see 127.0.0.1",
    ):  # fmt: skip
        shown = quoted(said, "none")
        assert "(address)" in shown
        assert not re.search(r"10\.0|gpu-box|proxy|8000|127\.0", shown), shown
    assert (
        quoted("At most 1.5 image(s), version 0.12.1: no", "none")
        == ' (it says: "At most 1.5 image(s), version 0.12.1: no")'
    )


@pytest.mark.parametrize("seconds", [0.5, -1.0])
@pytest.mark.parametrize("model", ["slow", "stalled"])
@pytest.mark.parametrize("name", PROTOCOLS)
async def test_no_answer_within_the_deadline_is_unavailable(
    provider: Provider, name: str, model: str, seconds: float
) -> None:
    async with built(name, environment(provider, name, model=model)) as judge:
        one = ask(judge.card, 4, deadline=datetime.now(UTC) + timedelta(seconds=seconds))
        with pytest.raises(JudgeUnavailable, match="no answer in time" if seconds > 0 else "no time left"):
            await judge.score(one, reds(*LEVELS))


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_the_worker_counts_every_call_and_token_and_never_logs_the_key(provider: Provider, name: str) -> None:
    async with built(name, environment(provider, name, model="empty")) as judge:
        with capture_logs() as logs:
            answer = await Bench({name: judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls, answer.usage.tokens.input) == ("judge_malformed", 2, 2000), (
        "repaired once, and never asked again"
    )
    assert len(provider.received) == 2
    assert logs[-1]["event"] == "judge failed"
    assert KEY not in str(logs) + answer.detail


@pytest.mark.parametrize(("name", "asks"), [("openai", 200), ("gemini", 150)])
async def test_with_faults_at_three_requests_in_ten_every_ask_gets_the_true_verdict_or_a_typed_failure(
    provider: Provider, name: str, asks: int
) -> None:
    chance, places = random.Random(5), asyncio.Semaphore(32)
    async with built(name, environment(provider, name, model="flaky")) as judge:
        bench = Bench({name: judge})

        async def one(seed: int) -> tuple[Verdict | JudgeFailure, tuple[float, ...]]:
            levels = chance.sample(range(10, 250, 30), 4)
            true = tuple(REWARD if level >= sorted(levels)[2] else -REWARD for level in levels)
            async with places:
                deadline = datetime.now(UTC) + timedelta(seconds=30)
                return await bench.answer(ask(judge.card, 4, seed=seed, deadline=deadline), reds(*levels)), true

        answers = await asyncio.gather(*(one(seed) for seed in range(asks)))
    verdicts = [(answer, true) for answer, true in answers if isinstance(answer, Verdict)]
    failures = [answer for answer, _ in answers if isinstance(answer, JudgeFailure)]
    assert len(verdicts) + len(failures) == asks
    assert all(answer.scores == true for answer, true in verdicts)
    assert {answer.code for answer in failures} <= {code for _, code, _ in PROTOCOLS[name].LOST.values()}
    assert (
        len(verdicts) >= asks * 5 / 6
    )  # about 1 in 13 meets a fault that trying again does not mend: 15 of 200, standard deviation 4
    assert sum(answer.usage.calls for answer, _ in answers) == len(provider.received)


@pytest.mark.parametrize("name", PROTOCOLS)
async def test_the_worker_comes_back_when_the_server_says(provider: Provider, name: str) -> None:
    async with built(name, environment(provider, name, model="429-ms")) as judge:
        began = datetime.now(UTC)
        answer = await Bench({name: judge}).answer(ask(judge.card, 4), reds(*LEVELS))
    assert not isinstance(answer, Verdict)
    assert (answer.code, len(provider.received)) == ("judge_rate_limited", 3)
    assert datetime.now(UTC) - began >= timedelta(milliseconds=600)
