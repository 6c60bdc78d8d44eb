"""What a job is likely to take, from its spec and the cards of its model and judge. It knows no network; it counts its rows."""

import math

from contracts.jobs import Estimate, JobSpec
from contracts.judging import NO_CALL, JudgeCard, JudgeKind, JudgeUsage
from contracts.models import ModelCard
from contracts.sampler import PRESETS, SamplerSpec, usual_lookahead

RHO = 7.0
CHECKED: dict[JudgeKind, int] = {"scoring": 1, "selecting": 2}  # pictures of the ask that checks z*


def estimate(spec: JobSpec, model: ModelCard, judge: JudgeCard) -> Estimate:
    """Rows, judge calls and tokens, and seconds and dollars where the cards say what one costs. Waiting in line is not counted.

    It takes the judge to have an opinion at every step, at its first attempt.
    """
    sampler = spec.sampler
    guided = steered_steps(sampler, model) if sampler.method == "demon" else 0
    checks = sampler.checked_by(judge.kind)
    shown = [judge.cost(sampler.candidates)]
    if sampler.method == "demon" and checks:
        shown.append(judge.cost(CHECKED[judge.kind]))
    wanted = guided * shown if sampler.method == "demon" else shown * (sampler.method == "best_of_n")
    allowed = spec.budget.steering(judge.comparison_cost(), shown[0])
    spent, asks = NO_CALL, 0
    for cost in wanted:
        if not allowed.after(spent).covers(cost):
            break
        spent, asks = spent.plus(cost), asks + 1
    guided = min(guided, math.ceil(asks / len(shown)))
    comparison = _comparison(spec, judge, asks)
    if spec.budget.allowance.after(spent).covers(comparison):
        spent = spent.plus(comparison)
    rows = _own_rows(spec, model, guided, checks)
    if sampler.method != "pf_ode":  # whose picture is its own baseline
        rows += _ode_rows(sampler, sampler.steps)
    return Estimate(
        network_rows=rows,
        judge_calls=spent.calls,
        judge_tokens=spent.tokens,
        seconds=round(rows * model.seconds_per_row + spent.seconds, 1) if model.seconds_per_row else None,
        usd=None if judge.call.usd is None else round(spent.usd or 0.0, 6),
    )


def _comparison(spec: JobSpec, judge: JudgeCard, asks: int) -> JudgeUsage:
    """What comparing the result with its baseline takes. A plain picture is scored, but nobody chooses between it and itself."""
    if asks == 0 and judge.kind == "selecting":
        return NO_CALL
    if spec.sampler.method == "pf_ode":
        return judge.cost(1)
    return judge.comparison_cost()


def steered_steps(sampler: SamplerSpec, model: ModelCard) -> int:
    """The steps whose noise level ends above `stop_sigma`, on the noise levels of Karras et al. 2022, eq. 5."""
    stop = PRESETS[sampler.preset].stop_sigma if sampler.stop_sigma is None else sampler.stop_sigma
    high, low = model.sigma_max ** (1 / RHO), model.sigma_min ** (1 / RHO)
    reached = ((high + i / (sampler.steps - 1) * (low - high)) ** RHO for i in range(1, sampler.steps))
    return sum(sigma > stop for sigma in reached)


def _own_rows(spec: JobSpec, model: ModelCard, guided: int, checks: bool) -> int:
    """The network rows of the job's own picture."""
    sampler, one = spec.sampler, _rows_a_call(spec.sampler)
    tail = _ode_rows(sampler, sampler.steps - guided)
    if sampler.method == "best_of_n":
        return sampler.candidates * tail
    if guided == 0:
        return tail
    move = one if sampler.preset == "paper" else 0  # Heun's second slope; an ancestral step needs none
    usual = usual_lookahead(sampler.preset, model.leaps(sampler.guidance, spec.negative_prompt))
    lookahead = sampler.lookahead or usual
    if lookahead == "denoise":
        # The preview of z* is the x0 that the next step begins with: only the first step pays for its own, and the tail not.
        return guided * (sampler.candidates + 1) * (move + one) + tail
    look = 1 if lookahead == "consistency" else int(lookahead.removeprefix("ode:")) * one  # a leap is not guided
    star = move + (look if checks else 0)
    return guided * (one + sampler.candidates * (move + look) + star) + tail


def _ode_rows(sampler: SamplerSpec, steps: int) -> int:
    """The network rows of the last `steps` steps of the plain ODE: Heun asks twice, but once at the step to sigma 0."""
    solver = sampler.solver or PRESETS[sampler.preset].solver
    return _rows_a_call(sampler) * (steps if solver == "dpmpp_2m" else max(0, 2 * steps - 1))


def _rows_a_call(sampler: SamplerSpec) -> int:
    return 1 if sampler.guidance == 1.0 else 2
