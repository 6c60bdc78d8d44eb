"""From a request's sampler to the numbers of a run: presets, the model's range, what suits the judge. It knows no mathematics."""

from contracts.jobs import JobSpec
from contracts.judging import JudgeKind
from contracts.models import ModelCard
from contracts.sampler import SamplerSpec

from .sampling import METHODS, Method, Params
from .sampling.schedules import karras

FAST_STOP_SIGMA = 0.3  # below it candidates of 16 steps differ in texture only
PAPER_STOP_SIGMA = 0.11
PAPER_BETA = 0.1  # the paper's; larger values need more steps
PAPER_LOOKAHEAD = "ode:4"  # where the model has no consistency network


def method_for(sampler: SamplerSpec) -> Method:
    """The method a request names."""
    return METHODS[sampler.method]


def params_for(spec: JobSpec, card: ModelCard, shape: tuple[int, int, int], judge: JudgeKind) -> Params:
    """The numbers of a job's run. What the request leaves open is the preset's, the model's or the judge's choice."""
    sampler = spec.sampler
    paper = sampler.preset == "paper"
    lookahead = "consistency" if card.has_consistency else PAPER_LOOKAHEAD
    return Params(
        sigmas=karras(sampler.steps, card.sigma_min, card.sigma_max),
        shape=shape,
        seed=spec.seed,
        candidates=sampler.candidates,
        preset=sampler.preset,
        weights=sampler.weights or "tanh",
        tau=None if sampler.tau in (None, "adaptive") else float(sampler.tau),
        beta=PAPER_BETA if sampler.beta is None else sampler.beta,
        eta=1.0 if sampler.eta is None else sampler.eta,
        lookahead=sampler.lookahead or (lookahead if paper else "denoise"),
        stop_sigma=_or(sampler.stop_sigma, PAPER_STOP_SIGMA if paper else FAST_STOP_SIGMA),
        # A selecting judge cannot say of one picture alone whether it is better than another one.
        check=judge == "scoring" if sampler.check is None else sampler.check and judge == "scoring",
        solver=sampler.solver or ("heun" if paper else "dpmpp_2m"),
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
