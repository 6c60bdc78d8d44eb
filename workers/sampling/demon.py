"""Demon sampling (Yeh et al., "Training-Free Diffusion Model Alignment with Sampling Demons", ICLR 2025, arXiv 2410.05760).

At every step K noises make K candidates; the judge scores their clean previews; the noises are mixed by weights b_k into
one z* that seeds the step. Two presets of the same loop: `paper` (Heun on the reverse SDE, ODE or consistency look-ahead) and
`fast` (ancestral candidates; as preview a leap of a consistency network, or the network's own x0, which then serves the next step:
K + 1 calls a step either way).
It knows no judge, no model and no schedule.
"""

from dataclasses import replace

from torch import Tensor

from . import pf_ode
from .asks import Decode, Judge
from .best_of_n import best_of
from .checks import CHECKS
from .noise import coin, noises
from .params import Params
from .pf_ode import start
from .solvers import ancestral, denoise, ode_to_end, sde_heun
from .state import State, StepReport
from .weights import informative, known_scores, mix, weigh

__all__ = ["guided", "start", "step"]


def guided(i: int, p: Params) -> bool:
    """Whether step i is judged: not below stop_sigma, where pictures hardly differ any more, and never the step to sigma 0."""
    return float(p.sigmas[i + 1]) > p.stop_sigma


async def step(s: State, p: Params) -> State:
    """One pass of the paper's loop, from t = sigmas[i] to t - Delta = sigmas[i+1]."""
    if not guided(s.i, p):
        return await pf_ode.step(s, p)
    x0 = s.x0 if s.x0 is not None else await denoise(s.x, p.sigmas[s.i])
    s = replace(s, x0=x0)

    z = noises(p.seed, s.i, p.candidates, p.shape)  # z^(k) ~ N(0, I), k = 1..K
    x = await _move(s, p, z)  # x^(k) at t - Delta
    preview = await _look(x, s, p)  # c(x^(k), t - Delta)
    seen = await Decode(preview)
    r = await Judge(seen)  # (r o c)(x^(k))
    if not informative(r):
        return _take(s, p, x, preview, 0, StepReport(r, [], "plain"))

    b = weigh(r, p.weights, p.tau)  # b_k: tanh, Boltzmann or ranks
    z_star = mix(z, b)  # z* = sqrt(N) normalized(sum b_k z^(k))
    report = StepReport(r, b.tolist(), "mixed")
    best = best_of(r)
    if z_star is None:
        return _take(s, p, x, preview, best, replace(report, taken=f"candidate:{best}"))
    x_star = await _move(s, p, z_star[None])  # the step, seeded by z*
    if p.check is None and not _preview_is_next_x0(p):
        return _next(s, p, x_star, None, report)

    preview_star = await _look(x_star, s, p)
    if p.check is not None:
        check, star_first = CHECKS[p.check], coin(p.seed, s.i)
        kept, r_star = await check(await Decode(preview_star), seen[best : best + 1], max(known_scores(r)), star_first)
        report = replace(report, check_score=r_star)
        if not kept:
            return _take(s, p, x, preview, best, replace(report, taken=f"candidate:{best}"))
    return _next(s, p, x_star, preview_star, report)


async def _move(s: State, p: Params, z: Tensor) -> Tensor:
    """One stochastic step for each noise: [K, c, h, w] at sigmas[i+1]."""
    assert s.x0 is not None
    here, to = p.sigmas[s.i], p.sigmas[s.i + 1]
    if p.preset == "fast":
        return ancestral(s.x, s.x0, here, to, z, p.eta)
    return await sde_heun(s.x, s.x0, here, to, z, p.beta)


async def _look(x: Tensor, s: State, p: Params) -> Tensor:
    """c: from noisy candidates to clean previews."""
    to = p.sigmas[s.i + 1]
    if p.lookahead.startswith("ode:"):
        return await ode_to_end(x, to, int(p.lookahead[4:]), float(p.sigmas[-2]))
    return await denoise(x, to, consistency=p.lookahead == "consistency")


def _preview_is_next_x0(p: Params) -> bool:
    """The network's own x0 at the new x is just what the next step begins with."""
    return p.lookahead == "denoise"


def _take(s: State, p: Params, x: Tensor, preview: Tensor, k: int, report: StepReport) -> State:
    """Go on with candidate k as it is."""
    return _next(s, p, x[k : k + 1], preview[k : k + 1], report)


def _next(s: State, p: Params, x: Tensor, preview: Tensor | None, report: StepReport) -> State:
    x0 = preview if _preview_is_next_x0(p) else None
    return State(s.i + 1, x, x0, steered=s.steered + (report.taken != "plain"), report=report)
