"""Whatever a judge says (nothing, all the same, NaN, infinities, one candidate only), every method ends on finite latents."""

import math
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workers.sampling import Params, Scores
from workers.sampling.best_of_n import best_of
from workers.sampling.demon import start
from workers.sampling.schedules import karras

from .world import World, mixture

SHAPE = (1, 2, 2)
MODEL = mixture(SHAPE, [0.5, 0.5], [0.3, 0.6])
SCORE = st.one_of(st.none(), st.floats(), st.sampled_from([5.0, -5.0, 0.0]))


class Script:
    """A judge that reads its scores from a list, over and over."""

    def __init__(self, scores: list[float | None]) -> None:
        self._scores, self._read = scores, 0

    def __call__(self, pictures: Tensor) -> Scores:
        self._read += len(pictures)
        return [self._scores[i % len(self._scores)] for i in range(self._read - len(pictures), self._read)]


@st.composite
def settings_of_a_run(draw: Any) -> Params:
    return Params(
        karras(5, 0.02, 10.0),
        SHAPE,
        seed=draw(st.integers(0, 2**64 - 1)),
        candidates=draw(st.integers(1, 4)),
        preset=draw(st.sampled_from(["fast", "paper"])),
        weights=draw(st.sampled_from(["tanh", "boltzmann", "rank"])),
        tau=draw(st.sampled_from([None, 1e-4, 1.0])),
        lookahead=draw(st.sampled_from(["denoise", "ode:2"])),
        stop_sigma=draw(st.sampled_from([0.0, 0.3])),
        check=draw(st.sampled_from([None, "score", "choice"])),
        solver=draw(st.sampled_from(["heun", "dpmpp_2m"])),
    )


@given(settings_of_a_run(), st.lists(SCORE, min_size=1, max_size=12), st.sampled_from(["demon", "best_of_n"]))
@settings(max_examples=150, deadline=None)
def test_any_scores_any_settings(p: Params, scores: list[float | None], method: str) -> None:
    end = World(MODEL.denoise, Script(scores)).run(method, p)
    assert end.x.shape == (1, *SHAPE)
    assert bool(end.x.isfinite().all())
    assert float(end.x.abs().max()) < 20, (
        "and of the data's size: the denoiser's means and standard deviations are about 1"
    )


@pytest.mark.parametrize(
    "scores", [[None] * 4, [2.0] * 4, [None, 3.0, None, None], [math.nan] * 4, [math.nan, 1.0, 1.0, None]]
)
def test_scores_that_prefer_nothing_steer_nothing(scores: list[float | None]) -> None:
    p = Params(karras(6, 0.02, 10.0), SHAPE, seed=1, candidates=4)
    demon = World(MODEL.denoise, lambda pictures: list(scores)).step("demon", start(p), p)
    assert demon.report is not None
    assert (demon.report.taken, demon.report.weights, demon.steered) == ("plain", [], 0)
    chosen = World(MODEL.denoise, lambda pictures: list(scores)).run("best_of_n", p)
    assert torch.allclose(chosen.x, World(MODEL.denoise).run("pf_ode", p).x, rtol=0, atol=1e-12)
    assert chosen.steered == 0


def test_one_nan_among_opinions_is_no_opinion() -> None:
    p = Params(karras(6, 0.02, 10.0), SHAPE, seed=1, candidates=4)
    ends = [
        World(MODEL.denoise, lambda pictures, gap=gap: [1.0, gap, 3.0, 2.0]).run("demon", p)  # type: ignore[misc]
        for gap in (math.nan, None, math.inf)
    ]
    assert ends[0].steered > 0
    assert torch.equal(ends[0].x, ends[1].x)
    assert torch.equal(ends[0].x, ends[2].x)


def test_noises_that_cancel_leave_the_best_candidate() -> None:
    """A temperature so small that all weights but one vanish leaves that one noise; weights that are all 0, the best candidate."""
    p = Params(karras(6, 0.02, 10.0), SHAPE, seed=1, candidates=4, tau=1e300)
    world = World(MODEL.denoise, lambda pictures: [1e-30, 5e-30, 4e-30, 2e-30])  # by 1e300 they are less than any float
    after = world.step("demon", start(p), p)
    assert after.report is not None
    assert after.report.taken == "candidate:1"
    sharp = World(MODEL.denoise, lambda pictures: [1.0, 5.0, 4.0, 2.0]).step(
        "demon", start(p), replace(p, tau=1e-4, weights="boltzmann")
    )
    assert sharp.report is not None
    assert (sharp.report.taken, sharp.report.weights) == ("mixed", [0.0, 1.0, 0.0, 0.0])


def test_best_of_takes_the_first_of_equals_and_any_opinion_before_none() -> None:
    assert best_of([1.0, 3.0, 3.0]) == 1
    assert best_of([None, -7.0, math.nan]) == 1
    assert best_of([None, None]) == 0
