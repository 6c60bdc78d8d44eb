"""What the judge `http` asks over a real connection, and what it makes of a good answer."""

import asyncio
import base64

import pytest

from bus.connection import Client
from bus.limits import Limits
from contracts.errors import JudgeError, JudgeUnavailable
from contracts.judging import AskName, Tokens, Verdict
from reward_adapters.base import REWARD
from reward_adapters.http_scorer.judge import judge
from workers.caching import fingerprint
from workers.gates import Closable, Limited, behind_limits
from workers.judging import Bench

from ..pictures import ask
from .asking import built, environment, pictures, verdict
from .scorer import TOKEN, Scorer, response, scores


async def test_the_request_is_what_the_contract_says(scorer: Scorer) -> None:
    name = AskName(job="gen_1", branch=2, step=3, ordinal=1)
    asked = {"name": name, "kind": "final", "prompt": "ein Café\n\x00", "scenario": "für \u202e Kinder", "sigma": 0.25}
    async with built(scorer) as made:
        shown = pictures(made, 4)
        await made.score(ask(made.card, 4, **asked), shown)
    assert scorer.body == {
        "version": 1,
        "id": "gen_1:2:3:1",
        "kind": "final",
        "prompt": "ein Café\n\x00",
        "scenario": "für \u202e Kinder",
        "sigma": 0.25,
        "encoding": "jpeg",
        "pictures": [base64.b64encode(picture).decode() for picture in shown],
    }
    assert scorer.headers["request"] == "POST /score HTTP/1.1"
    assert scorer.headers["content-type"] == "application/json"
    assert scorer.headers["authorization"] == f"Bearer {TOKEN}"
    assert f"http://{scorer.headers['host']}/score" == scorer.url


async def test_without_a_token_none_is_sent_and_a_query_is_kept(scorer: Scorer) -> None:
    await verdict(scorer, token="", url=f"{scorer.url}?model=a%20b")
    assert "authorization" not in scorer.headers
    assert scorer.headers["request"] == "POST /score?model=a%20b HTTP/1.1"


async def test_asked_again_it_has_the_same_id(scorer: Scorer) -> None:
    scorer.say = response(503, Retry_After="0")
    async with built(scorer) as made:
        failed = await Bench({"http": made}).answer(ask(made.card, 4), pictures(made, 4))
    assert not isinstance(failed, Verdict)
    assert (failed.code, failed.usage.calls) == ("judge_unavailable", 3)
    assert {body["id"] for _, body in scorer.received} == {"gen_test:0:1:0"}
    assert len(scorer.received) == 3


async def test_scores_are_taken_as_they_are(scorer: Scorer) -> None:
    scorer.say = scores(1, -2.5e9, None, 0.0)
    answer = await verdict(scorer)
    assert (answer.scores, answer.measured, answer.rationale) == ((1.0, -2.5e9, None, 0.0), None, None)
    assert (answer.usage.calls, answer.usage.usd, answer.usage.tokens) == (1, None, Tokens())


async def test_what_it_cost_and_why_is_kept(scorer: Scorer) -> None:
    scorer.say = scores(
        1, 2, 3, 4, rationale=" So\x00\n it is. ", usage={"usd": 0.25, "tokens": {"input": 9, "output": 3, "image": 8}}
    )
    answer = await verdict(scorer)
    assert answer.rationale == "So it is."
    assert (answer.usage.usd, answer.usage.tokens) == (0.25, Tokens(input=9, output=3, image=8))
    scorer.say = scores(1, 2, 3, 4, rationale="x" * 700)
    assert (await verdict(scorer)).rationale == "x" * 599 + "…"


@pytest.mark.parametrize(
    ("said", "chosen"),
    [
        ((4, 1, 3, 2), (1, -1, 1, -1)),
        ((1, 0, 0, 0), (1, -1, -1, -1)),
        ((1, 1, 1, 0), (1, 1, 1, -1)),
        ((7, 7, 7, 7), (None, None, None, None)),
        ((None, 5, 6, None), (None, -1, 1, None)),
        ((None, None, None, None), (None, None, None, None)),
        ((1, 2, 3, None), (-1, None, 1, None)),
    ],
)
async def test_a_selecting_scorer_chooses_the_better_half(
    scorer: Scorer, said: tuple[float | None, ...], chosen: tuple[int | None, ...]
) -> None:
    scorer.say = scores(*said)
    answer = await verdict(scorer, kind="selecting")
    assert answer.scores == tuple(one and one * REWARD for one in chosen)
    assert answer.measured == (None if None in said else said)


async def test_one_connection_serves_one_ask_after_the_other_and_ends_with_the_judge(scorer: Scorer) -> None:
    async with built(scorer) as made:
        for _ in range(3):
            await made.score(ask(made.card, 4), pictures(made, 4))
        assert (scorer.connections, scorer.hung_up.is_set()) == (1, False)
    async with asyncio.timeout(10):
        await scorer.hung_up.wait()


async def test_a_server_that_hangs_up_after_each_answer_is_asked_anew(scorer: Scorer) -> None:
    scorer.after = "close"
    async with built(scorer) as made:
        for _ in range(3):
            await made.score(ask(made.card, 4), pictures(made, 4))
    assert scorer.connections == 3


async def test_many_asks_at_once(scorer: Scorer) -> None:
    async with built(scorer) as made:
        shown = pictures(made, 4)
        answers = await asyncio.gather(*(made.score(ask(made.card, 4), shown) for _ in range(100)))
    assert {answer.scores for answer in answers} == {(1.0, 2.0, 3.0, 4.0)}
    assert scorer.connections <= 32


async def test_more_pictures_than_may_be_shown_are_not_sent(scorer: Scorer) -> None:
    with pytest.raises(JudgeError, match="may show 3 pictures at once and was asked about 4") as raised:
        await verdict(scorer, max_pictures="3")
    assert (raised.value.code, raised.value.usage.calls, scorer.received) == ("judge_misconfigured", 0, [])


async def test_bytes_that_are_no_picture_are_not_sent(scorer: Scorer) -> None:
    async with built(scorer) as made:
        with pytest.raises(JudgeError, match="hold no readable PNG or JPEG"):
            await made.score(ask(made.card, 2), [*pictures(made, 1), b"<svg/>"])
    assert scorer.received == []


def test_the_worker_sees_its_limits_and_its_end() -> None:
    made = judge(environment("http://scorer/score", concurrency="3"))
    assert isinstance(made, Limited)
    assert isinstance(made, Closable)
    assert made.limits.concurrency == 3
    another = judge(environment("http://scorer/score", token="another", concurrency="3"))
    assert made.limits.account != another.limits.account
    assert TOKEN not in made.limits.account + made.fingerprint + repr(made)


async def test_no_more_requests_are_under_way_than_allowed(scorer: Scorer, redis: Client) -> None:
    scorer.latency = 0.02
    async with built(scorer, concurrency="2") as made, Limits(redis) as limits:
        gated = behind_limits({"http": made}, limits)["http"]
        answers = await asyncio.gather(*(gated.score(ask(made.card, 4), pictures(made, 4)) for _ in range(8)))
    assert {answer.scores for answer in answers} == {(1.0, 2.0, 3.0, 4.0)}
    assert scorer.most_under_way == 2


async def test_a_scorer_that_fails_again_and_again_is_left_alone(scorer: Scorer, redis: Client) -> None:
    scorer.say = response(500)
    async with built(scorer) as made, Limits(redis) as limits:
        gated = behind_limits({"http": made}, limits)["http"]
        for _ in range(10):
            with pytest.raises(JudgeUnavailable, match="busy or failing"):
                await gated.score(ask(made.card, 4), pictures(made, 4))
        with pytest.raises(JudgeUnavailable, match="left alone for a while"):
            await gated.score(ask(made.card, 4), pictures(made, 4))
    assert len(scorer.received) == 10


def test_verdicts_are_cached_by_what_they_depend_on() -> None:
    url = "http://scorer/score"
    one = fingerprint(judge(environment(url)))
    assert fingerprint(judge(environment(url, token="another"))) == one
    for settings in ({"kind": "selecting"}, {"encoding": "png"}, {"picture_size": "256"}):
        assert fingerprint(judge(environment(url, **settings))) != one
    assert fingerprint(judge(environment(f"{url}/2"))) != one
