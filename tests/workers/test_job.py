"""One job through the real parts: drawn, judged at every step, compared, written down; taken up again bit for bit."""

import asyncio
import io
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
from PIL import Image

from bus.connection import Client
from contracts.errors import JudgeRefused
from contracts.jobs import JobState
from contracts.judging import JudgeAsk
from workers.engine import Binding, Engine
from workers.models.base import Condition
from workers.models.toy import Toy
from workers.pictures import encode, images
from workers.sampling import METHODS, Ask, Denoise, Params, drive
from workers.sampling.schedules import karras

from ..conftest import wait_until
from .court import Answer, Court, in_session
from .studio import STEPS, let_go, studio


class ShortOfBreath(Toy):
    """The toy, as one that reads five letters."""

    def encode(self, prompt: str, negative_prompt: str) -> Condition:
        whole = super().encode(prompt, negative_prompt)
        texts: list[tuple[Literal["prompt", "negative prompt"], str]]
        texts = [("prompt", prompt), ("negative prompt", negative_prompt)]
        return Condition(whole.text, whole.negative, tuple(name for name, text in texts if len(text) > 5))


def plain_picture(prompt: str, seed: int) -> bytes:
    """The plain PF-ODE picture, driven by hand."""
    toy = Toy()
    condition, one = toy.encode(prompt, ""), torch.ones(1, dtype=torch.float64)

    def answer(ask: Ask[Any]) -> torch.Tensor:
        assert isinstance(ask, Denoise)
        return toy.denoise(ask.x, ask.sigma, [condition], one, ask.network)

    sigmas = karras(STEPS, toy.card.sigma_min, toy.card.sigma_max)
    state = drive(METHODS["pf_ode"].run(Params(sigmas, (3, 32, 32), seed=seed, solver="dpmpp_2m")), answer)
    return encode(images(toy.decode(state.x, preview=False))[0], "png")


async def test_a_scored_job_from_claim_to_result(redis: Client, tmp_path: Path) -> None:
    court = Court("scoring")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(prompt="a disc", seed=4)
        rows = await at.audit(job)
        pictures = {name: await at.picture(job, name) for name in ("image.png", "baseline.png", "contact-sheet.jpg")}
        judged = [row for row in rows if row.scores]
        grids = [Image.open(io.BytesIO(await at.picture(job, f"steps/{row.step}/grid.jpg"))) for row in judged]
    assert (job.state, job.progress.step, job.epoch, job.error) == (JobState.SUCCEEDED, STEPS, 1, None)
    assert [row.step for row in rows] == [1, 2, 3, 4, 5]
    assert [row.sigma for row in rows] == pytest.approx(karras(STEPS, 0.02, 80.0)[:-1].tolist())
    assert [row.step for row in judged] == [1, 2, 3], "then the levels are below stop_sigma"
    for row in judged:
        assert (len(row.scores), len(row.weights), row.rationale, row.failure) == (3, 3, "red", None)
        assert row.taken == "mixed" or row.taken.startswith("candidate:")
        assert row.check_score is not None
        assert row.judge_seconds > 0
    assert [row.taken for row in rows[3:]] == ["plain", "plain"]
    assert all(grid.size == (3 * 40, 40) for grid in grids)
    assert pictures["baseline.png"] == plain_picture("a disc", 4)
    assert pictures["image.png"] != pictures["baseline.png"]
    sheet = Image.open(io.BytesIO(pictures["contact-sheet.jpg"]))
    assert (sheet.width > 3 * 40, sheet.height) == (True, 3 * (40 + 16)), "captions are wider than so small a grid"
    assert court.kinds == ["candidates", "check"] * 3 + ["final"]
    assert job.result is not None
    assert job.result.score is not None
    assert job.result.baseline_score is not None
    assert job.result.score > job.result.baseline_score, "the judge's wish is in the picture"
    assert job.result.steered_steps == 3
    assert job.progress.reward == pytest.approx(sum(score or 0 for score in judged[-1].scores) / 3)


async def test_a_jobs_usage_is_what_it_took(redis: Client, tmp_path: Path) -> None:
    """Fast preset, 3 candidates, unguided: 1 row for the first x0, 3 + 1 a judged step, 1 a later one but the last; 5 plain ones."""
    court = Court("selecting")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(seed=4)
    used = job.usage
    assert (used.judge.calls, used.judge.failures, used.judge.usd) == (5, 0, 2.5)
    assert used.network_rows == 1 + 3 * 4 + 1 + STEPS
    assert used.decoded_pictures == 3 * 3 + 2
    assert set(used.seconds) == {"denoise", "decode", "judge", "judge_own", "writing", "total"}
    assert used.seconds["judge_own"] == 5 * 0.25
    assert 0 < used.seconds["denoise"] < used.seconds["total"]


async def test_a_selecting_judges_job_ends_with_a_blind_preference(redis: Client, tmp_path: Path) -> None:
    court = Court("selecting")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn(prompt="a disc", seed=4)
        rows = await at.audit(job)
    assert job.result is not None
    assert (job.result.preference, job.result.steered_steps) == ("result", 3)
    assert court.kinds == ["candidates"] * 3 + ["preference"] * 2
    assert set(rows[0].scores) <= {5.0, -5.0, None}
    assert rows[0].measured is not None


async def test_a_selecting_judge_checks_the_mixture_where_that_is_asked_for(redis: Client, tmp_path: Path) -> None:
    court = Court("selecting")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn({"check": True}, seed=4)
        rows = await at.audit(job)
    assert job.state is JobState.SUCCEEDED
    assert court.kinds == ["candidates", "check"] * 3 + ["preference"] * 2
    assert [ask.pictures for ask in court.asked] == [3, 2] * 3 + [2, 2]
    assert {row.check_score for row in rows[:3]} <= {5.0, -5.0, None}
    assert all(row.taken == "mixed" or row.check_score == -5.0 for row in rows[:3])


async def test_the_plain_picture_is_drawn_once_and_is_its_own_baseline(redis: Client, tmp_path: Path) -> None:
    court = Court("scoring")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn({"method": "pf_ode"}, prompt="a disc", seed=4)
        assert await at.picture(job) == await at.picture(job, "baseline.png") == plain_picture("a disc", 4)
    assert (job.usage.network_rows, job.usage.decoded_pictures) == (STEPS, 1)
    assert [(ask.kind, ask.pictures) for ask in court.asked] == [("final", 1)]
    assert job.result is not None
    assert job.result.score is not None
    assert job.result.score == job.result.baseline_score


async def test_the_plain_picture_gives_way_while_the_other_is_steered(
    redis: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the engine is given to run is watched; what it does with it is the engine's own test."""
    bindings: list[Binding] = []
    run = Engine.run

    async def watched(engine: Engine, coroutine: Any, binding: Binding) -> Any:
        bindings.append(binding)
        return await run(engine, coroutine, binding)

    def giving_way() -> bool:
        return any(binding.gives_way() for binding in bindings)

    gave_way: dict[str, set[bool]] = {}

    async def before(ask: JudgeAsk) -> Answer | None:
        if not gave_way:  # at the first ask the plain picture may not have begun
            await wait_until(giving_way, "the plain picture gives way")
        gave_way.setdefault(ask.kind, set()).add(giving_way())
        return None

    monkeypatch.setattr(Engine, "run", watched)
    async with in_session(redis, Court(before=before)), studio(redis, tmp_path) as room:
        record = await room.drawn()
    assert record.state is JobState.SUCCEEDED
    assert gave_way == {"candidates": {True}, "check": {True}, "final": {False}}


async def test_a_cancel_after_the_last_step_is_heeded(redis: Client, tmp_path: Path) -> None:
    async with in_session(redis, Court()), studio(redis, tmp_path) as room:
        commit = room.jobs.commit

        async def commit_then_cancel(job_id: str, epoch: int, **written: Any) -> bool:
            canceled = await commit(job_id, epoch, **written)
            if written["progress"].step == STEPS:
                await room.jobs.cancel(job_id)
            return canceled

        room.jobs.commit = commit_then_cancel  # type: ignore[method-assign]
        record = await room.drawn()
    assert record.state is JobState.CANCELED


@pytest.mark.parametrize(
    ("prompt", "negative", "message"),
    [
        (1, 1, ""),
        (9, 1, "the prompt was cut: the model reads no more than the beginning"),
        (1, 9, "the negative prompt was cut: the model reads no more than the beginning"),
        (9, 9, "the prompt and the negative prompt were cut: the model reads no more than the beginning"),
    ],
)
async def test_which_text_was_cut_is_said(
    redis: Client, tmp_path: Path, prompt: int, negative: int, message: str
) -> None:
    async with studio(redis, tmp_path, model=ShortOfBreath()) as at, in_session(redis, Court()):
        job = await at.drawn(prompt="a " * prompt, negative_prompt="a " * negative)
    assert job.progress.message == message


@pytest.mark.parametrize(("method", "kinds"), [("pf_ode", ["final"]), ("best_of_n", ["candidates", "final"])])
async def test_the_other_methods_run_as_jobs_too(redis: Client, tmp_path: Path, method: str, kinds: list[str]) -> None:
    court = Court("scoring")
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job = await at.drawn({"method": method}, seed=4)
        same = await at.picture(job) == await at.picture(job, "baseline.png")
    assert (job.state, court.kinds) == (JobState.SUCCEEDED, kinds)
    assert same == (method == "pf_ode")


@pytest.mark.parametrize(
    ("method", "interrupted_at", "done"), [("demon", 1, 0), ("demon", 2, 0), ("demon", 4, 1), ("best_of_n", 1, 4)]
)
async def test_taken_up_again_it_ends_with_the_same_picture_and_pays_no_ask_twice(
    redis: Client, tmp_path: Path, method: str, interrupted_at: int, done: int
) -> None:
    """The worker stops while the judge thinks about an ask; another one goes on at the last step's checkpoint."""
    may_answer, reached = asyncio.Event(), asyncio.Event()

    async def think(ask: JudgeAsk) -> Answer | None:
        if len(court.asked) == interrupted_at:
            reached.set()
            await may_answer.wait()
        return None

    court = Court("scoring", think)
    async with studio(redis, tmp_path) as at, in_session(redis, court):
        job_id = await at.submit({"method": method}, seed=4)
        first = asyncio.create_task(at.runner.run(job_id))
        await reached.wait()
        await let_go(first)
        assert first.cancelled()
        assert (await at.jobs.get(job_id)).state is JobState.RUNNING
        again = asyncio.create_task(at.runner.run(job_id))
        await wait_until(lambda: at.has_begun(job_id, 2), "the second worker has it")
        may_answer.set()
        await again
        job = await at.jobs.get(job_id)
        rows = await at.audit(job)
        picture = await at.picture(job)
        asked = len(court.asked)
        straight = await at.drawn({"method": method}, seed=4)
        assert picture == await at.picture(straight)
    assert (job.state, job.epoch, straight.epoch) == (JobState.SUCCEEDED, 2, 1)
    assert [row.step for row in rows] == [1, 2, 3, 4, 5]
    assert [row.epoch for row in rows] == [1] * done + [2] * (STEPS - done)
    assert (asked, job.usage.judge.calls) == (len(court.asked) - asked, straight.usage.judge.calls)
    assert job.result == straight.result


async def test_the_reward_so_far_outlives_the_worker(redis: Client, tmp_path: Path) -> None:
    """The judge refuses from the step on at which the job changed hands: what it said before stands."""
    may_answer, reached = asyncio.Event(), asyncio.Event()

    async def refuse_later(ask: JudgeAsk) -> Answer | None:
        if ask.name.step > 1:
            reached.set()
            await may_answer.wait()
            raise JudgeRefused("it declined to look")
        return None

    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting", refuse_later)):
        job_id = await at.submit(seed=4)
        first = asyncio.create_task(at.runner.run(job_id))
        await reached.wait()
        await let_go(first)
        before = (await at.jobs.get(job_id)).progress
        may_answer.set()
        await at.runner.run(job_id)
        after = (await at.jobs.get(job_id)).progress
    assert before.reward is not None
    assert (before.step, after.step, after.reward) == (1, STEPS, before.reward)


async def test_jobs_side_by_side_get_what_they_get_alone(redis: Client, tmp_path: Path) -> None:
    async with studio(redis, tmp_path) as at, in_session(redis, Court("selecting")):
        together = await asyncio.gather(*(at.drawn(seed=seed) for seed in range(3)))
        for job in together:
            alone = await at.drawn(seed=job.spec.seed)
            assert await at.picture(job) == await at.picture(alone)
            assert job.result == alone.result
