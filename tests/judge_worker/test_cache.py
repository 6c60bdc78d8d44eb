"""A judge that has seen the same pictures for the same purpose is not asked again; one that has seen anything else is."""

import asyncio
import hashlib
import random
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from bus import keys
from bus.connection import Client, connect
from bus.verdicts import CachedVerdict, Verdicts
from contracts.errors import JudgeUnavailable
from contracts.judging import Allowance, JudgeAsk, JudgeCard, JudgeFailure, JudgeUsage, Verdict
from workers.caching import VerdictCache, fingerprint, of_these, seen_by
from workers.judging import Bench

from ..adapters.pictures import ask, blots, encoded
from ..conftest import wait_until

CARD = JudgeCard(name="counting", kind="scoring", description="A test's.", objective="none")
LIFE = timedelta(minutes=10)
FREE = JudgeUsage(calls=0, usd=0.0, cached=1)  # of a judge that has a price
PICTURES = [encoded(blots(k)) for k in range(5)]


def score_of(picture: bytes) -> float:
    """Its digest's first byte: other pictures have other scores."""
    return float(hashlib.sha256(picture).digest()[0])


class CountingJudge:
    """Scores what it is shown, fails as often as it is told to, and counts."""

    def __init__(self, card: JudgeCard = CARD, failures: int = 0) -> None:
        self.card, self.failures, self.asked = card, failures, 0

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        self.asked += 1
        if self.asked <= self.failures:
            raise JudgeUnavailable("503", retry_after=timedelta(hours=1))
        scores = tuple(score_of(picture) for picture in pictures)
        return Verdict(scores=scores, measured=scores, rationale="1 is best", usage=JudgeUsage(usd=0.1))


class TunedJudge(CountingJudge):
    """One with settings that its card does not show."""

    def __init__(self, settings: str) -> None:
        super().__init__()
        self.fingerprint = settings


def cache(redis: Client, *judges: CountingJudge, life: timedelta = LIFE) -> VerdictCache:
    """A worker's cache before these judges."""
    by_name = {judge.card.name: judge for judge in judges}
    return VerdictCache(Bench(by_name).answer, by_name, Verdicts(redis, life))


async def answered(cache: VerdictCache, pictures: list[bytes], **changed: Any) -> Verdict:
    answer = await cache.answer(ask(CARD, len(pictures), **changed), pictures)
    assert isinstance(answer, Verdict)
    return answer


@pytest.fixture
def judge() -> CountingJudge:
    return CountingJudge()


@pytest.fixture
async def filled(redis: Client, judge: CountingJudge) -> VerdictCache:
    """A cache that holds the verdict on PICTURES."""
    filled = cache(redis, judge)
    first = await answered(filled, PICTURES)
    assert (first.usage.calls, first.usage.cached, judge.asked) == (1, 0, 1)
    return filled


async def test_the_same_pictures_in_any_order_take_no_call_and_keep_their_scores(
    filled: VerdictCache, judge: CountingJudge
) -> None:
    for seed in range(20):
        pictures = random.Random(seed).sample(PICTURES, len(PICTURES))
        verdict = await answered(filled, pictures)
        assert verdict.scores == verdict.measured == tuple(score_of(picture) for picture in pictures)
        assert verdict.usage == FREE
    assert judge.asked == 1


async def test_equal_pictures_count_as_often_as_they_are_shown(redis: Client, judge: CountingJudge) -> None:
    one, two = PICTURES[:2]
    at = cache(redis, judge)
    await answered(at, [one, one, two])
    assert (await answered(at, [two, one, one])).scores == (score_of(two), score_of(one), score_of(one))
    assert judge.asked == 1
    await answered(at, [one, two, two])
    await answered(at, [one, two])
    assert judge.asked == 3


def test_of_equal_pictures_each_keeps_a_score_of_its_own() -> None:
    """A selecting judge of somebody else's may have chosen one of two equal ones."""
    cached = CachedVerdict(pictures=("a", "a", "b"), verdict=Verdict(scores=(5.0, -5.0, -5.0)))
    assert of_these(cached, ("a", "a", "b")).scores == (5.0, -5.0, -5.0)
    assert of_these(cached, ("b", "a", "a")).scores == (-5.0, 5.0, -5.0)


async def test_a_rationale_that_numbers_the_pictures_is_retold(filled: VerdictCache) -> None:
    same = await answered(filled, PICTURES)
    assert same.rationale == "1 is best"
    first, second, *rest = PICTURES
    swapped = await answered(filled, [second, first, *rest])
    assert swapped.rationale == "1 is best [said of these pictures in another order: what was 2 is 1, 1 is 2 here]"


@pytest.mark.parametrize(
    "changed",
    [
        {"seed": 8},
        {"name": {"job": "gen_other", "step": 9, "ordinal": 1}},
        {"deadline": datetime.now(UTC) + timedelta(seconds=300)},
        {"allowance": Allowance(calls=3, usd=0.2)},
    ],
)
async def test_what_the_judge_does_not_see_is_no_reason_to_ask_again(
    filled: VerdictCache, judge: CountingJudge, changed: dict[str, Any]
) -> None:
    assert (await answered(filled, PICTURES, **changed)).usage == FREE
    assert judge.asked == 1


@pytest.mark.parametrize(
    "changed",
    [
        {"prompt": "a red apple."},
        {"prompt": ""},
        {"scenario": "for a teacher"},
        {"sigma": 1.9},
        {"kind": "check"},
        {"kind": "final"},
        {"kind": "preference"},
    ],
)
async def test_another_prompt_scenario_noise_level_or_kind_is_asked_anew(
    filled: VerdictCache, judge: CountingJudge, changed: dict[str, Any]
) -> None:
    assert (await answered(filled, PICTURES, **changed)).usage.calls == 1
    assert judge.asked == 2


async def test_one_pixel_more_is_another_picture(filled: VerdictCache, judge: CountingJudge) -> None:
    changed = blots(0)
    red, green, blue = changed.getpixel((0, 0))  # type: ignore[misc]
    changed.putpixel((0, 0), (red, green, blue ^ 1))
    pictures = [encoded(changed), *PICTURES[1:]]
    assert (await answered(filled, pictures)).scores == tuple(score_of(picture) for picture in pictures)
    assert judge.asked == 2


async def test_another_card_and_other_settings_are_asked_anew(redis: Client) -> None:
    cards = [CARD, CARD.model_copy(update={"picture_size": 256}), CARD.model_copy(update={"votes": 3})]
    judges = [*(CountingJudge(card) for card in cards), TunedJudge("temperature 0"), TunedJudge("temperature 1")]
    for _ in range(2):
        for judge in judges:
            await answered(cache(redis, judge), PICTURES)
    assert [judge.asked for judge in judges] == [1] * 5


async def test_a_preference_is_asked_in_both_orders(redis: Client, judge: CountingJudge) -> None:
    at, (one, two) = cache(redis, judge), PICTURES[:2]
    for _ in range(2):
        await answered(at, [one, two], kind="preference")
        await answered(at, [two, one], kind="preference")
    assert judge.asked == 2


async def test_what_is_forgotten_is_asked_anew(redis: Client, judge: CountingJudge) -> None:
    at = cache(redis, judge, life=timedelta(milliseconds=30))
    await answered(at, PICTURES)
    (key,) = await redis.keys("verdict:*")

    async def gone() -> bool:
        return not await redis.exists(key)

    await wait_until(gone, "the verdict is forgotten")
    assert (await answered(at, PICTURES)).usage.calls == 1
    assert judge.asked == 2


async def test_a_failure_is_not_cached(redis: Client) -> None:
    judge = CountingJudge(failures=1)
    at = cache(redis, judge)
    assert isinstance(await at.answer(ask(CARD, 5), PICTURES), JudgeFailure)
    assert await redis.keys("verdict:*") == []
    assert (await answered(at, PICTURES)).usage.calls == 1
    assert (await answered(at, PICTURES)).usage == FREE
    assert judge.asked == 2


OTHERS = CachedVerdict(pictures=("x",) * 5, verdict=Verdict(scores=(1.0,) * 5))


@pytest.mark.parametrize("broken", ["garbage", "others", "short", "not finite"])
async def test_a_broken_entry_is_logged_and_the_judge_asked(
    filled: VerdictCache, judge: CountingJudge, redis: Client, broken: str
) -> None:
    seen = seen_by(fingerprint(judge), ask(CARD, 5), PICTURES)
    entries = {
        "garbage": "nonsense",
        "others": OTHERS.model_dump_json(),
        "short": CachedVerdict(pictures=seen.pictures, verdict=Verdict(scores=(1.0,))).model_dump_json(),
        "not finite": CachedVerdict(pictures=seen.pictures, verdict=Verdict(scores=(1.0,) * 5))
        .model_dump_json()
        .replace("1.0", "NaN", 1),
    }
    await redis.set(keys.CACHED_VERDICT % seen.digest, entries[broken], px=LIFE)
    with capture_logs() as logs:
        verdict = await answered(filled, PICTURES)
    assert (verdict.usage.calls, judge.asked) == (1, 2)
    assert verdict.scores == tuple(score_of(picture) for picture in PICTURES)
    assert "warning" in [line["log_level"] for line in logs]
    assert (await answered(filled, PICTURES)).usage == FREE


async def test_without_redis_the_judge_is_asked(judge: CountingJudge) -> None:
    async with connect("redis://127.0.0.1:1/0", patience=timedelta(0)) as away:
        for _ in range(2):
            assert (await answered(cache(away, judge), PICTURES)).usage.calls == 1


async def test_equal_asks_at_the_same_time_all_get_the_verdict(redis: Client, judge: CountingJudge) -> None:
    at = cache(redis, judge)
    verdicts = await asyncio.gather(*(answered(at, PICTURES) for _ in range(20)))
    assert {verdict.scores for verdict in verdicts} == {tuple(score_of(picture) for picture in PICTURES)}
    assert sum(verdict.usage.cached for verdict in verdicts) == 20 - judge.asked


@given(st.lists(st.binary(max_size=3), min_size=1, max_size=8), st.randoms(use_true_random=False))
def test_any_shuffle_is_seen_alike_and_every_picture_keeps_its_score(
    pictures: list[bytes], chance: random.Random
) -> None:
    shuffled = chance.sample(pictures, len(pictures))
    before, after = (seen_by("mark", ask(CARD, len(pictures)), one) for one in (pictures, shuffled))
    assert before.digest == after.digest
    said = Verdict(scores=tuple(map(score_of, pictures)))
    verdict = of_these(CachedVerdict(pictures=before.pictures, verdict=said), after.pictures)
    assert verdict.scores == tuple(map(score_of, shuffled))


@given(st.lists(st.binary(max_size=2), max_size=4), st.lists(st.binary(max_size=2), max_size=4))
def test_only_the_same_pictures_are_seen_alike(one: list[bytes], other: list[bytes]) -> None:
    alike = seen_by("mark", ask(CARD, 1), one).digest == seen_by("mark", ask(CARD, 1), other).digest
    assert alike == (sorted(one) == sorted(other))


TEXT = st.text(max_size=5)


@given(st.tuples(TEXT, TEXT, TEXT), st.tuples(TEXT, TEXT, TEXT))
def test_texts_do_not_run_into_each_other(one: tuple[str, str, str], other: tuple[str, str, str]) -> None:
    digests = {
        seen_by(mark, ask(CARD, 1, prompt=prompt, scenario=scenario), [b"x"]).digest
        for mark, prompt, scenario in (one, other)
    }
    assert len(digests) == len({one, other})
