"""Everything that goes wrong at a scorer has its typed error and its words; neither token nor address is in any of them."""

import asyncio
import gzip
import json
import socket
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from structlog.testing import capture_logs

from contracts.errors import JudgeError
from contracts.judging import JudgeFailure
from workers.judging import Bench

from ..pictures import ask
from .asking import built, failure, pictures
from .scorer import CHUNKED, TOKEN, Scorer, response, scores

PASSING = ("judge_unavailable", "judge_rate_limited", "judge_malformed")
GOOD = {"scores": [1, 2, 3, 4]}


def said(**changed: Any) -> bytes:
    """A good answer but for this."""
    return response(200, json.dumps(GOOD | changed))


MALFORMED = {
    "too few": (scores(1, 2, 3), 'has 3 "scores" for 4 pictures'),
    "too many": (scores(1, 2, 3, 4, 5), 'has 5 "scores" for 4 pictures'),
    "none": (scores(), 'has 0 "scores"'),
    "NaN": (response(200, '{"scores": [1, 2, NaN, 4]}'), 'wrong at "scores[2]": input should be a finite number'),
    "Infinity": (response(200, '{"scores": [1, -Infinity, 3, 4]}'), 'wrong at "scores[1]": input should be a finite'),
    "1e999": (response(200, '{"scores": [1e999, 2, 3, 4]}'), 'wrong at "scores[0]": input should be a finite'),
    "huge": (response(200, '{"scores": [1, 2, 3, -1e31]}'), 'wrong at "scores[3]": no score may be further from 0'),
    "many digits": (response(200, '{"scores": [1, 2, 3, 1%s]}' % ("0" * 400)), 'wrong at "scores[3]"'),
    "a text": (said(scores=["1", 2, 3, 4]), 'wrong at "scores[0]": input should be a valid number'),
    "a truth": (said(scores=[1, True, 3, 4]), 'wrong at "scores[1]"'),
    "a list": (said(scores=[1, [2], 3, 4]), 'wrong at "scores[1]"'),
    "a number of scores": (said(scores=7), 'wrong at "scores": input should be a valid array'),
    "no scores": (response(200, "{}"), 'wrong at "scores": field required'),
    "misspelt": (said(rational="x"), 'wrong at "rational": extra inputs are not permitted'),
    "a number as rationale": (said(rationale=7), 'wrong at "rationale": input should be a valid string'),
    "a negative cost": (said(usage={"usd": -1}), 'wrong at "usage.usd": input should be greater than or equal to 0'),
    "a text as tokens": (said(usage={"tokens": {"input": "9"}}), 'wrong at "usage.tokens.input"'),
    "endless tokens": (said(usage={"tokens": {"output": 10**30}}), 'wrong at "usage.tokens.output"'),
    "a list of scores": (response(200, "[1, 2, 3, 4]"), "is wrong: input should be an object"),
    "null": (response(200, "null"), "is wrong: input should be an object"),
    "half of it": (response(200, '{"scores": [1, 2, 3'), "is no JSON"),
    "something behind it": (response(200, json.dumps(GOOD) + "}"), "is no JSON"),
    "nesting": (response(200, '{"scores": ' + "[" * 100_000), "is no JSON"),
    "a lone surrogate": (response(200, '{"scores": [1, 2, 3, 4], "rationale": "\\ud800"}'), "is no JSON"),
    "not UTF-8": (response(200, b'{"scores": [1, 2, 3, 4], "rationale": "\xff"}'), "is no JSON"),
    "a page": (response(200, "\n<!DOCTYPE html><p>Welcome"), "is a web page and no JSON"),
    "nothing": (response(200), "is empty"),
    "204": (response(204), "answered 204, where 200 and its scores were asked for"),
    "202": (response(202, json.dumps(GOOD)), "answered 202"),
    "packed": (response(200, gzip.compress(json.dumps(GOOD).encode()), Content_Encoding="gzip"), "is packed (gzip)"),
    "too long": (response(200, json.dumps(GOOD) + " " * 2**20), "is longer than 131072 bytes"),
}
LOST = {
    "408": (response(408), "judge_unavailable", "is busy or failing just now (408)"),
    "409": (response(409), "judge_unavailable", "just now (409)"),
    "425": (response(425), "judge_unavailable", "just now (425)"),
    "429": (response(429, "slower"), "judge_rate_limited", "wants fewer requests a minute (429)"),
    "500": (response(500, "<h1>oh"), "judge_unavailable", "just now (500)"),
    "502": (response(502), "judge_unavailable", "just now (502)"),
    "503": (response(503), "judge_unavailable", "just now (503)"),
    "301": (response(301, Location="http://127.0.0.1/"), "judge_misconfigured", "which is not followed: set MAXWELL_JUDGE_HTTP_URL"),
    "307": (response(307, Location="http://169.254.169.254/"), "judge_misconfigured", "which is not followed"),
    "304": (response(304), "judge_misconfigured", "which is not followed"),
    "401": (response(401, f"not {TOKEN}"), "judge_misconfigured", "check MAXWELL_JUDGE_HTTP_TOKEN"),
    "403": (response(403, f"not {TOKEN}"), "judge_misconfigured", "check MAXWELL_JUDGE_HTTP_TOKEN"),
    "404": (response(404), "judge_misconfigured", "check the path in MAXWELL_JUDGE_HTTP_URL"),
    "405": (response(405), "judge_misconfigured", "check the path in MAXWELL_JUDGE_HTTP_URL"),
    "413": (response(413), "judge_misconfigured", "lower MAXWELL_JUDGE_HTTP_PICTURE_SIZE"),
    "400": (response(400, "no\nsuch \x1b[31mfield"), "judge_misconfigured", 'docs/http-judge.md says (it says: "no such [31mfield")'),
    "422": (response(422, f"{TOKEN} at 127.0.0.1"), "judge_misconfigured", '(it says: "(key) at (host)")'),
    "418": (response(418), "judge_misconfigured", "it has to understand what docs/http-judge.md says"),
    "no HTTP": (b"SSH-2.0-OpenSSH_9.6\r\n\r\n", "judge_unavailable", "hung up (RemoteProtocolError)"),
    "an endless header": (b"HTTP/1.1 200 OK\r\nX: " + b"x" * 300_000, "judge_unavailable", "(RemoteProtocolError)"),
}  # fmt: skip


def check(error: JudgeError, code: str, words: str) -> None:
    assert (error.code, error.usage.calls) == (code, 1)
    assert words in str(error)
    assert error.retryable == (code in PASSING)


@pytest.mark.parametrize("fault", MALFORMED)
async def test_an_answer_that_is_no_verdict_is_refused_saying_why(scorer: Scorer, fault: str) -> None:
    scorer.say, words = MALFORMED[fault]
    check(await failure(scorer), "judge_malformed", words)


@pytest.mark.parametrize("fault", LOST)
async def test_every_other_failure_has_its_type_and_says_what_to_do(scorer: Scorer, fault: str) -> None:
    scorer.say, code, words = LOST[fault]
    check(await failure(scorer), code, words)
    assert len(scorer.received) == 1, "redirects are not followed, and who asks again is the worker"


@pytest.mark.parametrize(
    "begun",
    [b"", b"HTTP/1.1 200", response(200, json.dumps(GOOD))[:-3], CHUNKED + b"100\r\n{"],
    ids=["no answer", "half a line", "half a body", "half a chunk"],
)
async def test_a_server_that_hangs_up_is_unavailable(scorer: Scorer, begun: bytes) -> None:
    scorer.say, scorer.after = begun, "close"
    check(await failure(scorer), "judge_unavailable", "cannot be reached, or hung up (")


@pytest.mark.parametrize(
    "begun", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED + b"100\r\n{"], ids=["no answer", "a line", "half a body"]
)
async def test_an_answer_that_does_not_come_is_not_waited_for(scorer: Scorer, begun: bytes) -> None:
    scorer.say, scorer.after = begun, "stall"
    error = await failure(scorer, timeout="0.3")
    check(error, "judge_unavailable", "no answer in time: it had 0.3 s, of MAXWELL_JUDGE_HTTP_TIMEOUT=0.3")
    deadline = datetime.now(UTC) + timedelta(seconds=0.3)
    check(await failure(scorer, {"deadline": deadline}), "judge_unavailable", "of MAXWELL_JUDGE_HTTP_TIMEOUT=30")
    async with asyncio.timeout(10):
        await scorer.hung_up.wait()


async def test_an_answer_without_end_is_cut_off(scorer: Scorer) -> None:
    scorer.say, scorer.after = CHUNKED, "endless"
    check(await failure(scorer), "judge_malformed", "is longer than 131072 bytes")
    async with asyncio.timeout(10):
        await scorer.hung_up.wait()


async def test_after_the_deadline_nothing_is_asked(scorer: Scorer) -> None:
    error = await failure(scorer, {"deadline": datetime.now(UTC) - timedelta(seconds=1)})
    assert (error.code, error.usage.calls, scorer.received) == ("judge_unavailable", 0, [])


async def test_nobody_there_is_said_with_the_fix(scorer: Scorer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    error = await failure(scorer, url=f"http://127.0.0.1:{port}/score")
    check(error, "judge_unavailable", "(ConnectError): is it running, and MAXWELL_JUDGE_HTTP_URL its address?")
    assert str(port) not in str(error)
    nowhere = await failure(scorer, url="http://no-such-host.invalid/score")
    check(nowhere, "judge_unavailable", "(ConnectError): is it running")
    assert "invalid" not in str(nowhere)
    unwritable = await failure(scorer, url=f"http://{'a' * 70}/score")
    check(unwritable, "judge_unavailable", "(ConnectError): is it running")


@pytest.mark.parametrize("status", [429, 503])
async def test_when_to_come_back_is_passed_on(scorer: Scorer, status: int) -> None:
    scorer.say = response(status, Retry_After="7")
    assert (await failure(scorer)).retry_after == timedelta(seconds=7)
    scorer.say = response(status, Retry_After="Wed, 21 Oct 2015 07:28:00 GMT")
    assert (await failure(scorer)).retry_after == timedelta(0)
    scorer.say = response(status, Retry_After="soon")
    assert (await failure(scorer)).retry_after is None


async def test_the_worker_counts_every_request_and_never_logs_the_token(scorer: Scorer) -> None:
    scorer.say = scores(1, 2)
    async with built(scorer) as made:
        with capture_logs() as logs:
            answer = await Bench({"http": made}).answer(ask(made.card, 4), pictures(made, 4))
    assert isinstance(answer, JudgeFailure)
    assert (answer.code, answer.usage.calls, len(scorer.received)) == ("judge_malformed", 3, 3)
    assert logs[-1]["event"] == "judge failed"
    assert TOKEN not in str(logs) + answer.detail
