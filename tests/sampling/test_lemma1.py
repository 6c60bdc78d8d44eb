"""Yeh et al.'s Lemma 1 in closed form: what the ODE's end point says of the mean reward over the SDE's end points.

Along the reverse SDE h = r o c changes by Ito's formula; c is constant along the ODE, so only the beta terms remain:

    E[r(x_0) | x_t] - r(c(x_t)) = integral_0^t beta u² E[ score·grad h + Laplacian h ] du.

For N(m, s² I) the end points are N(m + kappa (c - m), (1 - kappa²) s² I) with kappa = exp(-beta (t - s arctan(t / s))).
A linear reward has no Laplacian: equal wherever the score is orthogonal to it, and always so on average over x_t. A quadratic
reward's Laplacian remains. Monte Carlo over 10,000 paths of `sde_heun`, all comparisons within 4 standard errors.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor

from workers.sampling import drive
from workers.sampling.noise import noise
from workers.sampling.schedules import karras
from workers.sampling.solvers import denoise, ode_to_end, sde_heun

from .world import World, gaussian

PATHS, SHAPE, STD, MEAN = 10_000, (1, 2, 4), 0.5, 0.3
N = math.prod(SHAPE)
SIGMA, BETA = 2.0, 0.5
KAPPA = math.exp(-BETA * (SIGMA - STD * math.atan(SIGMA / STD)))
MODEL = gaussian(SHAPE, STD, MEAN)
DIRECTION = torch.tensor([1.0] + [0.0] * (N - 1), dtype=torch.float64)


def linear(x: Tensor) -> Tensor:
    """Gradient DIRECTION, Laplacian 0."""
    return x.flatten(1) @ DIRECTION


def quadratic(x: Tensor) -> Tensor:
    """Laplacian N."""
    return ((x - MEAN) ** 2).flatten(1).sum(1) / 2


def sde_ends(x: Tensor) -> Tensor:
    """One end point of the reverse SDE for each row."""

    async def path() -> Tensor:
        y = x
        sigmas = karras(60, 0.005, SIGMA)
        for i, (here, to) in enumerate(pairwise(sigmas[:-1])):
            y = await sde_heun(y, await denoise(y, here), here, to, noise(4, i, 0, tuple(y.shape)), BETA)
        return await denoise(y, sigmas[-2])

    return drive(path(), World(MODEL.denoise).answer)


def c(x: Tensor) -> Tensor:
    """The ODE's end point, by our own look-ahead."""
    return drive(ode_to_end(x, torch.tensor(SIGMA).double(), 200, 0.002), World(MODEL.denoise).answer)


def at(first: float, others: float) -> Tensor:
    """x_t [1, ...]: these offsets from the mean along DIRECTION and along all other axes."""
    offset = torch.full((N,), others, dtype=torch.float64)
    offset[0] = first
    return MEAN + offset.view(1, *SHAPE)


def assert_mean(values: Tensor, expected: float) -> None:
    standard_error = float(values.std()) / math.sqrt(len(values))
    assert abs(float(values.mean()) - expected) < 4 * standard_error


def test_the_closed_form_of_c() -> None:
    x = at(1.5, -0.7)
    exact = MEAN + (x - MEAN) * STD / math.hypot(STD, SIGMA)
    assert torch.allclose(c(x), exact, rtol=0, atol=1e-3)


def test_linear_rewards_agree_where_the_score_is_orthogonal() -> None:
    x = at(0.0, 1.2)
    assert_mean(linear(sde_ends(x.expand(PATHS, *SHAPE))), float(linear(c(x))))


def test_elsewhere_a_linear_reward_differs_by_the_score_term_alone() -> None:
    """(kappa - 1) a·(c - m): small where beta t is, and here 20 standard errors or more."""
    x = at(2.0, 1.2)
    reward, at_ode = linear(sde_ends(x.expand(PATHS, *SHAPE))), float(linear(c(x)))
    assert_mean(reward, at_ode + (KAPPA - 1) * (at_ode - MEAN))
    assert abs(float(reward.mean()) - at_ode) > 20 * float(reward.std()) / math.sqrt(PATHS)


def test_a_quadratic_reward_differs_by_the_laplacian() -> None:
    """At the mode the score vanishes and (1 - kappa²) s² / 2 times the Laplacian N remains."""
    x = at(0.0, 0.0)
    gap = (1 - KAPPA**2) * STD**2 / 2 * N
    reward = quadratic(sde_ends(x.expand(PATHS, *SHAPE)))
    assert_mean(reward, float(quadratic(c(x))) + gap)
    assert gap > 20 * float(reward.std()) / math.sqrt(PATHS)


def test_elsewhere_a_quadratic_reward_has_both_terms() -> None:
    x = at(1.0, -2.5)
    at_ode = float(quadratic(c(x)))
    gap = (1 - KAPPA**2) * (N * STD**2 / 2 - at_ode)
    assert_mean(quadratic(sde_ends(x.expand(PATHS, *SHAPE))), at_ode + gap)


def test_on_average_over_x_t_the_two_agree_for_any_reward() -> None:
    """The terms are the divergence of p grad h over p: their mean over p is nothing."""
    x = MEAN + math.hypot(STD, SIGMA) * noise(5, 0, 0, (PATHS, *SHAPE))
    ends, ode = sde_ends(x), c(x)
    for reward in (linear, quadratic):
        assert_mean(reward(ends) - reward(ode), 0.0)
