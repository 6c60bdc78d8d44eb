"""The better half is chosen without inventing a preference: what ties at the cut gets no opinion, or all of it the same one."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contracts.errors import JudgeMalformed
from reward_adapters.base import select

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@pytest.mark.parametrize(
    ("measured", "chosen"),
    [
        ([0.4, 0.1, 0.3, 0.2], (5, -5, 5, -5)),
        ([2.0, 1.0], (5, -5)),
        ([1.0, 1.0], (None, None)),
        ([7.0], (None,)),
        ([3.0, 2.0, 1.0], (5, None, -5)),
        ([2.0, 2.0, 1.0, 1.0], (5, 5, -5, -5)),
        ([3.0, 2.0, 2.0, 1.0], (5, None, None, -5)),
        ([1.0, 1.0, 1.0, 0.0], (5, 5, 5, -5)),
        ([1.0, 0.0, 0.0, 0.0], (5, -5, -5, -5)),
        ([2.0, 2.0, 1.0, 1.0, 1.0], (5, 5, -5, -5, -5)),
        ([-0.0, 0.0], (None, None)),
    ],
)
def test_worked_examples(measured: list[float], chosen: tuple[float | None, ...]) -> None:
    assert select(measured) == chosen


def test_the_reward_is_the_callers() -> None:
    assert select([1.0, 0.0], reward=1.0) == (1.0, -1.0)


@pytest.mark.parametrize("broken", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_no_measurement(broken: float) -> None:
    with pytest.raises(JudgeMalformed, match="not all finite"):
        select([1.0, broken])


@given(st.lists(FINITE, min_size=1, max_size=64, unique=True))
def test_different_measurements_split_in_two_halves(measured: list[float]) -> None:
    scores = select(measured)
    assert scores.count(5.0) == scores.count(-5.0) == len(measured) // 2
    chosen = [m for m, s in zip(measured, scores, strict=True) if s == 5.0]
    rejected = [m for m, s in zip(measured, scores, strict=True) if s == -5.0]
    assert not chosen or min(chosen) > max(rejected)


@given(st.lists(st.integers(0, 3).map(float), min_size=1, max_size=16))
def test_equal_measurements_get_equal_scores_and_order_plays_no_part(measured: list[float]) -> None:
    by_value = dict(zip(measured, select(measured), strict=True))
    assert select(measured) == tuple(by_value[one] for one in measured)
    shuffled = sorted(measured)
    assert select(shuffled) == tuple(by_value[one] for one in shuffled)


@given(st.lists(st.integers(0, 3).map(float), min_size=2, max_size=16).filter(lambda measured: len(set(measured)) > 1))
def test_an_opinion_never_stands_alone(measured: list[float]) -> None:
    """Steering lives on differences: a lone sign would steer nothing."""
    scores = select(measured)
    assert {5.0, -5.0} <= set(scores)
    pairs = list(zip(measured, scores, strict=True))
    assert max(m for m, s in pairs if s == -5.0) < min(m for m, s in pairs if s == 5.0)


@given(st.lists(FINITE, min_size=2, max_size=16))
def test_turning_the_scale_round_turns_the_choice_round(measured: list[float]) -> None:
    opposite = [None if score is None else -score for score in select([-one for one in measured])]
    assert list(select(measured)) == opposite
