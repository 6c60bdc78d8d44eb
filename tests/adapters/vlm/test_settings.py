"""A judge that nobody set up is left out quietly; one set up wrongly says in a sentence what to set, and never shows a key."""

import subprocess
import sys
from pathlib import Path

import pytest

from reward_adapters import registry
from reward_adapters.base import JudgeNotConfigured, JudgeSetupError

from ...conformance.provider import KEY, Provider
from .asking import environment, reds, verdict

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
        ("openai", {"MODEL": "m", "API_KEY": KEY, "MODE": "pairs"}, "MODE: Input should be 'separate' or 'grid'"),
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
