"""One step along the probability-flow ODE, the reverse SDE or the ancestral chain. It knows no judge and no schedule.

Variance-exploding coordinates throughout: time is the noise level itself, the score is (D(x; sigma) - x) / sigma².
"""

from itertools import pairwise

import torch
from torch import Tensor

from .asks import Denoise
from .schedules import karras


async def denoise(x: Tensor, sigma: Tensor, *, consistency: bool = False) -> Tensor:
    """D(x; sigma) with one noise level for all rows."""
    return await Denoise(x, sigma.expand(len(x)), network="consistency" if consistency else "denoiser")


async def heun(x: Tensor, x0: Tensor, sigma: Tensor, to: Tensor) -> Tensor:
    """PF-ODE dx = (x - D) / sigma dsigma by Heun's method (Karras et al. 2022, algorithm 1); x0 = D(x; sigma). One network call."""
    d = (x - x0) / sigma
    euler = x + (to - sigma) * d
    if to == 0:
        return euler  # = x0: at sigma 0 there is no second slope
    d_next = (euler - await denoise(euler, to)) / to
    return x + (to - sigma) * (d + d_next) / 2


def dpmpp_2m(
    x: Tensor, x0: Tensor, x0_before: Tensor | None, before: Tensor | None, sigma: Tensor, to: Tensor
) -> Tensor:
    """PF-ODE by DPM-Solver++(2M) (Lu et al. 2022, algorithm 2), with x0_before = D at the noise level `before`. No network call.

    Without x0_before it is the first-order step, an exponential integrator.
    """
    if to == 0:
        return x0
    h = (sigma / to).log()
    if x0_before is not None and before is not None:
        r = (before / sigma).log() / h
        x0 = x0 + (x0 - x0_before) / (2 * r)
    return (to / sigma) * x - torch.expm1(-h) * x0


def ancestral(x: Tensor, x0: Tensor, sigma: Tensor, to: Tensor, z: Tensor, eta: float) -> Tensor:
    """A step down to sigma_down, then noise z [K, c, h, w] back up to `to`; x0 = D(x; sigma). No network call.

    With eta = 1 it is the posterior of the ancestral (DDPM) chain, p(x_to | x, x0), in these coordinates; with eta = 0
    the first-order ODE step. Exact for any step length where x0 does not change, hence stable at few steps.
    """
    up = eta * (to / sigma) * (sigma**2 - to**2).sqrt()
    down = (to**2 - up**2).clamp_min(0).sqrt()
    return x0 + (x - x0) * (down / sigma) + up * z


async def sde_heun(x: Tensor, x0: Tensor, sigma: Tensor, to: Tensor, z: Tensor, beta: float) -> Tensor:
    """The paper's reverse SDE by Heun's method, one step for each noise z [K, c, h, w]; x0 = D(x; sigma). K network rows.

    dx = f dt + g dw with f = -t score - beta t² score = (1/t + beta)(x - D) and g = sqrt(2 beta) t (Yeh et al., section 3).
    f(x, t) is shared by all candidates; the corrector's slope is each candidate's own. `to` is above 0, where f has a value.

    A step that is too long for beta takes less of it: (1/t + beta) Delta stays at most 1, or few steps blow up (16 steps
    from sigma 80 with beta 0.2: 500-fold). Any beta(t) has the same marginals (Karras et al. 2022, eq. 6).
    """
    dt = to - sigma
    beta_t = (to / (sigma * -dt)).clamp(max=beta)
    f = (1 / sigma + beta_t) * (x - x0)
    dw: Tensor = dt.abs().sqrt() * z
    g, g_next = (2 * beta_t).sqrt() * sigma, (2 * beta_t).sqrt() * to
    euler = x + f * dt + g * dw
    f_next = (1 / to + beta_t) * (euler - await denoise(euler, to))
    x_next: Tensor = x + (f + f_next) / 2 * dt + (g + g_next) / 2 * dw
    return x_next


async def ode_to_end(x: Tensor, sigma: Tensor, calls: int, sigma_min: float) -> Tensor:
    """c(x, t): the PF-ODE's end point from noise level sigma (Yeh et al., eq. for c), by DPM-Solver++(2M) in `calls` network calls."""
    if sigma <= sigma_min:
        return await denoise(x, sigma)  # no levels between: one call is the whole way
    levels = karras(calls, sigma_min, float(sigma))
    x0_before = before = None
    for here, to in pairwise(levels):
        x0 = await denoise(x, here)
        x = dpmpp_2m(x, x0, x0_before, before, here, to)
        x0_before, before = x0, here
    return x
