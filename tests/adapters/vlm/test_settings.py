"""A judge that nobody set up is left out quietly; one set up wrongly says in a sentence what to set, and never shows a key."""

import asyncio
import subprocess
import sys
from pathlib import Path

import httpx2
import openai
import pytest
from structlog.testing import capture_logs

from contracts.judging import Allowance, JudgeFailure, Verdict
from reward_adapters import registry
from reward_adapters.base import JudgeNotConfigured, JudgeSetupError
from reward_adapters.vlm.failures import takes_no
from reward_adapters.vlm.judge import VlmJudge
from workers.caching import fingerprint
from workers.judging import Bench

from ...conformance.provider import KEY, Provider
from ..pictures import ask
from .asking import Turnstile, built, environment, reds, verdict

ROOT = Path(__file__).parents[3]
OPENAI, LOCAL = "MAXWELL_JUDGE_OPENAI_", "MAXWELL_JUDGE_LOCAL_VLM_"


@pytest.mark.parametrize(
    ("name", "settings", "fix"),
    [
        ("openai", {}, f"set {OPENAI}MODEL"),
        ("openai", {"OPENAI_API_KEY": KEY}, f"set {OPENAI}MODEL"),
        ("openai", {f"{OPENAI}MODEL": " "}, f"set {OPENAI}MODEL"),
        ("local-vlm", {}, f"set {LOCAL}BASE_URL"),
        ("local-vlm", {"OPENAI_API_KEY": KEY}, f"set {LOCAL}BASE_URL"),
    ],
)
def test_nothing_set_is_not_configured(name: str, settings: dict[str, str], fix: str) -> None:
    with pytest.raises(JudgeNotConfigured, match=fix):
        registry.build(name, settings)


@pytest.mark.parametrize(
    ("name", "settings", "said"),
    [
        ("openai", {"MODEL": "m"}, f"set {OPENAI}API_KEY, or OPENAI_API_KEY"),
        ("openai", {"API_KEY": KEY}, f"set {OPENAI}MODEL"),
        ("local-vlm", {"MODEL": "m"}, f"set {LOCAL}BASE_URL"),
        ("local-vlm", {"BASE_URL": "http://127.0.0.1:1/v1"}, f"set {LOCAL}MODEL"),
        ("openai", {"MODEL": "m", "API_KEY": KEY + "\nX: y"}, "has characters no key has"),
        ("openai", {"MODEL": "m", "API_KEY": KEY + "é"}, "has characters no key has"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "BASE_URL": "localhost:8001"}, "BASE_URL is no address"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "BASE_URL": "http://h:port/v1"}, "BASE_URL is no address"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "BASE_URL": "http://256.1.1.1/v1"}, "BASE_URL is no address"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "BASE_URL": "http://my host/v1"}, "BASE_URL is no address"),
        (
            "openai",
            {"MODEL": "m", "API_KEY": KEY, "MODE": "pairs"},
            "MODE: Input should be 'separate', 'grid' or 'pairwise'",
        ),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "MAX_TOKENS": "many"}, "MAX_TOKENS: Input should be a valid integer"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "SELECTED": "0"}, "SELECTED: Input should be greater"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "EXTRA_BODY": "{"}, "EXTRA_BODY: Invalid JSON"),
        ("openai", {"MODEL": "m", "API_KEY": KEY, "EXTRA_BODY": "[]"}, "EXTRA_BODY: Input should be a valid dict"),
    ],
)
def test_a_wrong_setting_is_said_with_its_name_and_no_key(name: str, settings: dict[str, str], said: str) -> None:
    prefix = OPENAI if name == "openai" else LOCAL
    with pytest.raises(JudgeSetupError, match=said) as raised:
        registry.build(name, {prefix + key: value for key, value in settings.items()})
    assert not isinstance(raised.value, JudgeNotConfigured)
    assert KEY not in repr(raised.value)
    assert str(raised.value).count("\n") == 0


def test_a_judge_shows_no_key(provider: Provider) -> None:
    assert KEY not in repr(registry.build("openai", environment(provider)))


def test_verdicts_are_cached_by_every_setting_and_no_key(provider: Provider) -> None:
    told: list[dict[str, str]] = [
        {},
        {"model": "first"},
        {"mode": "grid"},
        {"selected": "1"},
        {"temperature": "0"},
        {"base_url": "http://127.0.0.1:1/v1"},
    ]
    marks = [fingerprint(registry.build("openai", environment(provider, **settings))) for settings in told]
    assert len(set(marks)) == len(told)
    assert fingerprint(registry.build("openai", environment(provider, api_key="sk-another"))) == marks[0]


@pytest.mark.parametrize("rule", ["task", "pair_task"])
def test_what_was_judged_by_other_rules_of_ours_is_not_taken_from_the_cache(
    provider: Provider, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    before = fingerprint(registry.build("openai", environment(provider)))
    monkeypatch.setattr(f"reward_adapters.vlm.building.{rule}", lambda *_: "Choose what you like.")
    assert fingerprint(registry.build("openai", environment(provider))) != before


@pytest.mark.parametrize("name", ["openai", "local-vlm"])
def test_a_judge_that_is_not_configured_imports_no_sdk(name: str) -> None:
    script = (
        "import sys; from reward_adapters import registry; from reward_adapters.base import JudgeNotConfigured\n"
        f"try:\n    registry.build('{name}', {{}})\nexcept JudgeNotConfigured:\n    print('openai' in sys.modules)"
    )
    said = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    assert said == "False\n"


async def test_what_is_sent_is_what_the_settings_say(provider: Provider) -> None:
    pictures = reds(20, 220)
    await verdict(provider, pictures)
    await verdict(provider, pictures, "local-vlm")
    await verdict(provider, pictures, temperature="0", detail="high", token_param="max_tokens", max_tokens="300")
    thinking = '{"chat_template_kwargs": {"enable_thinking": false}}'
    await verdict(provider, pictures, "local-vlm", schema_mode="json_object", extra_body=thinking)
    await verdict(provider, pictures, "local-vlm", schema_mode="prompt")
    usual, local, tuned, by_object, by_prompt = provider.received
    assert set(usual) == {"model", "messages", "response_format", "max_completion_tokens"}
    assert (usual["max_completion_tokens"], detail_of(usual)) == (2000, "low")
    assert set(local) == {"model", "messages", "response_format", "max_tokens"}
    assert (local["max_tokens"], detail_of(local), local["response_format"]["type"]) == (1000, None, "json_schema")
    assert (tuned["temperature"], tuned["max_tokens"], detail_of(tuned)) == (0, 300, "high")
    assert by_object["response_format"] == {"type": "json_object"}
    assert by_object["chat_template_kwargs"] == {"enable_thinking": False}
    assert "response_format" not in by_prompt


def detail_of(request: dict[str, object]) -> str | None:
    """The detail of its pictures."""
    messages: list[dict[str, list[dict[str, dict[str, str]]]]] = request["messages"]  # type: ignore[assignment]
    (detail,) = {part["image_url"].get("detail") for part in messages[1]["content"] if "image_url" in part}
    return detail


async def test_a_model_that_takes_no_temperature_is_asked_again_without_it_and_never_with_it_again(
    provider: Provider,
) -> None:
    pictures = reds(20, 220)
    async with built("openai", environment(provider, model="without:temperature", temperature="0")) as judge:
        bench = Bench({"openai": judge})
        with capture_logs() as logs:
            first = await bench.answer(ask(judge.card, 2), pictures)
            second = await bench.answer(ask(judge.card, 2), pictures)
    assert isinstance(first, Verdict)
    assert isinstance(second, Verdict)
    assert (first.scores, second.scores) == ((-5, 5), (-5, 5))
    assert (first.usage.calls, second.usage.calls) == (2, 1), "what reached the provider counts, refused or not"
    assert ["temperature" in request for request in provider.received] == [True, False, False]
    assert len([line for line in logs if "takes no temperature" in line["event"]]) == 1


async def test_asks_at_the_same_time_all_find_their_way_and_it_is_said_once(provider: Provider) -> None:
    async with built("openai", environment(provider, model="without:temperature", temperature="0")) as judge:
        bench = Bench({"openai": judge})
        with capture_logs() as logs:
            answers = await asyncio.gather(
                *(bench.answer(ask(judge.card, 2, seed=seed), reds(20, 220)) for seed in range(8))
            )
    assert all(isinstance(answer, Verdict) for answer in answers)
    assert sum(answer.usage.calls for answer in answers) == len(provider.received)
    assert len([line for line in logs if "takes no temperature" in line["event"]]) == 1


@pytest.mark.parametrize("settings", [{"votes": "3"}, {"mode": "pairwise"}])
async def test_where_an_ask_takes_many_calls_each_is_counted_and_none_refused_twice(
    provider: Provider, settings: dict[str, str]
) -> None:
    async with built(
        "openai", environment(provider, model="without:temperature", temperature="0", **settings)
    ) as judge:
        assert isinstance(judge, VlmJudge)
        turnstile = Turnstile()
        bench = Bench({"openai": judge.behind(turnstile)})
        answer = await bench.answer(ask(judge.card, 4), reds(20, 220, 60, 180))
        cost = judge.card.cost(4).calls
    assert isinstance(answer, Verdict)
    assert [score and score > 0 for score in answer.scores] == [False, True, False, True]
    refused = ["temperature" in request for request in provider.received]
    assert sum(refused) <= cost
    assert len(refused) - sum(refused) == cost
    assert turnstile.has_seen_all(len(refused), [answer.usage])


async def test_an_allowance_of_one_call_is_kept_and_the_setting_named(provider: Provider) -> None:
    async with built("openai", environment(provider, model="without:temperature", temperature="0")) as judge:
        bench = Bench({"openai": judge})
        failure = await bench.answer(ask(judge.card, 2, allowance=Allowance(calls=1)), reds(20, 220))
        assert isinstance(failure, JudgeFailure)
        assert (failure.code, failure.usage.calls, len(provider.received)) == ("judge_misconfigured", 1, 1)
        assert "takes no temperature, unset MAXWELL_JUDGE_OPENAI_TEMPERATURE" in failure.detail
        later = await bench.answer(ask(judge.card, 2, allowance=Allowance(calls=1)), reds(20, 220))
    assert isinstance(later, Verdict)


async def test_a_temperature_in_the_extra_body_is_sent_as_it_is_and_its_refusal_final(provider: Provider) -> None:
    settings = environment(provider, model="without:temperature", temperature="0", extra_body='{"temperature": 1}')
    async with built("openai", settings) as judge:
        failure = await Bench({"openai": judge}).answer(ask(judge.card, 2), reds(20, 220))
    assert isinstance(failure, JudgeFailure)
    assert [request["temperature"] for request in provider.received] == [1]


async def test_a_limit_of_tokens_by_the_wrong_name_is_said_with_the_right_one(provider: Provider) -> None:
    async with built("openai", environment(provider, model="no-max_completion_tokens")) as judge:
        failure = await Bench({"openai": judge}).answer(ask(judge.card, 2), reds(20, 220))
    assert isinstance(failure, JudgeFailure)
    assert "set MAXWELL_JUDGE_OPENAI_TOKEN_PARAM=max_tokens" in failure.detail
    assert len(provider.received) == 1


@pytest.mark.parametrize(
    ("said", "untaken"),
    [  # as servers say it
        ({"message": "Unsupported value: 'temperature' does not support 0 with this model. Only the default (1) value is supported.",
          "param": "temperature", "code": "unsupported_value"}, True),
        ({"message": "Unsupported parameter: 'temperature' is not supported with this model."}, True),
        ({"message": "`temperature` is deprecated for this model."}, True),
        ({"message": "Bad request", "param": "temperature"}, True),
        ({"message": "Invalid 'temperature': decimal above maximum value. Expected a value <= 2, but got 3 instead.",
          "param": "temperature", "code": "decimal_above_max_value"}, False),
        ({"message": "temperature must be between 0 and 1"}, False),
        ({"message": "Unsupported parameter: 'max_tokens'", "param": "max_tokens"}, False),
        ({}, False),
        (None, False),
        ("temperature is not supported", False),
    ],
)  # fmt: skip
def test_a_value_out_of_range_is_no_reason_to_leave_the_temperature_out(said: object, untaken: bool) -> None:
    request = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")
    for status, refused in ((400, untaken), (500, False)):
        error = openai.APIStatusError("", response=httpx2.Response(status, request=request), body=said)
        assert takes_no(error, "temperature") is refused
