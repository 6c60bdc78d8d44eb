"""The finished picture against the plain one: scores where the judge has them, else its blind choice in both orders."""

from itertools import product

import pytest
from torch import Tensor

from bus.connection import Client
from contracts.errors import JudgeUnavailable
from contracts.jobs import Budget
from contracts.judging import JudgeAsk, JudgeKind, Verdict
from workers.comparison import Preference, compare, preferred

from .court import Answer, Court
from .test_judge_desk import desk, reds

RED, BLACK = reds(0.75), reds(0.0)
WORTH = {5.0: 5.0, -5.0: -5.0, None: 0.0}  # no opinion of one of two counts as neither chosen nor refused


def verdict(*scores: float | None) -> Verdict:
    return Verdict(scores=scores)


@pytest.mark.parametrize("scores", list(product(WORTH, repeat=4)))
def test_two_blind_answers_make_a_preference_only_where_they_agree(scores: tuple[float | None, ...]) -> None:
    """The first answer is about (result, baseline), the second one about (baseline, result)."""
    result, baseline, baseline_again, result_again = (WORTH[score] for score in scores)
    if result > baseline and result_again > baseline_again:
        expected: Preference = "result"
    elif result < baseline and result_again < baseline_again:
        expected = "baseline"
    else:
        expected = "tie"
    assert preferred(verdict(*scores[:2]), verdict(*scores[2:])) == expected


@pytest.mark.parametrize(("result", "baseline"), [(RED, BLACK), (BLACK, RED)])
async def test_a_scoring_judge_scores_both_in_one_ask(redis: Client, result: Tensor, baseline: Tensor) -> None:
    court = Court("scoring")
    async with desk(redis, court) as at:
        compared = await compare(at, result, baseline, steered=7)
    expected = (0.75, 0.0) if result is RED else (0.0, 0.75)
    assert (compared.score, compared.baseline_score) == pytest.approx(expected, abs=0.01)
    assert (compared.preference, compared.steered_steps, court.kinds) == (None, 7, ["final"])


@pytest.mark.parametrize(
    ("result", "baseline", "preference"), [(RED, BLACK, "result"), (BLACK, RED, "baseline"), (RED, RED, "tie")]
)
async def test_a_selecting_judge_is_asked_in_both_orders(
    redis: Client, result: Tensor, baseline: Tensor, preference: str
) -> None:
    court = Court("selecting")
    async with desk(redis, court) as at:
        compared = await compare(at, result, baseline, steered=1)
    assert (compared.preference, court.kinds) == (preference, ["preference"] * 2)
    expected = tuple(0.75 if one is RED else 0.0 for one in (result, baseline))
    assert (compared.score, compared.baseline_score) == pytest.approx(expected, abs=0.01)


@pytest.mark.parametrize("kind", ["scoring", "selecting"])
async def test_the_plain_picture_is_not_compared_with_itself(redis: Client, kind: JudgeKind) -> None:
    court = Court(kind)
    async with desk(redis, court) as at:
        compared = await compare(at, RED, None, steered=0)
    assert [(ask.kind, ask.pictures) for ask in court.asked] == ([("final", 1)] if kind == "scoring" else [])
    score = pytest.approx(0.75, abs=0.01) if kind == "scoring" else None
    assert (compared.score, compared.baseline_score, compared.preference) == (score, score, None)


async def test_who_always_likes_the_first_one_prefers_neither(redis: Client) -> None:
    async def first(ask: JudgeAsk) -> Answer:
        return verdict(5.0, -5.0)

    async with desk(redis, Court("selecting", first)) as at:
        compared = await compare(at, RED, BLACK, steered=1)
    assert (compared.preference, compared.score, compared.baseline_score) == ("tie", None, None)


@pytest.mark.parametrize("kind", ["scoring", "selecting"])
async def test_a_judge_that_fails_leaves_it_open_whatever_the_jobs_policy(redis: Client, kind: JudgeKind) -> None:
    async def fail(ask: JudgeAsk) -> Answer:
        raise JudgeUnavailable("away")

    court = Court(kind, fail)
    async with desk(redis, court, on_judge_failure="fail") as at:
        compared = await compare(at, RED, BLACK, steered=3)
    assert compared.model_dump(exclude_none=True) == {"failure": "judge_unavailable: away", "steered_steps": 3}


@pytest.mark.parametrize(("kind", "asks"), [("scoring", 1), ("selecting", 2)])
async def test_without_the_budget_for_it_nobody_is_asked(redis: Client, kind: JudgeKind, asks: int) -> None:
    court = Court(kind)
    async with desk(redis, court, budget=Budget(judge_calls=asks - 1)) as at:
        compared = await compare(at, RED, BLACK, steered=3)
    assert compared.model_dump(exclude_none=True) == {"steered_steps": 3}
    assert court.asked == []
