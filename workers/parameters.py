"""From a request's sampler to the numbers of a run: presets, the model's range, what suits the judge. It knows no mathematics."""

from contracts.jobs import JobSpec
from contracts.judging import JudgeKind
from contracts.models import ModelCard
from contracts.sampler import PRESETS, usual_lookahead

from .sampling import Params
from .sampling.schedules import karras


def params_for(spec: JobSpec, card: ModelCard, shape: tuple[int, int, int], judge: JudgeKind) -> Params:
    """The numbers of a job's run. What the request leaves open is the preset's, the model's or the judge's choice."""
    sampler, usual = spec.sampler, PRESETS[spec.sampler.preset]
    lookahead = usual_lookahead(sampler.preset, card.leaps(sampler.guidance, spec.negative_prompt))
    return Params(
        sigmas=karras(sampler.steps, card.sigma_min, card.sigma_max),
        shape=shape,
        seed=spec.seed,
        candidates=sampler.candidates,
        preset=sampler.preset,
        weights=sampler.weights or usual.weights,
        tau=None if sampler.tau in (None, "adaptive") else float(sampler.tau),
        beta=_or(sampler.beta, usual.beta),
        eta=_or(sampler.eta, usual.eta),
        lookahead=sampler.lookahead or lookahead,
        stop_sigma=_or(sampler.stop_sigma, usual.stop_sigma),
        # A selecting judge cannot say of one picture alone whether it is better than another one.
        check=None if not sampler.checked_by(judge) else "score" if judge == "scoring" else "choice",
        solver=sampler.solver or usual.solver,
    )


def _or(value: float | None, default: float) -> float:
    return default if value is None else value
