"""`maxwell judges test NAME` says in one command whether a judge works, and in one sentence what to do where it does not."""

import io
import json
import os
import socket
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog
from PIL import Image
from rich.console import Console
from typer.testing import CliRunner, Result

from cli.judging import Trial, report
from cli.main import app
from cli.pictures import SIZE, apple, encoded, noise
from contracts.judging import JudgeCard, JudgeUsage, Tokens, Verdict
from reward_adapters import registry
from reward_adapters.base import decode

from ..adapters.packages import install
from ..adapters.vlm.asking import environment
from ..conformance.provider import KEY, Provider, running
from ..conformance.sight import images_of, redness
from .conftest import Maxwell

OPENAI, LOCAL, GEMINI = "MAXWELL_JUDGE_OPENAI_", "MAXWELL_JUDGE_LOCAL_VLM_", "MAXWELL_JUDGE_GEMINI_"
PRICES = '{"truthful": {"input": 1.0, "output": 4.0}}'  # dollars per million tokens
CARD = JudgeCard(name="critic", kind="selecting", description="A test's.", objective="none")


@pytest.fixture(scope="module")
def server() -> Iterator[Provider]:
    """A provider of this module's own."""
    with running() as server:
        yield server


@pytest.fixture
def provider(server: Provider) -> Provider:
    """It has received nothing yet."""
    server.received.clear()
    return server


@pytest.fixture
def nowhere() -> str:
    """An address at which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"http://127.0.0.1:{free.getsockname()[1]}"


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """No judge is set up by who runs the tests, and no service can be reached."""
    for name in list(os.environ):
        if name.startswith(("MAXWELL_JUDGE", "OPENAI", "GEMINI", "GOOGLE")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MAXWELL_URL", "http://127.0.0.1:1")
    monkeypatch.setenv("MAXWELL_REDIS_URL", "redis://127.0.0.1:1/0")


def tried(name: str, settings: dict[str, str], *options: str) -> Result:
    """The command with these settings, in this process."""
    return CliRunner().invoke(app, ["judges", "test", name, *options], env=settings)


def said(name: str, settings: dict[str, str], *options: str) -> str:
    """The one sentence of a judge that gave no verdict."""
    ended = tried(name, settings, *options)
    assert (ended.exit_code, ended.stdout) == (1, "")
    (line,) = ended.stderr.splitlines()
    assert line.startswith("maxwell: ")
    return line.removeprefix("maxwell: ")


@pytest.mark.parametrize("settings", [{}, {"mode": "grid"}, {"schema_mode": "prompt", "selected": "1"}])
def test_a_judge_that_works_says_what_it_prefers_why_and_at_what_cost(
    provider: Provider, settings: dict[str, str]
) -> None:
    ended = tried("openai", environment(provider, **settings) | {"MAXWELL_JUDGE_PRICES": PRICES})
    assert (ended.exit_code, ended.stderr) == (0, "")
    lines = ended.stdout.splitlines()
    assert lines[0].startswith("openai (selecting): Asks a vision-language model at OpenAI")
    assert lines[1:5] == [
        'Asked which of two pictures shows "a red apple":',
        "  1 the apple: +5",
        "  2 the noise: -5",
        "It prefers picture 1, the apple.",
    ]
    rows = {line.split()[0]: line.partition(" ")[2].strip() for line in lines[5:]}
    assert list(rows) == ["Rationale", "Latency", "Tokens", "Cost"]
    assert rows["Rationale"].startswith("the redder ones (")
    assert " s for 1 call, after " in rows["Latency"]
    assert rows["Tokens"].startswith("1000 in (")
    assert "50 out" in rows["Tokens"]
    assert rows["Cost"] == "$0.001200"
    assert "\x1b" not in ended.stdout, "plain where it is no terminal"
    assert KEY not in ended.output
    assert "a red apple" in str(provider.received[0]["messages"])


@pytest.mark.parametrize(("settings", "calls"), [({"mode": "pairwise"}, 2), ({"votes": "3"}, 3)])
def test_a_judge_that_makes_several_calls_says_how_many(
    provider: Provider, settings: dict[str, str], calls: int
) -> None:
    told = tried("openai", environment(provider, **settings)).stdout
    assert "It prefers picture 1, the apple." in told
    assert f" s for {calls} calls, after " in told
    assert f"Tokens     {1000 * calls} in (" in told
    assert len(provider.received) == calls


def test_gemini_is_tried_like_any_other(provider: Provider) -> None:
    assert "It prefers picture 1, the apple." in tried("gemini", environment(provider, "gemini")).stdout
    assert f"check {GEMINI}API_KEY" in said("gemini", environment(provider, "gemini", api_key="wrong"))
    assert f"check {GEMINI}MODEL" in said("gemini", environment(provider, "gemini", model="gemini-0"))
    assert f"{GEMINI}API_KEY" in said("gemini", {f"{GEMINI}MODEL": "m"})


def test_as_json_it_is_for_programs(provider: Provider) -> None:
    told = json.loads(tried("local-vlm", environment(provider, "local-vlm"), "--json").stdout)
    assert (told["judge"], told["kind"], told["prefers"], told["scores"]) == ("local-vlm", "selecting", 1, [5.0, -5.0])
    assert told["usage"]["tokens"]["input"] == 1000


def test_every_kind_of_judge_can_be_tried(provider: Provider) -> None:
    blind = tried("colorfulness", {}).stdout
    assert "  1 the apple: +" in blind
    assert (
        "It prefers picture 2, the noise: it works, but steers away from the prompt, unless that is its purpose"
        in blind
    )
    assert "Tokens     none\nCost       none\n" in blind
    seeing = tried("local", {}).stdout
    assert "  1 the apple: +5 (measured 0." in seeing
    assert "It prefers picture 1, the apple." in seeing
    assert "It prefers picture 1, the apple." in tried("local-score", {}).stdout


@pytest.mark.parametrize(
    ("name", "settings", "sentence"),
    [
        ("openai", {f"{OPENAI}MODEL": "m"}, f"the judge 'openai' is not configured: set {OPENAI}API_KEY, or OPENAI_API_KEY,"),
        ("openai", {}, f"the judge 'openai' is not configured: set {OPENAI}MODEL to the name of a model that sees"),
        ("local-vlm", {}, f"the judge 'local-vlm' is not configured: set {LOCAL}BASE_URL to the address of vLLM,"),
        ("nobody", {}, f"no judge is called 'nobody': there are {', '.join(sorted(registry.installed()))}."),
    ],
)  # fmt: skip
def test_a_judge_that_is_not_set_up(name: str, settings: dict[str, str], sentence: str) -> None:
    assert said(name, settings).startswith(sentence)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"api_key": "sk-wrong-9876543210"}, f"the server does not accept its key, check {OPENAI}API_KEY"),
        ({"model": "gpt-0"}, f"the server does not know the model or the address, check {OPENAI}MODEL and {OPENAI}BASE_URL"),
        ({"model": "blind"}, f"its model sees no pictures here, set {OPENAI}MODEL to one that does"),
        ({"model": "no-max_completion_tokens"}, f"set {OPENAI}TOKEN_PARAM=max_tokens"),
        ({"model": "no-temperature"}, f"its model takes no temperature, unset {OPENAI}TEMPERATURE"),
        ({"model": "quota"}, "has no quota left (429): its owner has to add credit or raise the limit"),
        ({"model": "page"}, f"answered a web page instead of a completion: is {OPENAI}BASE_URL right?"),
        ({"model": "empty"}, "gave no usable answer: it is empty"),
    ],
)  # fmt: skip
def test_a_judge_that_gives_no_verdict_says_what_to_do(
    provider: Provider, settings: dict[str, str], sentence: str
) -> None:
    line = said("openai", environment(provider, **settings))
    assert sentence in line
    assert KEY not in line
    assert "3210" not in line


def test_nothing_listening_is_said_with_the_setting_of_its_address(nowhere: str, provider: Provider) -> None:
    for name, prefix in (("local-vlm", LOCAL), ("gemini", GEMINI)):
        url = nowhere if name == "gemini" else f"{nowhere}/v1"
        line = said(name, environment(provider, name, base_url=url))
        assert f"the server of the judge '{name}' cannot be reached" in line
        assert line.endswith(f"{prefix}BASE_URL its address?")


def test_a_judge_that_takes_too_long(provider: Provider) -> None:
    line = said("openai", environment(provider, model="slow"), "--timeout", "0.3")
    assert line.startswith("the model of the judge 'openai' gave no answer") or "gave no answer within its time" in line
    assert line.endswith(": it had 0.3 s, give it more with --timeout")


def test_what_a_judge_warns_of_is_said_beside_its_verdict(provider: Provider) -> None:
    ended = tried("openai", environment(provider, model="without:temperature", temperature="0"))
    assert "Note       the model takes no temperature, asked without it from now on" in ended.stdout
    assert " s for 2 calls, after " in ended.stdout


def test_the_program_itself_says_it_in_one_line_and_its_status(maxwell: Maxwell, provider: Provider) -> None:
    bad = maxwell("judges", "test", "openai", **environment(provider, api_key="sk-wrong"))
    assert (bad.returncode, bad.stdout, bad.stderr.count("\n")) == (1, "", 1)


def test_a_judge_of_ones_own_that_has_a_bug_shows_where(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = (
        "from contracts.judging import JudgeCard\nfrom reward_adapters.base import PictureJudge\n"
        "def judge(environment):\n"
        "    card = JudgeCard(name='buggy', kind='scoring', description='A test.', objective='none')\n"
        "    return PictureJudge(card, lambda image: 1 / 0)\n"
    )
    install(tmp_path, "a_package_with_a_bug", source, {"buggy": "judge"})
    monkeypatch.syspath_prepend(str(tmp_path))
    assert isinstance(tried("buggy", {}).exception, ZeroDivisionError)


def test_what_logs_is_left_as_it_was(provider: Provider) -> None:
    before = structlog.get_config()
    tried("openai", environment(provider))
    assert structlog.get_config() == before


def shown(verdict: Verdict, **console: Any) -> str:
    out = io.StringIO()
    report(Console(file=out, width=200, **console), Trial(CARD, verdict, 0.5, ()))
    return out.getvalue()


@pytest.mark.parametrize("scores", [(1.0, 1.0), (None, None), (None, 5.0)])
def test_neither_is_preferred_where_the_scores_do_not_say(scores: Sequence[float | None]) -> None:
    told = shown(Verdict(scores=tuple(scores)))
    assert "It prefers neither." in told
    assert ("no opinion" in told) == (None in scores)


def test_tokens_and_dollars_are_said_as_far_as_they_are_known() -> None:
    tokens = Tokens(input=900, output=40, image=600)
    priced = Verdict(scores=(1.0, 0.0), usage=JudgeUsage(tokens=tokens, usd=0.00123, estimated=True))
    assert "Tokens     900 in (600 of them for pictures), 40 out, estimated" in shown(priced)
    assert "Cost       $0.001230" in shown(priced)
    unpriced = Verdict(scores=(1.0, 0.0), usage=JudgeUsage(tokens=tokens))
    assert "Cost       unknown: set its model's price in MAXWELL_JUDGE_PRICES" in shown(unpriced)


def test_a_terminal_shows_the_pictures() -> None:
    told = shown(Verdict(scores=(1.0, 0.0)), force_terminal=True, color_system="truecolor")
    assert told.count("▀") == 2 * 24 * 12
    assert "\x1b[38;2;" in told


def test_markup_in_what_a_judge_says_is_text() -> None:
    assert "[red]1[/red] [bold" in shown(Verdict(scores=(1.0, 0.0), rationale="[red]1[/red] [bold"))


@pytest.mark.parametrize("encoding", ["png", "jpeg"])
@pytest.mark.parametrize("size", [None, 96, 512])
def test_the_pictures_come_as_the_card_says(encoding: str, size: int | None) -> None:
    card = CARD.model_copy(update={"encoding": encoding, "picture_size": size})
    for image in (apple(), noise()):
        data = encoded(image, card)
        assert Image.open(io.BytesIO(data)).format == encoding.upper()
        assert decode(data).size == (min(size or SIZE, SIZE),) * 2


def test_both_pictures_reach_the_model(provider: Provider) -> None:
    tried("openai", environment(provider))
    one, other = sorted(redness(image) for image in images_of(provider.received[0]))
    assert abs(one) < 2, "noise has all colours alike"
    assert other > 40
