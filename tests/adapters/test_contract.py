"""Every installed judge keeps the judges' contract: one finite score or None a picture, whatever order, company and words they come in."""

import asyncio
import math
import random
from collections.abc import AsyncIterator, Iterator, Sequence

import pytest
import pytest_asyncio

from contracts.errors import JudgeError
from contracts.judging import JudgeCard, Verdict
from reward_adapters import registry
from reward_adapters.base import REWARD, Judge

from ..conformance.provider import Provider
from .http_scorer.asking import of_example
from .pictures import ask, encoded, plain, sent
from .reward_models.tiny import NAMES as REWARD_MODELS
from .reward_models.tiny import tiny_checkpoints
from .vlm.asking import built, environment

pytestmark = pytest.mark.asyncio(loop_scope="module")  # a judge keeps its connections, which belong to a loop

CLOSE = 1e-5  # a network's sums may be rounded another way in another batch
AWKWARD_TEXTS = ["x" * 2000, "a 🍎 by Ёлка \u202e 林檎", "\x00", "' OR 1=1 --", " ", "🍎" * 1000]


# A model of random weights, all that a test has for it, prefers by order and not by picture; test_transformers.py says what holds.
PREFERRING = sorted(set(registry.installed()) - {"transformers-vlm"})


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """The settings of the reward models: tiny checkpoints."""
    with tiny_checkpoints(tmp_path_factory.mktemp("reward-models")) as settings:
        yield settings


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PREFERRING)
async def judge(request: pytest.FixtureRequest, provider_of_all: Provider) -> AsyncIterator[Judge]:
    """Each judge in turn, as the worker builds it; those that ask a model ask the truthful one of the tests' provider."""
    settings = environment(provider_of_all, request.param)
    if request.param in REWARD_MODELS:
        settings = request.getfixturevalue("checkpoints")[request.param]
    with of_example(request.param) as of_http:
        async with built(request.param, settings | of_http) as judge:
            yield judge


async def verdict_of(judge: Judge, pictures: Sequence[bytes], **changed: object) -> Verdict:
    return await judge.score(ask(judge.card, len(pictures), **changed), pictures)


def level(verdict: Verdict) -> list[float]:
    """The judge's own scale: the measurements under a selection, else the scores."""
    scale = verdict.scores if verdict.measured is None else verdict.measured
    return [one for one in scale if one is not None]


@pytest.mark.parametrize("count", [1, 2, 3, 8, 64])
async def test_one_finite_score_or_none_a_picture(judge: Judge, count: int) -> None:
    verdict = await verdict_of(judge, sent(judge.card, count))
    assert len(verdict.scores) == count
    assert all(score is None or math.isfinite(score) for score in verdict.scores)
    if judge.card.kind == "scoring":
        assert None not in verdict.scores


async def test_the_same_ask_gets_the_same_verdict(judge: Judge) -> None:
    pictures = sent(judge.card, 8)
    first, second = [await verdict_of(judge, pictures, scenario="a teacher") for _ in range(2)]
    assert first.scores == second.scores
    assert first.measured == second.measured


async def test_asks_at_the_same_time_do_not_mix(judge: Judge) -> None:
    pictures = [sent(judge.card, 4, first_seed=10 * k) for k in range(4)]
    alone = [await verdict_of(judge, four) for four in pictures]
    together = await asyncio.gather(*(verdict_of(judge, four) for four in pictures))
    assert [verdict.scores for verdict in together] == [verdict.scores for verdict in alone]


async def test_a_picture_is_measured_alike_in_any_company(judge: Judge) -> None:
    pictures = sent(judge.card, 8)
    together = level(await verdict_of(judge, pictures))
    alone = [await verdict_of(judge, [picture]) for picture in pictures]
    if judge.card.kind == "selecting":  # one is no choice
        assert [verdict.scores for verdict in alone] == [(None,)] * 8
    if judge.card.kind == "scoring" or alone[0].measured is not None:
        assert together == pytest.approx([level(verdict)[0] for verdict in alone], abs=CLOSE)


async def test_scores_move_with_their_pictures(judge: Judge) -> None:
    pictures = sent(judge.card, 8)
    order = random.Random(3).sample(range(8), 8)
    straight = await verdict_of(judge, pictures)
    shuffled = await verdict_of(judge, [pictures[k] for k in order])
    assert level(shuffled) == pytest.approx([level(straight)[k] for k in order], abs=CLOSE)
    if judge.card.kind == "selecting":
        assert list(shuffled.scores) == [straight.scores[k] for k in order]


async def test_equal_pictures_get_equal_scores(judge: Judge) -> None:
    twins = sent(judge.card, 1) * 5
    assert len(set((await verdict_of(judge, twins)).scores)) == 1
    mixed = await verdict_of(judge, [*twins, *sent(judge.card, 3, first_seed=50)])
    assert len(set(mixed.scores[:5])) == 1


async def test_a_selecting_judge_gives_plus_or_minus_the_reward_or_nothing(judge: Judge) -> None:
    verdict = await verdict_of(judge, sent(judge.card, 8))
    if judge.card.kind == "selecting":
        assert sorted(score for score in verdict.scores if score is not None) == [-REWARD] * 4 + [REWARD] * 4


async def test_one_of_two_is_preferred_the_same_in_both_orders(judge: Judge) -> None:
    one, two = sent(judge.card, 2)
    forth = (await verdict_of(judge, [one, two], kind="preference")).scores
    back = (await verdict_of(judge, [two, one], kind="preference")).scores
    assert list(back) == pytest.approx(list(reversed(forth)), abs=CLOSE)
    assert forth[0] != forth[1]


@pytest.mark.parametrize("text", AWKWARD_TEXTS)
async def test_any_text_will_do(judge: Judge, text: str) -> None:
    pictures = sent(judge.card, 2)
    for verdict in (await verdict_of(judge, pictures, prompt=text), await verdict_of(judge, pictures, scenario=text)):
        assert all(score is None or math.isfinite(score) for score in verdict.scores)


@pytest.mark.parametrize("kind", ["candidates", "check", "final"])
async def test_the_kind_of_ask_does_not_change_the_scale(judge: Judge, kind: str) -> None:
    pictures = sent(judge.card, 4)
    assert level(await verdict_of(judge, pictures, kind=kind)) == level(await verdict_of(judge, pictures))


@pytest.mark.parametrize("size", [(8, 8), (1, 1), (96, 40), (512, 512)])
async def test_any_size_and_shape_of_picture_will_do(judge: Judge, size: tuple[int, int]) -> None:
    pictures = [encoded(plain(color, size), judge.card.encoding) for color in ("red", "navy", "white")]
    assert len((await verdict_of(judge, pictures)).scores) == 3


@pytest.mark.parametrize("garbage", [b"", b"not a picture", b"\xff\xd8\xff\xe0" + bytes(100)])
async def test_bytes_that_are_no_picture_are_an_error_and_no_verdict(judge: Judge, garbage: bytes) -> None:
    with pytest.raises(JudgeError, match="hold no readable PNG or JPEG"):
        await verdict_of(judge, [*sent(judge.card, 2), garbage])


async def test_the_card_tells_users_what_they_get(judge: Judge) -> None:
    card: JudgeCard = judge.card
    assert card.name in registry.installed()
    assert card.description.endswith(".")
    assert card.objective
    assert card.max_pictures >= 64
