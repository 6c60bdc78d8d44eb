"""One Demon step is the paper's box, written out here once more by hand; z* is kept only where the check does not object."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from workers.sampling import Params, Scores, State
from workers.sampling.best_of_n import best_of
from workers.sampling.demon import start
from workers.sampling.noise import noise
from workers.sampling.schedules import karras

from .world import World, mixture, no_opinion, scoring

SHAPE = (2, 3, 3)
MODEL = mixture(SHAPE, [0.4, 0.6], [0.3, 0.5])
P = Params(karras(8, 0.02, 10.0), SHAPE, seed=4, candidates=5, tau=1.5)
HERE, TO = P.sigmas[0], P.sigmas[1]


def brightness(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def scores_for(candidates: list[float], check: float) -> World:
    """A judge with fixed scores for K candidates, and for z*."""
    return World(MODEL.denoise, judge=lambda pictures: list(candidates) if len(pictures) > 1 else [check])


def ancestral_by_hand(state: State, x0: Tensor, z: Tensor) -> Tensor:
    """DDPM's posterior in these coordinates: mean x0 + (x - x0) to²/sigma², variance to² (sigma² - to²) / sigma²."""
    return x0 + (state.x - x0) * (TO / HERE) ** 2 + TO * (1 - (TO / HERE) ** 2).sqrt() * z


def test_a_fast_step_by_hand() -> None:
    state = start(P)
    assert torch.equal(state.x, HERE * noise(4, 2**32 - 1, 0, SHAPE)[None])

    x0 = MODEL.denoise(state.x, HERE[None])
    z = torch.stack([noise(4, 0, k, SHAPE) for k in range(5)])
    r = brightness(MODEL.denoise(ancestral_by_hand(state, x0, z), TO.expand(5)))
    b = torch.tanh((r - r.mean()) / 1.5)
    mixed = sum(b[k] * z[k] for k in range(5))
    assert isinstance(mixed, Tensor)
    z_star = 18**0.5 * mixed / mixed.norm()

    after = World(MODEL.denoise, scoring(brightness)).step("demon", state, P)
    expected = ancestral_by_hand(state, x0, z_star[None])
    assert torch.allclose(after.x, expected, rtol=0, atol=1e-12)
    assert after.x0 is not None
    assert torch.allclose(after.x0, MODEL.denoise(expected, TO[None]), rtol=0, atol=1e-12)
    assert after.report is not None
    assert after.report.scores == pytest.approx(r.tolist())
    assert after.report.weights == pytest.approx(b.tolist())
    assert (after.i, after.steered, after.report.taken) == (1, 1, "mixed")


def test_a_paper_step_by_hand() -> None:
    """The SDE's Heun step: slope f at both ends, noise g dw at both ends; then z* through the same step."""
    p = replace(P, preset="paper", beta=0.05)
    state = start(p)
    dt, root = TO - HERE, (HERE - TO).sqrt()

    def f(x: Tensor, t: Tensor) -> Tensor:
        score = (MODEL.denoise(x, t.expand(len(x))) - x) / t**2
        slope: Tensor = -t * score - 0.05 * t**2 * score
        return slope

    def heun(z: Tensor) -> Tensor:
        g, g_to = 0.1**0.5 * HERE, 0.1**0.5 * TO
        predicted = state.x + f(state.x, HERE) * dt + g * root * z
        corrected: Tensor = state.x + (f(state.x, HERE) + f(predicted, TO)) / 2 * dt + (g + g_to) / 2 * root * z
        return corrected

    z = torch.stack([noise(4, 0, k, SHAPE) for k in range(5)])
    r = brightness(MODEL.denoise(heun(z), TO.expand(5)))
    mixed = (torch.tanh((r - r.mean()) / 1.5).view(-1, 1, 1, 1) * z).sum(0, keepdim=True)
    after = World(MODEL.denoise, scoring(brightness)).step("demon", state, p)
    assert torch.allclose(after.x, heun(18**0.5 * mixed / mixed.norm()), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("z_star", "taken"), [(6.5, "mixed"), (6.0, "mixed"), (5.5, "candidate:2")])
def test_the_check_keeps_the_better_of_z_star_and_the_best_candidate(z_star: float, taken: str) -> None:
    p = replace(P, check="score")
    after = scores_for([1.0, 2.0, 6.0, 3.0, 6.0], z_star).step("demon", start(p), p)
    assert after.report is not None
    assert (after.report.taken, after.report.check_score, after.steered) == (taken, z_star, 1)
    if taken == "candidate:2":
        x0 = MODEL.denoise(start(p).x, HERE[None])
        expected = ancestral_by_hand(start(p), x0, noise(4, 0, 2, SHAPE)[None])
        assert torch.allclose(after.x, expected, rtol=0, atol=1e-12)
        assert after.x0 is not None
        assert torch.allclose(after.x0, MODEL.denoise(expected, TO[None]), rtol=0, atol=1e-12)


def test_a_check_without_an_opinion_keeps_z_star() -> None:
    p = replace(P, check="score")
    answers: list[Scores] = [[1.0, 2.0, 6.0, 3.0, 0.0], [None]]
    after = World(MODEL.denoise, lambda pictures: answers.pop(0)).step("demon", start(p), p)
    assert after.report is not None
    assert (after.report.taken, after.report.check_score) == ("mixed", None)


class Chooser:
    """Scores candidates by brightness, and says of z* and of the best candidate what it is told to, wherever it sees them."""

    def __init__(self, of_star: float | None, of_best: float | None) -> None:
        self.of_star, self.of_best = of_star, of_best
        self.star_first: list[bool] = []
        self._best = torch.empty(0)

    def __call__(self, pictures: Tensor) -> Scores:
        if len(pictures) > 2:
            scores = brightness(pictures)
            self._best = pictures[scores.argmax()]
            return scores.tolist()
        (best,) = (k for k, picture in enumerate(pictures) if torch.equal(picture, self._best))
        self.star_first.append(best == 1)
        return [self.of_star, self.of_best] if best == 1 else [self.of_best, self.of_star]


@pytest.mark.parametrize(
    ("of_star", "of_best", "kept"),
    [
        (5.0, -5.0, True),
        (-5.0, 5.0, False),
        (None, 5.0, False),
        (-5.0, None, False),
        (None, None, True),
        (5.0, 5.0, True),
        (5.0, None, True),
        (math.nan, None, True),
    ],
)
def test_a_blind_choice_keeps_z_star_unless_the_best_candidate_is_preferred(
    of_star: float | None, of_best: float | None, kept: bool
) -> None:
    for seed in range(4):
        p = replace(P, check="choice", seed=seed)
        unchecked = World(MODEL.denoise, scoring(brightness)).step("demon", start(p), replace(p, check=None))
        after = World(MODEL.denoise, Chooser(of_star, of_best)).step("demon", start(p), p)
        assert after.report is not None
        assert unchecked.report is not None
        best = best_of(after.report.scores)
        assert after.report.taken == ("mixed" if kept else f"candidate:{best}")
        assert repr(after.report.check_score) == repr(of_star)
        assert torch.equal(after.x, unchecked.x) == kept


def test_the_order_of_a_choice_follows_from_seed_and_step_alone_and_favours_neither_place() -> None:
    orders = []
    for seed in range(20):
        p = replace(P, check="choice", seed=seed)
        runs = [Chooser(5.0, -5.0), Chooser(-5.0, 5.0)]
        for chooser in runs:
            World(MODEL.denoise, chooser).run("demon", p)
        assert runs[0].star_first == runs[1].star_first
        orders += runs[0].star_first
    assert 0.3 < sum(orders) / len(orders) < 0.7, f"of {len(orders)}"


def test_below_stop_sigma_nobody_is_asked_and_the_ode_finishes() -> None:
    p = replace(P, stop_sigma=float(TO))
    world = World(MODEL.denoise, scoring(brightness))
    assert torch.equal(world.run("demon", p).x, World(MODEL.denoise).run("pf_ode", p).x)
    assert {name for name, _ in world.asks} == {"denoiser"}


def test_a_judge_without_opinions_leaves_a_plain_stochastic_sample() -> None:
    """The first candidate's noise at every step: what an unsteered ancestral sampler draws."""

    def all_equal(pictures: Tensor) -> Scores:
        return [1.25] * len(pictures)

    ends = [World(MODEL.denoise, judge).run("demon", P) for judge in (no_opinion, all_equal)]
    alone = World(MODEL.denoise, scoring(brightness)).run("demon", replace(P, candidates=1))
    assert torch.allclose(ends[0].x, alone.x, rtol=0, atol=1e-12)
    assert torch.equal(ends[0].x, ends[1].x)
    assert [end.steered for end in (*ends, alone)] == [0, 0, 0]


def test_with_eta_0_there_is_nothing_to_choose_among() -> None:
    """All candidates are the ODE's first-order step: equal scores, no steering."""
    world = World(MODEL.denoise, scoring(lambda x: brightness(x.round(decimals=9))))
    assert world.run("demon", replace(P, eta=0.0)).steered == 0
