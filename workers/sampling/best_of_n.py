"""Best of n: n plain ODE runs from n start noises, judged once when they are finished. It knows no steering.

The usual test-time baseline; the first run is the plain picture itself.
"""

import math
from dataclasses import replace

from . import pf_ode
from .asks import Decode, Judge, Scores
from .noise import start_noise
from .params import Params
from .state import State, StepReport
from .weights import informative


def start(p: Params) -> State:
    """n = candidates start noises, [n, c, h, w]."""
    return State(0, p.sigmas[0] * start_noise(p.seed, p.candidates, p.shape))


async def step(s: State, p: Params) -> State:
    """A step of all n runs at once; after the last one the judge's best remains (the first of equals)."""
    s = await pf_ode.step(s, p)
    if s.i < p.steps:
        return s
    scores = await Judge(await Decode(s.x))
    best = best_of(scores) if informative(scores) else 0
    report = StepReport(scores, [float(k == best) for k in range(len(scores))], f"candidate:{best}")
    return replace(s, x=s.x[best : best + 1], x0_before=None, steered=int(informative(scores)), report=report)


def best_of(scores: Scores) -> int:
    """The index of the highest score, the first of equals; no opinion loses against any."""
    ranked = [score if score is not None and math.isfinite(score) else -math.inf for score in scores]
    return ranked.index(max(ranked))
