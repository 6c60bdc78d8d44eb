"""Several votes on the same pictures: counted as by hand, ties are no opinion, most of them have to come, the job's caps are kept."""

import asyncio
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import JudgeError, JudgeMalformed, JudgeRefused, JudgeUnavailable
from contracts.judging import Allowance, JudgeAsk, JudgeFailure, JudgeUsage, Verdict
from reward_adapters.base import REWARD, select
from reward_adapters.vlm.judge import VlmJudge
from reward_adapters.vlm.opinion import cut
from reward_adapters.vlm.prompt import nonce_of
from workers.judging import Bench

from ...conformance.provider import Provider
from ...conformance.sight import look, texts_of
from ...conftest import wait_until
from ..pictures import ask
from .asking import Turnstile, built, environment, reds, verdict
from .voting import choosing, scripted, some

LEVELS = (10, 200, 30, 150)
CHOSEN = (-REWARD, REWARD, -REWARD, REWARD)
UP, DOWN = REWARD, -REWARD


@pytest.mark.parametrize(
    ("measured", "count", "scores"),
    [
        ((3, 2, 1, 0), 2, (UP, UP, DOWN, DOWN)),
        ((0, 3, 1, 2), 1, (DOWN, UP, DOWN, DOWN)),
        ((2, 2, 1, 1), 2, (UP, UP, DOWN, DOWN)),
        ((3, 1, 1, 1, 0), 2, (UP, None, None, None, DOWN)),
        ((3, 1, 1, 1), 2, (UP, DOWN, DOWN, DOWN)),  # no opinion on the tied ones would leave nothing to compare with
        ((2, 2, 2, 0), 2, (UP, UP, UP, DOWN)),
        ((1, 1, 1), 1, (None, None, None)),
        ((1, 1), 1, (None, None)),
        ((1, 1 + 1e-9, 0), 1, (DOWN, UP, DOWN)),
    ],
)
def test_the_highest_are_chosen_and_a_tie_across_the_cut_is_no_opinion(
    measured: tuple[float, ...], count: int, scores: tuple[float | None, ...]
) -> None:
    assert cut(measured, count) == scores


def test_what_is_close_may_count_as_tied() -> None:
    assert cut((1, 1 + 1e-9, 0), 1, close=1e-6) == (UP, UP, DOWN)


@given(st.lists(st.integers(0, 5), min_size=2, max_size=12).filter(lambda measured: len(measured) % 2 == 0))
def test_half_of_them_is_what_the_house_selects(measured: list[int]) -> None:
    assert cut(measured, len(measured) // 2) == select(measured)


async def test_each_vote_sees_the_same_pictures_in_another_order_under_other_labels(provider: Provider) -> None:
    answer = await verdict(provider, reds(*LEVELS), votes="3")
    assert (answer.scores, answer.measured) == (CHOSEN, (0, 1, 0, 1))
    assert (answer.usage.calls, answer.usage.tokens.input, len(provider.received)) == (3, 3000, 3)
    assert answer.rationale is not None
    assert answer.rationale.startswith("the redder ones (")
    assert answer.rationale.endswith("; of 3 votes 1 has 0, 2 has 3, 3 has 0, 4 has 3")
    seen = [look(request).redness for request in provider.received]
    assert len({tuple(one) for one in seen}) == 3, "other labels"
    assert len({tuple(one.values()) for one in seen}) == 3, "another order"
    assert len({tuple(sorted(one.values())) for one in seen}) == 1, "the same pictures"


async def test_votes_are_counted() -> None:
    pictures, chosen = some(5), [(0, 1), (0, 2), (0, 3)]

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        return choosing([shown[pictures[k]] for k in chosen[number]], f"reason {number}")

    judge, _ = scripted(saying, votes=3)
    answer = await judge.score(ask(judge.card, 5), pictures)
    assert answer.scores == (UP, None, None, None, DOWN)
    assert answer.measured == pytest.approx((1, 1 / 3, 1 / 3, 1 / 3, 0))
    assert answer.rationale is not None
    assert answer.rationale.startswith("reason 0 (")
    assert answer.rationale.endswith("; of 3 votes 1 has 3, 2 has 1, 3 has 1, 4 has 1, 5 has 0")


@pytest.mark.parametrize("votes", range(1, 8))
@pytest.mark.parametrize("failing", range(8))
async def test_most_votes_have_to_come_and_all_are_paid(votes: int, failing: int) -> None:
    pictures = some(4)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        if number < failing:
            raise (JudgeRefused if number == 0 else JudgeUnavailable)("no")
        return choosing([shown[pictures[0]], shown[pictures[2]]])

    judge, chat = scripted(saying, votes)
    if votes - failing > votes / 2:
        answer = await judge.score(ask(judge.card, 4), pictures)
        assert (answer.scores, answer.usage.calls) == ((UP, DOWN, UP, DOWN), votes)
    else:
        with pytest.raises(JudgeRefused) as raised:  # the first failure's type
            await judge.score(ask(judge.card, 4), pictures)
        assert raised.value.usage.calls == chat.calls


async def never(number: int, shown: dict[bytes, str]) -> str:
    return await asyncio.get_running_loop().create_future()  # type: ignore[no-any-return]


async def test_when_too_few_can_come_the_others_are_cancelled_and_paid() -> None:
    async def saying(number: int, shown: dict[bytes, str]) -> str:
        if number < 3:
            raise JudgeUnavailable("no")
        return await never(number, shown)

    judge, chat = scripted(saying, votes=5)
    with pytest.raises(JudgeUnavailable) as raised:
        await judge.score(ask(judge.card, 4), some(4))
    assert (chat.calls, chat.cancelled, raised.value.usage.calls, raised.value.usage.usd) == (5, 2, 5, 1.0), (
        "2 at the estimate"
    )
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("rounds", [None, 3])
async def test_cancelling_the_ask_cancels_all_its_calls(rounds: int | None) -> None:
    judge, chat = scripted(never, votes=3, rounds=rounds)
    asked = asyncio.create_task(judge.score(ask(judge.card, 4), some(4)))
    await wait_until(lambda: chat.calls == judge.card.cost(4).calls, "all calls are under way")
    asked.cancel()
    await asyncio.wait([asked])
    assert (asked.cancelled(), chat.cancelled) == (True, judge.card.cost(4).calls)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_bug_in_one_call_leaves_as_it_is_and_ends_the_others() -> None:
    async def saying(number: int, shown: dict[bytes, str]) -> str:
        if number == 1:
            raise ZeroDivisionError
        return await never(number, shown)

    judge, chat = scripted(saying, votes=3)
    with pytest.raises(ZeroDivisionError):
        await judge.score(ask(judge.card, 4), some(4))
    assert chat.cancelled == 2


async def spent(judge: VlmJudge, asked: JudgeAsk, pictures: list[bytes], failure: type[JudgeError]) -> JudgeUsage:
    """What the ask cost, whether it fails (with such a failure only) or not."""
    try:
        return (await judge.score(asked, pictures)).usage
    except failure as error:
        return error.usage


@given(
    votes=st.integers(1, 5), rounds=st.sampled_from([None, 1, 2]), room=st.integers(-1, 12), seed=st.integers(0, 2**32),
    in_dollars=st.booleans(),
)  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_calls_side_by_side_and_their_corrections_keep_to_the_caps(
    votes: int, rounds: int | None, room: int, seed: int, in_dollars: bool
) -> None:
    """`room`: for so many calls more than the ask takes at least. Half of the answers are malformed, at times also when corrected."""
    chance, pictures = random.Random(seed), some(4)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        for _ in range(chance.randrange(3)):
            await asyncio.sleep(0)
        count = 2 if rounds is None else 1
        return "" if chance.random() < 0.5 else choosing(list(shown.values())[:count])

    judge, chat = scripted(saying, votes, rounds)
    least = judge.card.cost(4).calls
    cap = Allowance(usd=0.5 * (least + room)) if in_dollars else Allowance(calls=least + room)
    used = asyncio.run(
        spent(judge, ask(judge.card, 4, allowance=cap), pictures, JudgeError if room < 0 else JudgeMalformed)
    )
    assert (used.calls == 0) == (room < 0)
    assert chat.calls == used.calls <= least + room
    assert chat.corrections <= room + (room < 0)
    assert cap.covers(used)


@pytest.mark.parametrize(
    ("name", "told"), [("openai", {"votes": "5"}), ("gemini", {"mode": "pairwise", "rounds": "2"})]
)
@pytest.mark.parametrize("model", ["once:empty", "flaky"])
async def test_the_provider_gets_no_more_requests_than_the_job_allows(
    provider: Provider, name: str, told: dict[str, str], model: str
) -> None:
    async with built(name, environment(provider, name, model=model, **told)) as judge:
        bench, least = Bench({name: judge}), judge.card.cost(4).calls
        for cap in (least - 1, least, least + 1, least + 3, 2 * least, 3 * least + 1):
            asked = ask(judge.card, 4, allowance=Allowance(calls=cap), seed=cap)
            answer = await bench.answer(asked, reds(*LEVELS))
            received = sum(nonce_of(asked) in texts_of(request)[0] for request in provider.received)
            assert received <= answer.usage.calls <= cap, (
                "a call that is cancelled counts, whether it came so far or not"
            )
            if cap < least:
                assert isinstance(answer, JudgeFailure)
                assert "nothing was asked" in answer.detail
            if model == "once:empty" and cap >= 2 * least:
                assert isinstance(answer, Verdict)


async def test_with_faults_at_three_requests_in_ten_every_verdict_is_true(provider: Provider) -> None:
    turnstile = Turnstile()
    async with built("openai", environment(provider, model="flaky", votes="3")) as judge:
        assert isinstance(judge, VlmJudge)
        bench = Bench({"openai": judge.behind(turnstile)})
        answers = await asyncio.gather(
            *(bench.answer(ask(judge.card, 4, seed=seed), reds(*LEVELS)) for seed in range(60))
        )
    verdicts = [answer for answer in answers if isinstance(answer, Verdict)]
    assert all(answer.scores == CHOSEN for answer in verdicts)
    assert len(verdicts) >= 50
    assert turnstile.has_seen_all(len(provider.received), (answer.usage for answer in answers))
