"""An estimate is what the samplers really ask, counted on a run of each."""

import pytest
from torch import Tensor

from contracts.jobs import JobRequest, JobSpec
from contracts.judging import CallCost, JudgeCard
from contracts.models import ModelCard
from service.estimate import estimate
from service.submission import resolve
from tests.sampling.world import World, gaussian, selecting
from workers.parameters import params_for
from workers.sampling import Scores

from .by_hand import MODEL, SCORING, SELECTING

SHAPE = (2, 4, 4)
CONSISTENT = MODEL.model_copy(update={"consistency_guidance": MODEL.guidance})
PAPER = {"preset": "paper"}


def _sum(pictures: Tensor) -> Tensor:
    return pictures.flatten(1).sum(dim=1)


def _selecting(pictures: Tensor) -> Scores:
    """Of two it has no opinion, so that the mixture is kept."""
    return [None, None] if len(pictures) == 2 else selecting(_sum)(pictures)


def _scoring(pictures: Tensor) -> Scores:
    """The mixture always scores best, so that nothing falls back to a candidate."""
    return [100.0] if len(pictures) == 1 else _sum(pictures).tolist()


def _spec(model: ModelCard, judge: JudgeCard, **body: object) -> JobSpec:
    return resolve(JobRequest.model_validate({"prompt": "x", "seed": 7} | body), model, judge)


@pytest.mark.parametrize("judge", [SELECTING, SCORING], ids=["selecting", "scoring"])
@pytest.mark.parametrize(
    ("model", "guidance"), [(MODEL, 1.0), (CONSISTENT, MODEL.guidance)], ids=["unguided", "guided, consistency"]
)
@pytest.mark.parametrize(
    "sampler",
    [
        {},
        {"steps": 5, "candidates": 3},
        {"check": False},
        {"check": True},
        {"lookahead": "denoise"},
        {"solver": "heun"},
        {"stop_sigma": 100.0},
        {"stop_sigma": 0.0},
        PAPER,
        PAPER | {"lookahead": "denoise"},
        PAPER | {"lookahead": "ode:3", "check": False},
        PAPER | {"lookahead": "ode:3", "check": True},
        PAPER | {"solver": "dpmpp_2m"},
        {"method": "pf_ode"},
        {"method": "pf_ode", "solver": "heun"},
        {"method": "best_of_n", "candidates": 5},
    ],
    ids=str,
)
def test_rows_and_asks_are_those_of_a_run(
    sampler: dict[str, object], model: ModelCard, guidance: float, judge: JudgeCard
) -> None:
    spec = _spec(model, judge, sampler=sampler | {"guidance": guidance})
    params = params_for(spec, model, SHAPE, judge.kind)
    denoiser = gaussian(SHAPE, 1.0)
    own = World(denoiser.denoise, _selecting if judge.kind == "selecting" else _scoring)
    own.run(spec.sampler.method, params)
    plain = World(denoiser.denoise)
    if spec.sampler.method != "pf_ode":
        plain.run("pf_ode", params)
    asks, led = own.asks + plain.asks, 1 if guidance == 1.0 else 2
    rows = sum(led * rows for name, rows in asks if name == "denoiser")
    rows += sum(rows for name, rows in asks if name == "consistency")
    asked = sum(name in ("candidates", "check") for name, _ in own.asks)
    expected = estimate(spec, model, judge)
    compared = 1 if judge.kind == "scoring" else 2 if asked else 0
    assert (expected.network_rows, expected.judge_calls) == (rows, asked + compared)


def test_guidance_doubles_the_rows_and_cards_give_seconds_and_dollars() -> None:
    model = MODEL.model_copy(update={"seconds_per_row": 0.5})
    judge = SELECTING.model_copy(update={"seconds_per_ask": 2.0, "call": CallCost(usd=0.01)})
    plain = estimate(_spec(model, judge, sampler={"guidance": 1.0}), model, judge)
    guided = estimate(_spec(model, judge), model, judge)
    assert guided.network_rows == 2 * plain.network_rows
    assert guided.seconds == guided.network_rows * 0.5 + guided.judge_calls * 2.0
    assert guided.usd == pytest.approx(guided.judge_calls * 0.01)
    unmeasured = estimate(_spec(MODEL, SELECTING), MODEL.model_copy(update={"seconds_per_row": 0.0}), SELECTING)
    assert (unmeasured.seconds, unmeasured.usd) == (None, None)


@pytest.mark.parametrize(
    ("judge", "check", "cap", "asks", "steered"),
    [
        (SELECTING, None, 0, 0, 0),
        (SELECTING, None, 2, 2, 2),
        (SELECTING, None, 3, 3, 1),
        (SELECTING, None, 5, 5, 3),
        (SELECTING, True, 5, 5, 2),
        (SCORING, None, 1, 1, 1),
        (SCORING, None, 2, 2, 1),
        (SCORING, None, 4, 4, 2),
        (SCORING, False, 4, 4, 3),
    ],
)
def test_a_cap_keeps_the_comparisons_calls_where_there_are_more(
    judge: JudgeCard, check: bool | None, cap: int, asks: int, steered: int
) -> None:
    """Fast preset, unguided: K + 1 rows a steered step, one a step of the ODE; T - 1 of those reuse the last x0; and the baseline's T."""
    sampler = {"guidance": 1.0, "candidates": 4, "steps": 8, "check": check}
    expected = estimate(_spec(MODEL, judge, sampler=sampler, budget={"judge_calls": cap}), MODEL, judge)
    assert expected.judge_calls == asks
    assert expected.network_rows == steered * (4 + 1) + (8 - steered) + 8


@pytest.mark.parametrize(("judge", "cap", "asks"), [(SCORING, 1, 1), (SCORING, 0, 0), (SELECTING, 9, 0)])
def test_a_plain_picture_is_scored_at_most(judge: JudgeCard, cap: int, asks: int) -> None:
    spec = _spec(MODEL, judge, sampler={"method": "pf_ode"}, budget={"judge_calls": cap})
    assert estimate(spec, MODEL, judge).judge_calls == asks


def test_a_cap_on_asks_caps_the_estimate() -> None:
    free = estimate(_spec(MODEL, SELECTING), MODEL, SELECTING)
    capped = estimate(_spec(MODEL, SELECTING, budget={"judge_calls": 3}), MODEL, SELECTING)
    assert capped.judge_calls < free.judge_calls
    assert capped.network_rows < free.network_rows
