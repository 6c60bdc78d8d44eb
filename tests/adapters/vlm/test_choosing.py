"""A truthful model's choice becomes +5 for the better half in every mode; where pictures stand does not matter in the long run."""

import random

import pytest

from contracts.judging import Verdict
from reward_adapters.base import REWARD

from ...conformance.provider import Provider
from ..pictures import ask
from .asking import built, environment, reds, verdict

HALVES = [(5, 250), (200, 10, 120), (10, 200, 30, 150), (90, 10, 220, 40, 250, 60, 130, 170), tuple(range(10, 250, 8))]


def chosen(verdict: Verdict) -> list[int]:
    """The places of the pictures chosen."""
    return [k for k, score in enumerate(verdict.scores) if score == REWARD]


@pytest.mark.parametrize("name", ["openai", "local-vlm"])
@pytest.mark.parametrize("mode", ["separate", "grid"])
@pytest.mark.parametrize("levels", HALVES)
async def test_the_redder_half_is_chosen(provider: Provider, name: str, mode: str, levels: tuple[int, ...]) -> None:
    answer = await verdict(provider, reds(*levels), name, mode=mode)
    redder = sorted(range(len(levels)), key=lambda k: -levels[k])[: len(levels) // 2]
    assert answer.scores == tuple(REWARD if k in redder else -REWARD for k in range(len(levels)))
    assert answer.measured is None
    assert answer.rationale is not None
    assert answer.rationale.startswith("the redder ones (")
    assert (answer.usage.calls, answer.usage.tokens.input, answer.usage.tokens.output) == (1, 1000, 50)
    assert len(provider.received) == 1


@pytest.mark.parametrize("kind", ["candidates", "check", "preference"])
async def test_of_two_one_is_chosen_whatever_is_asked_and_in_both_orders(provider: Provider, kind: str) -> None:
    assert (await verdict(provider, reds(20, 220), asked={"kind": kind})).scores == (-REWARD, REWARD)
    assert (await verdict(provider, reds(220, 20), asked={"kind": kind})).scores == (REWARD, -REWARD)


async def test_how_many_are_chosen_is_a_setting_and_leaves_one_unchosen(provider: Provider) -> None:
    levels = (10, 200, 30, 150)
    assert chosen(await verdict(provider, reds(*levels), selected="1")) == [1]
    assert chosen(await verdict(provider, reds(*levels), selected="3")) == [1, 2, 3]
    assert chosen(await verdict(provider, reds(*levels), selected="9")) == [1, 2, 3]


async def test_equal_pictures_are_shown_once_and_none_is_no_question(provider: Provider) -> None:
    assert (await verdict(provider, reds(200, 10, 200, 10))).scores == (REWARD, -REWARD, REWARD, -REWARD)
    assert len(provider.received) == 1
    answer = await verdict(provider, reds(9, 9, 9))
    assert (answer.scores, answer.usage.calls, len(provider.received)) == ((None, None, None), 0, 1)


async def test_the_rationale_says_what_its_labels_stand_for(provider: Provider) -> None:
    rationale = (await verdict(provider, reds(10, 200, 30, 150))).rationale
    assert rationale is not None
    numbers = [part.split(" is ")[1] for part in rationale[rationale.index("(") + 1 : -1].split(", ")]
    assert numbers == ["1", "2", "3", "4"]


@pytest.mark.parametrize("mode", ["separate", "grid"])
async def test_a_bias_for_the_first_places_falls_on_all_pictures_alike(provider: Provider, mode: str) -> None:
    """Of 8 pictures the model chooses the 4 shown first. In 200 asks each is chosen 100 times, standard deviation 7.1: within 4.5 of it."""
    times = await times_chosen_by_a_biased_model(provider, 200, mode=mode)
    assert sum(times) == 800
    assert all(68 <= one <= 132 for one in times), times


async def test_a_bias_falls_on_all_pictures_alike_in_votes_too(provider: Provider) -> None:
    """Each is chosen as often as the others, in each ask by a chance of its own: standard deviation at most 3.9 of 60 asks, within 4.5."""
    times = await times_chosen_by_a_biased_model(provider, 60, votes="3")
    assert all(abs(one - sum(times) / 8) <= 17.5 for one in times), times


async def test_in_pairs_a_bias_for_the_first_place_chooses_nobody(provider: Provider) -> None:
    assert await times_chosen_by_a_biased_model(provider, 5, mode="pairwise") == [0] * 8
    assert len(provider.received) == 5 * 2 * 4 * 4


async def times_chosen_by_a_biased_model(provider: Provider, asks: int, **settings: str) -> list[int]:
    """How often each of eight pictures is chosen by a model that takes those shown first."""
    pictures, times = reds(*range(10, 250, 30)), [0] * 8
    async with built("openai", environment(provider, model="first", **settings)) as judge:
        for seed in random.Random(1).sample(range(2**40), asks):
            for place in chosen(await judge.score(ask(judge.card, 8, seed=seed), pictures)):
                times[place] += 1
    return times


async def test_a_preference_of_a_biased_model_disagrees_with_itself_as_often_as_chance(provider: Provider) -> None:
    """Two pictures in both orders, under two seeds: a model that takes the first agrees with itself in 50 of 100 (sd 5, within 4)."""
    agreed = 0
    async with built("openai", environment(provider, model="first")) as judge:
        for seed in range(0, 200, 2):
            forth = await judge.score(ask(judge.card, 2, seed=seed, kind="preference"), reds(20, 220))
            back = await judge.score(ask(judge.card, 2, seed=seed + 1, kind="preference"), reds(220, 20))
            agreed += forth.scores == back.scores[::-1]
    assert 30 <= agreed <= 70


async def test_a_card_says_how_pictures_are_wanted_and_how_many(provider: Provider) -> None:
    for settings, most in (
        ({}, 64),
        ({"max_images": "16"}, 16),
        ({"max_images": "16", "mode": "grid"}, 64),
        ({"max_images": "2", "mode": "pairwise"}, 64),
    ):
        async with built("local-vlm", environment(provider, "local-vlm", **settings)) as judge:
            card = judge.card
            assert (card.kind, card.encoding, card.picture_size, card.max_pictures) == ("selecting", "jpeg", 512, most)
