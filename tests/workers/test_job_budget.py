"""A job's cap on judge calls: steering ends with it, and what the comparison needs is kept where there is enough for both."""

from pathlib import Path

import pytest

from bus.connection import Client
from contracts.jobs import Budget, JobState

from .court import Court, in_session
from .studio import studio


async def test_after_the_budgets_last_ask_the_plain_ode_finishes(redis: Client, tmp_path: Path) -> None:
    court = Court("selecting")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn({"steps": 8}, budget=Budget(judge_calls=5))
        rows = await at.audit(job)
    assert job.state is JobState.SUCCEEDED
    assert [bool(row.scores) for row in rows] == [True] * 3 + [False] * 5
    assert [row.taken for row in rows[3:]] == ["plain"] * 5
    assert (job.usage.judge.calls, court.kinds) == (5, ["candidates"] * 3 + ["preference"] * 2)
    assert job.usage.network_rows == 1 + 3 * 4 + 4 + 8, "no candidates for nobody"
    assert job.result is not None
    assert (job.result.steered_steps, job.result.preference) == (3, "result")


async def test_a_cap_too_small_for_a_comparison_beside_it_is_all_for_steering(redis: Client, tmp_path: Path) -> None:
    court = Court("selecting")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(budget=Budget(judge_calls=2))
    assert (job.usage.judge.calls, court.kinds) == (2, ["candidates"] * 2)
    assert job.result is not None
    assert (job.result.steered_steps, job.result.preference) == (2, None)


async def test_the_cap_that_ends_between_candidates_and_check_leaves_a_steered_step(
    redis: Client, tmp_path: Path
) -> None:
    court = Court("scoring")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(budget=Budget(judge_calls=4))
        rows = await at.audit(job)
    assert court.kinds == ["candidates", "check", "candidates", "final"]
    assert (rows[1].taken, rows[1].check_score, rows[1].failure) == ("mixed", None, None)
    assert job.result is not None
    assert job.result.steered_steps == 2
    assert job.result.score is not None


@pytest.mark.parametrize("method", ["demon", "best_of_n"])
async def test_a_budget_of_no_ask_gives_the_plain_picture(redis: Client, tmp_path: Path, method: str) -> None:
    court = Court("scoring")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn({"method": method}, budget=Budget(judge_calls=0))
        assert job.state is JobState.SUCCEEDED, job.error
        assert await at.picture(job) == await at.picture(job, "baseline.png")
    assert court.asked == []
