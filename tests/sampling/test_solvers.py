"""The schedule's published values; the ODE solvers reach the closed form with the order they promise, in flow time as well."""

import math
from dataclasses import replace
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from workers.denoisers import Flow, denoise
from workers.sampling import Params, drive
from workers.sampling.noise import noise
from workers.sampling.params import Solver
from workers.sampling.pf_ode import start
from workers.sampling.schedules import karras
from workers.sampling.solvers import ancestral, dpmpp_2m, ode_to_end

from .test_denoisers import MODEL, flow_field
from .world import World, gaussian

SHAPE, STD, MEAN = (1, 2, 4), 0.5, 0.3
GAUSSIAN = gaussian(SHAPE, STD, MEAN)


def along_the_ode(x: Tensor, sigma: float, to: float) -> Tensor:
    """Where the PF-ODE of N(MEAN, STD²) leads from noise level sigma: offsets shrink with the marginal standard deviation."""
    return MEAN + (x - MEAN) * math.sqrt((STD**2 + to**2) / (STD**2 + sigma**2))


def test_karras_schedule() -> None:
    """sigma_i = (sigma_max^(1/7) + i/(T-1) (sigma_min^(1/7) - sigma_max^(1/7)))^7: from 1^7 to 3^7 in steps of the root."""
    sigmas = karras(5, 1.0, 3.0**7)
    assert sigmas.dtype == torch.float64
    assert sigmas.tolist() == pytest.approx([3.0**7, 2.5**7, 2.0**7, 1.5**7, 1.0, 0.0])
    edm = karras(18, 0.002, 80.0)  # Karras et al. 2022, CIFAR-10: 18 steps
    assert edm[:3].tolist() == pytest.approx([80.0, 57.5860, 40.7856], abs=1e-4)
    assert edm[-2:].tolist() == pytest.approx([0.002, 0.0])
    assert bool((edm.diff() < 0).all())


@pytest.mark.parametrize(("solver", "tolerance"), [("heun", 2e-3), ("dpmpp_2m", 5e-3)])
def test_the_ode_reaches_the_closed_form(solver: Solver, tolerance: float) -> None:
    p = Params(karras(80, 0.002, 20.0), SHAPE, seed=3, solver=solver)
    x = start(p).x
    end = World(GAUSSIAN.denoise).run("pf_ode", p).x
    assert float((end - along_the_ode(x, 20.0, 0.0)).abs().max()) < tolerance


def error(solver: Solver, steps: int) -> float:
    """Of the global solution at sigma_min, one step before the last: there the schedule jumps to 0 however many steps it has."""
    p = Params(karras(steps, 0.1, 10.0), SHAPE, seed=3, solver=solver)
    world, state = World(GAUSSIAN.denoise), start(p)
    exact = along_the_ode(state.x, 10.0, 0.1)
    while state.i < p.steps - 1:
        state = world.step("pf_ode", state, p)
    return float((state.x - exact).abs().max())


@pytest.mark.parametrize("solver", ["heun", "dpmpp_2m"])
def test_both_solvers_converge_with_order_two(solver: Solver) -> None:
    """Twice the steps, a quarter of the error: log2 of the ratio is 2."""
    errors = [error(solver, steps) for steps in (64, 128, 256)]
    orders = [math.log2(coarse / fine) for coarse, fine in pairwise(errors)]
    assert orders == pytest.approx([2, 2], abs=0.15)


def test_without_a_step_before_2m_is_of_order_one() -> None:
    """So the order seen above is the work of x0_before."""

    def first_order_error(steps: int) -> float:
        sigmas = karras(steps, 0.1, 10.0)
        x = begin = noise(3, 0, 0, (1, *SHAPE)) * 10
        for here, to in pairwise(sigmas[:-1]):
            x = dpmpp_2m(x, GAUSSIAN.denoise(x, here[None]), None, None, here, to)
        return float((x - along_the_ode(begin, 10.0, 0.1)).abs().max())

    assert math.log2(first_order_error(128) / first_order_error(256)) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("calls", [1, 2, 3, 10])
@pytest.mark.parametrize("sigma", [0.02, 0.020001, 3.0])
def test_the_look_ahead_ends_on_clean_latents_in_the_calls_it_was_given(calls: int, sigma: float) -> None:
    """Also from the lowest level, where there is nothing to divide into steps."""
    x = MEAN + (STD**2 + sigma**2) ** 0.5 * noise(4, 0, 0, (5, *SHAPE))
    world = World(GAUSSIAN.denoise)
    end = drive(ode_to_end(x, torch.tensor(sigma).double(), calls, 0.02), world.answer)
    assert world.network_rows == (5 if sigma <= 0.02 else 5 * calls)
    exact = along_the_ode(x, sigma, 0.0)
    assert float((end - exact).abs().max()) < {1: 2.0, 2: 1.0, 3: 0.6, 10: 0.05}[calls]


def test_euler_in_flow_time_is_the_ode_step_in_our_coordinates() -> None:
    """x_t = (1 - t)·x: Euler's x_t + (t' - t)·u equals D + (x - D)·sigma'/sigma, through the wrapper and step for step.

    That step is `ancestral` without noise, and 2M without a step before.
    """
    shape, flow = MODEL.means[0].shape, Flow()
    times = torch.linspace(flow.t_max, flow.t_min, 60, dtype=torch.float64)
    x_t = noise(8, 0, 0, (2, *shape))
    x = x_t / (1 - times[0])
    for t, to in pairwise(times):
        x_t = x_t + (to - t) * flow_field(x_t, t.expand(2))
        sigma, sigma_to = t / (1 - t), to / (1 - to)
        x0 = denoise(flow, flow_field, x, sigma.expand(2))
        by_2m = dpmpp_2m(x, x0, None, None, sigma, sigma_to)
        x = ancestral(x, x0, sigma, sigma_to, torch.zeros_like(x), eta=0.0)
        assert torch.allclose(by_2m, x, rtol=1e-10, atol=1e-10)
        assert torch.allclose((1 - to) * x, x_t, rtol=0, atol=1e-10)


def test_the_plain_picture_is_the_first_of_best_of_n() -> None:
    """Both start from the same noise, and rows do not touch each other."""
    p = Params(karras(8, 0.02, 20.0), SHAPE, seed=5, candidates=4)
    plain = World(GAUSSIAN.denoise).run("pf_ode", p).x
    first = World(GAUSSIAN.denoise, judge=lambda pictures: [1.0, 0.0, 0.0, 0.0]).run("best_of_n", p).x
    assert torch.allclose(plain, first, rtol=0, atol=1e-12)
    assert not torch.equal(plain, World(GAUSSIAN.denoise).run("pf_ode", replace(p, seed=6)).x)
