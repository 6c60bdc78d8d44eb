"""Ancestral steps and the reverse SDE turn noise into samples of the mixture: mass, mean and covariance, at any beta and eta.

5,000 rows from the exact marginal at sigma_max, fixed seeds. Every moment must lie within 4 of its own standard errors, which are
computed from the samples (sd / sqrt(rows)). The solvers' own bias is smaller, measured with 400,000 rows: below 0.2 of those
standard errors for Heun's SDE in 120 steps; below 1 for the ancestral chain, of first order, in 400.
"""

from collections.abc import Callable, Coroutine
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from workers.sampling import Ask, drive
from workers.sampling.noise import noise
from workers.sampling.schedules import karras
from workers.sampling.solvers import ancestral, denoise, sde_heun

from .world import World, gaussian, mixture

ROWS = 5_000
SHAPE = (1, 1, 2)
MODEL = mixture(SHAPE, [0.2, 0.3, 0.5], [0.2, 0.35, 0.25], spread=1.5)
SIGMA_MIN, SIGMA_MAX = 0.01, 8.0


def marginal() -> Tensor:
    """Exact samples at sigma_max: each component has its exact share of the rows."""
    component = torch.repeat_interleave(torch.arange(3), (MODEL.weights * ROWS).round().long())
    z = noise(1, 0, 0, (ROWS, *SHAPE))
    return MODEL.means[component] + (MODEL.stds[component] ** 2 + SIGMA_MAX**2).sqrt().view(-1, 1, 1, 1) * z


async def by_ancestral(x: Tensor, sigmas: Tensor, eta: float) -> Tensor:
    """Down to sigma_min, the last level but one."""
    for i, (here, to) in enumerate(pairwise(sigmas[:-1])):
        x = ancestral(x, await denoise(x, here), here, to, noise(2, i, 0, tuple(x.shape)), eta)
    return x


async def by_sde(x: Tensor, sigmas: Tensor, beta: float) -> Tensor:
    """The same by the paper's SDE."""
    for i, (here, to) in enumerate(pairwise(sigmas[:-1])):
        x = await sde_heun(x, await denoise(x, here), here, to, noise(3, i, 0, tuple(x.shape)), beta)
    return x


def assert_mean(values: Tensor, expected: Tensor, what: str) -> None:
    """The mean over rows of values [rows, n] is `expected` [n], within 4 standard errors."""
    error = (values.mean(0) - expected) / (values.std(0) / len(values) ** 0.5)
    assert float(error.abs().max()) < 4, f"{what}: off by {error.tolist()} standard errors"


Chain = Callable[[Tensor, Tensor, float], Coroutine[Ask[Any], Any, Tensor]]


@pytest.mark.parametrize(
    ("chain", "steps", "strength"),
    [(by_ancestral, 400, 1.0), (by_ancestral, 400, 0.5), (by_sde, 120, 0.1), (by_sde, 120, 1.0), (by_sde, 120, 0.0)],
)
def test_samples_have_the_mixtures_moments(chain: Chain, steps: int, strength: float) -> None:
    x = drive(chain(marginal(), karras(steps, SIGMA_MIN, SIGMA_MAX), strength), World(MODEL.denoise).answer)
    variances = MODEL.stds**2 + SIGMA_MIN**2  # the chain stops at sigma_min
    mass = MODEL.responsibilities(x, torch.full((ROWS,), SIGMA_MIN, dtype=torch.float64))
    assert_mean(mass, MODEL.weights, "mass of the components")
    x, means = x.flatten(1), MODEL.means.flatten(1)
    mean = MODEL.mean().flatten()
    assert_mean(x, mean, "mean")
    second = torch.einsum("m,mi,mj->ij", MODEL.weights, means, means) + (MODEL.weights * variances).sum() * torch.eye(2)
    products = (x[:, :, None] - mean[None, :, None]) * (x[:, None] - mean)
    assert_mean(products.flatten(1), (second - mean[:, None] * mean).flatten(), "covariance")


@pytest.mark.parametrize("beta", [0.1, 0.2, 1.0])
@pytest.mark.parametrize(("steps", "sigma_max"), [(16, 15.0), (16, 80.0), (32, 80.0)])
def test_few_steps_lower_beta_and_do_not_blow_up(beta: float, steps: int, sigma_max: float) -> None:
    """With the whole of a constant beta the standard deviation ends up to 10^12 times too large (16 steps from 80, beta 1)."""
    std, sigmas = 0.5, karras(steps, 0.02, sigma_max)
    model = gaussian((1, 1, 1), std)

    x = (std**2 + sigma_max**2) ** 0.5 * noise(1, 0, 0, (2000, 1, 1, 1))
    end = drive(by_sde(x, sigmas, beta), World(model.denoise).answer)
    assert 0.6 < float(end.std()) / std < 1.1
