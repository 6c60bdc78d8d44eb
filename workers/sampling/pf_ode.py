"""The plain probability-flow ODE: the baseline of every comparison, and the tail of every other method. It knows no judge."""

from dataclasses import replace

from .noise import start_noise
from .params import Params
from .solvers import denoise, dpmpp_2m, heun
from .state import State


def start(p: Params) -> State:
    """x_T = sigma_max · z, [1, c, h, w]."""
    return State(0, p.sigmas[0] * start_noise(p.seed, 1, p.shape))


async def step(s: State, p: Params) -> State:
    """From sigmas[i] to sigmas[i+1] without noise."""
    here, to = p.sigmas[s.i], p.sigmas[s.i + 1]
    x0 = s.x0 if s.x0 is not None else await denoise(s.x, here)
    if p.solver == "heun":
        return replace(s, i=s.i + 1, x=await heun(s.x, x0, here, to), x0=None, x0_before=None, report=None)
    before = p.sigmas[s.i - 1] if s.x0_before is not None else None
    x = dpmpp_2m(s.x, x0, s.x0_before, before, here, to)
    return replace(s, i=s.i + 1, x=x, x0=None, x0_before=x0, report=None)
