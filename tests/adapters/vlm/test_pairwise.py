"""Pairs: a fair schedule, as many calls as the card says, ties, strengths as by hand, and a bias for a place that cancels out."""

import asyncio
import random
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import JudgeRefused, JudgeUnavailable
from contracts.judging import JudgeFailure, Verdict
from reward_adapters import registry
from reward_adapters.base import REWARD
from reward_adapters.vlm.answer import TIE
from reward_adapters.vlm.bradley_terry import DRAWS, strengths
from reward_adapters.vlm.pairwise import Pairs, schedule
from reward_adapters.vlm.showing import Gallery
from workers.judging import Bench

from ...conformance.provider import Provider
from ...conformance.sight import texts_of
from ..pictures import ask, encoded, plain
from .asking import built, environment, reds, verdict
from .voting import choosing, scripted, some

UP, DOWN = REWARD, -REWARD


@pytest.mark.parametrize("count", range(2, 65))
def test_in_each_round_everybody_meets_another_one_and_in_the_end_everybody_else(count: int) -> None:
    size = count // 2
    whole = schedule(count, 64)
    assert sorted(tuple(sorted(pair)) for pair in whole) == list(combinations(range(count), 2))
    for begin in range(0, len(whole), size):
        assert len({player for pair in whole[begin : begin + size] for player in pair}) == 2 * size
    for rounds in range(1, count):
        assert schedule(count, rounds) == whole[: rounds * size]
    assert connected(count, schedule(count, 2))


def connected(count: int, pairs: list[tuple[int, int]]) -> bool:
    """Whether everybody can be compared with everybody over some others."""
    known = {0}
    for _ in range(count):
        known |= {player for pair in pairs if known & set(pair) for player in pair}
    return len(known) == count


@pytest.mark.parametrize("rounds", [None, "1", "3", "64"])
@pytest.mark.parametrize("votes", ["1", "2"])
def test_as_many_calls_are_made_as_the_card_says(provider: Provider, rounds: str | None, votes: str) -> None:
    told = {"mode": "pairwise", "votes": votes} | ({} if rounds is None else {"rounds": rounds})
    card = registry.build("openai", environment(provider, **told)).card
    assert (card.votes, card.rounds) == (int(votes), int(rounds or 4))
    for count in range(2, 65) if rounds != "64" else (2, 3, 8, 9, 64):
        pairs = Pairs.about(gallery(count), 7, card.votes, int(rounds or 4), 1, range(1, count + 1))
        cost = card.cost(count)
        assert len(pairs.showings) == cost.calls
        assert cost.calls == 2 * card.votes * min(card.rounds or 0, count - 1 + count % 2) * (count // 2)
        shown = [len(showing.parts) // 2 - 1 for showing in pairs.showings]
        assert cost.tokens.image == sum(shown) * card.call.tokens_per_picture


def gallery(count: int) -> Gallery:
    return Gallery("", tuple(bytes([k]) for k in range(count)))


@pytest.mark.parametrize("mode", ["separate", "grid"])
def test_the_card_of_other_modes_has_votes_and_no_rounds(provider: Provider, mode: str) -> None:
    card = registry.build("openai", environment(provider, mode=mode, votes="3", rounds="2")).card
    assert (card.votes, card.rounds, card.cost(16).calls) == (3, None, 3)


def test_each_pair_is_asked_in_both_orders_and_another_seed_pairs_others() -> None:
    pairs = Pairs.about(gallery(6), 7, 2, 2, 3, range(1, 7))
    for bout in pairs.bouts:
        assert bout.forth.pictures == bout.back.pictures[::-1] == (bout.one, bout.other)
    assert len({bout.forth.labels + bout.back.labels for bout in pairs.bouts}) == len(pairs.bouts)
    met = [
        {(bout.one, bout.other) for bout in Pairs.about(gallery(6), seed, 1, 1, 3, range(6)).bouts}
        for seed in (1, 1, 2)
    ]
    assert met[0] == met[1] != met[2]


def wins(results: dict[tuple[int, int], float], count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
    """The matrix of such results: how many games the first one won of the second."""
    matrix = np.zeros((count, count))
    for pair, won in results.items():
        matrix[pair] = won
    return matrix


@pytest.mark.parametrize(("won", "lost"), [(1, 0), (0.5, 0.5), (2, 0), (3, 1), (2.5, 0.5)])
def test_of_two_the_strengths_are_those_of_the_closed_form(won: float, lost: float) -> None:
    """p / (1 - p) = s0 / s1 = (wins + half the draws before) / (losses + the same), half of its logarithm up, half down."""
    half = np.log((won + DRAWS / 2) / (lost + DRAWS / 2)) / 2
    assert strengths(wins({(0, 1): won, (1, 0): lost}, 2)) == pytest.approx([half, -half], abs=1e-12)


def test_one_game_of_two_and_a_circle_of_three_by_hand() -> None:
    assert strengths(wins({(0, 1): 1}, 2)) == pytest.approx([np.log(5) / 2, -np.log(5) / 2])
    assert strengths(wins({(0, 1): 1, (1, 2): 1, (2, 0): 1}, 3)) == pytest.approx([0, 0, 0], abs=1e-12)


def hunter(matrix: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> list[float]:
    """Another way to the same: Hunter's MM, written down plainly. s_i = won_i / sum over j of games_ij / (s_i + s_j), again and again."""
    count = len(matrix)
    each = DRAWS / 2 / (count - 1)
    won = [[0 if i == j else matrix[i, j] + each for j in range(count)] for i in range(count)]
    now = [1.0] * count
    for _ in range(3000):
        now = [
            sum(won[i]) / sum((won[i][j] + won[j][i]) / (now[i] + now[j]) for j in range(count) if j != i)
            for i in range(count)
        ]
    logs = np.log(now)
    return list(logs - logs.mean())


@pytest.mark.parametrize("count", [3, 4, 6])
def test_strengths_are_those_that_another_algorithm_finds(count: int) -> None:
    chance = random.Random(count)
    matrix = wins(
        {pair: chance.choice([0, 0.5, 1, 2]) for a, b in schedule(count, 2) for pair in ((a, b), (b, a))}, count
    )
    assert strengths(matrix) == pytest.approx(hunter(matrix), abs=1e-7)


@given(st.integers(2, 64), st.integers(1, 63), st.integers(0, 2**32), st.booleans())
@settings(max_examples=60, deadline=None)
def test_strengths_are_finite_the_likeliest_and_move_with_their_pictures(
    count: int, rounds: int, seed: int, clear: bool
) -> None:
    chance = random.Random(seed)
    matrix = np.zeros((count, count))
    for one, other in schedule(count, rounds):
        result = float(one < other) if clear else chance.choice([0, 0.5, 1])
        matrix[one, other], matrix[other, one] = result, 1 - result
    logs = strengths(matrix)
    each = DRAWS / 2 / (count - 1) * (1 - np.eye(count))
    expected = (matrix + matrix.T + 2 * each) / (1 + np.exp(logs[None, :] - logs[:, None]))
    assert (matrix + each).sum(1) == pytest.approx(expected.sum(1), abs=1e-9), "where the likelihood has its top"
    order = np.array(chance.sample(range(count), count))
    assert strengths(matrix[np.ix_(order, order)]) == pytest.approx(logs[order], abs=1e-9)
    if clear and rounds >= count:
        assert (np.diff(logs) < 0).all(), "in the order of an undisputed tournament"


@pytest.mark.parametrize("name", ["openai", "gemini"])
@pytest.mark.parametrize("levels", [(5, 250), (200, 10, 120), (10, 200, 30, 150), (90, 10, 220, 40, 250, 60, 130, 170)])
async def test_the_redder_half_is_chosen_over_real_http(provider: Provider, name: str, levels: tuple[int, ...]) -> None:
    count = len(levels)
    async with built(name, environment(provider, name, mode="pairwise", rounds="64")) as judge:
        answer = await judge.score(ask(judge.card, count), reds(*levels))
    order = sorted(range(count), key=lambda k: -levels[k])
    assert answer.scores == tuple(UP if k in order[: count // 2] else DOWN for k in range(count))
    assert answer.measured is not None
    assert sorted(range(count), key=lambda k: -(answer.measured or ())[k]) == order
    assert sum(answer.measured) == pytest.approx(0, abs=1e-9)
    assert answer.usage.calls == len(provider.received) == judge.card.cost(count).calls == count * (count - 1)
    said = ", ".join(f"{k + 1} ({answer.measured[k]:+.2f})" for k in order)
    assert answer.rationale is not None
    assert answer.rationale.startswith(f"by pairs, strongest first: {said}; for example the redder ones (")


async def test_a_model_that_takes_the_first_contradicts_itself_on_every_pair(provider: Provider) -> None:
    answer = await verdict(provider, reds(10, 200, 30, 150), model="first", mode="pairwise")
    assert answer.scores == (None,) * 4
    assert answer.measured == (0, 0, 0, 0)


async def test_equally_red_pictures_tie_and_have_no_opinion_where_the_cut_is(provider: Provider) -> None:
    tied = [encoded(plain((120, 60, 90), (side, side)), "jpeg") for side in (64, 48)]
    answer = await verdict(provider, tied, mode="pairwise")
    assert (answer.scores, answer.measured) == ((None, None), (0, 0))
    for request in provider.received:
        assert f"or {TIE} where neither is" in texts_of(request)[-1]
        assert TIE in request["response_format"]["json_schema"]["schema"]["properties"]["selected"]["items"]["enum"]
    red, blue = reds(250, 5)
    answer = await verdict(provider, [tied[0], red, tied[1], blue], mode="pairwise", rounds="3")
    assert answer.scores == (None, UP, None, DOWN)
    assert answer.measured is not None
    assert answer.measured == pytest.approx((0, -answer.measured[3], 0, answer.measured[3]))


async def test_equal_pictures_are_compared_once(provider: Provider) -> None:
    answer = await verdict(provider, reds(200, 10, 200, 10), mode="pairwise")
    assert (answer.scores, answer.usage.calls) == ((UP, DOWN, UP, DOWN), 2)
    answer = await verdict(provider, reds(9, 9), mode="pairwise")
    assert (answer.scores, answer.usage.calls, len(provider.received)) == ((None, None), 0, 2)


@pytest.mark.parametrize("said", [("first", "second"), ("first", "tie"), ("tie", "second"), ("tie", "tie")])
async def test_only_a_choice_made_in_both_orders_is_one(said: tuple[str, str]) -> None:
    """What is said of the pictures in their order, and in the other one."""
    pictures = some(2)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        forth = list(shown) == pictures
        winner = {"first": pictures[0], "second": pictures[1], "tie": None}[said[0] if forth else said[1]]
        return choosing([TIE if winner is None else shown[winner]])

    judge, _ = scripted(saying, rounds=4)
    answer = await judge.score(ask(judge.card, 2), pictures)
    assert (answer.scores, answer.measured) == ((None, None), (0, 0))


@pytest.mark.parametrize("votes", [1, 3])
async def test_votes_compare_each_pair_again(votes: int) -> None:
    pictures = some(2)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        return choosing([shown[pictures[1]]])

    judge, chat = scripted(saying, votes, rounds=4)
    answer = await judge.score(ask(judge.card, 2), pictures)
    half = np.log((votes + DRAWS / 2) / (DRAWS / 2)) / 2
    assert (answer.scores, chat.calls) == ((DOWN, UP), 2 * votes)
    assert answer.measured == pytest.approx((-half, half))


async def test_half_of_the_pairs_have_to_come_and_who_was_in_none_has_no_opinion() -> None:
    """Two rounds of four pictures are four pairs; whichever shows the fourth picture fails, and those are two of them."""
    pictures = some(4)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        if pictures[3] in shown:
            raise JudgeUnavailable("no")
        return choosing([shown[min(shown, key=pictures.index)]], "earlier")

    judge, chat = scripted(saying, rounds=2)
    answer = await judge.score(ask(judge.card, 4), pictures)
    assert (answer.scores[0], answer.scores[3]) == (UP, None)
    assert DOWN in answer.scores
    assert (chat.calls, answer.usage.calls) == (8, 8)
    assert answer.rationale is not None
    assert "; not compared: 4; for example earlier (" in answer.rationale


async def test_with_fewer_than_half_of_the_pairs_there_is_no_verdict() -> None:
    pictures = some(4)

    async def saying(number: int, shown: dict[bytes, str]) -> str:
        if pictures[3] in shown or pictures[2] in shown:
            raise JudgeRefused("no")
        return choosing([shown[pictures[0]]])

    judge, chat = scripted(saying, rounds=2)
    with pytest.raises(JudgeRefused) as raised:
        await judge.score(ask(judge.card, 4), pictures)
    assert raised.value.usage.calls == chat.calls


async def test_with_faults_at_three_requests_in_ten_every_ask_gets_a_choice_or_a_typed_failure(
    provider: Provider,
) -> None:
    async with built("openai", environment(provider, model="flaky", mode="pairwise", rounds="3")) as judge:
        bench = Bench({"openai": judge})
        asks = (bench.answer(ask(judge.card, 4, seed=seed), reds(10, 200, 30, 150)) for seed in range(12))
        answers = await asyncio.gather(*asks)
    for answer in answers:
        if isinstance(answer, Verdict):
            # Of some of the pairs not more can be said: the best lost none of its own, the worst won none.
            assert answer.measured is not None
            assert answer.measured[1] > answer.measured[0]
            assert (answer.scores[0], answer.scores[1]) != (UP, DOWN)
        else:
            assert isinstance(answer, JudgeFailure)
            assert answer.code.startswith("judge_")
    assert sum(isinstance(answer, Verdict) for answer in answers) >= 5
