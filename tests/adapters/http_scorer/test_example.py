"""docs/http-judge.md as somebody follows it: its commands, with another port, against examples/http_scorer."""

import json
import os
import re
import shlex
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from contracts.judging import JudgeAsk
from reward_adapters.http_scorer.contract import request, verdict
from reward_adapters.http_scorer.judge import judge

from ..pictures import ask, encoded, plain
from .asking import environment
from .example import PAGE, ROOT, SECONDS, running

_, CURL, TEST = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
JSON = {"Content-Type": "application/json"}
(ANSWER,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
TOKEN = "token-of-the-example"  # of a server that lives for one test


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    """Where the example listens."""
    with running(TOKEN) as port:
        yield port


def run(command: str, port: int) -> str:
    """What a command of the page prints, with the example's port and token."""
    here = command.replace("8100", str(port)).replace(".venv/bin/", f"{shlex.quote(str(Path(sys.executable).parent))}/")
    told = os.environ | {"MAXWELL_JUDGE_HTTP_TOKEN": TOKEN}
    done = subprocess.run(
        here, shell=True, cwd=ROOT, env=told, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_curl_gets_what_the_page_says(port: int) -> None:
    said = run(f"{CURL.strip()} --header 'Authorization: Bearer {TOKEN}'", port)
    assert json.loads(said) == json.loads(ANSWER)
    assert verdict(said.encode(), 2, "scoring").scores == (255.0, -64.0)


def test_maxwell_judges_test_asks_it(port: int) -> None:
    said = run(TEST, port)
    assert "http (scoring): Asks a scorer of the operator's own over HTTP." in said
    assert "It prefers picture 1, the apple" in said
    assert "The redder, the better." in said


async def test_the_judge_prefers_red(port: int) -> None:
    made = judge(environment(f"http://127.0.0.1:{port}/score", token=TOKEN, encoding="png"))
    try:
        shown = [encoded(plain(color)) for color in ("navy", "red", "white")]
        assert (await made.score(ask(made.card, 3), shown)).scores == (-64.0, 255.0, 0.0)
    finally:
        await made.close()


def test_without_its_token_it_answers_nobody(port: int) -> None:
    with pytest.raises(urllib.error.HTTPError, match="401"):
        urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}/score", request(*asked()), JSON))


def asked() -> tuple[JudgeAsk, list[bytes], str]:
    """An ask about one picture."""
    made = judge(environment("http://scorer/"))
    return ask(made.card, 1), [encoded(plain("red"))], "png"


def test_the_page_shows_the_request_as_it_is() -> None:
    shown = json.loads(CURL.split("--data '")[1].rpartition("'")[0])
    sent = json.loads(request(*asked()))
    assert list(shown) == list(sent)
    assert {name: type(value) for name, value in shown.items()} == {name: type(value) for name, value in sent.items()}
    fields = {
        name for row in PAGE.splitlines() if row.startswith("| `") for name in re.findall(r"`(\w+)`", row.split("|")[1])
    }
    assert sent.keys() <= fields
