"""What a job is likely to take, from its spec and the cards of its model and judge. It knows no network; it counts its rows."""

from contracts.jobs import Estimate, JobSpec
from contracts.judging import JudgeCard
from contracts.models import ModelCard
from contracts.sampler import SamplerSpec

STOP_SIGMA = 0.3  # where the samplers stop steering unless told otherwise
PAPER_LOOKAHEAD = "ode:2"
RHO = 7.0


def estimate(spec: JobSpec, model: ModelCard, judge: JudgeCard) -> Estimate:
    """Rows, judge calls, and seconds and dollars where the cards say what one costs. Waiting in line is not counted."""
    sampler = spec.sampler
    guided = 0 if sampler.method != "demon" else steered_steps(sampler, model)
    checked = guided if _checks(sampler, judge) else 0
    asks = guided + checked + (sampler.method == "best_of_n")
    if spec.budget.judge_calls is not None:
        asks = min(asks, spec.budget.judge_calls)
    asks += 1 if judge.kind == "scoring" else 2  # the result against the baseline; a preference is asked in both orders
    rows = _rows(sampler, guided, checked > 0) + ode_rows(sampler, sampler.steps)
    rows *= 1 if sampler.guidance == 1.0 else 2
    return Estimate(
        network_rows=rows,
        judge_calls=asks,
        seconds=rows * model.seconds_per_row + asks * judge.seconds_per_ask if model.seconds_per_row else None,
        cost_usd=None if judge.cost_per_ask_usd is None else asks * judge.cost_per_ask_usd,
    )


def steered_steps(sampler: SamplerSpec, model: ModelCard) -> int:
    """The steps whose noise level ends above `stop_sigma`, on the noise levels of Karras et al. 2022, eq. 5."""
    stop = STOP_SIGMA if sampler.stop_sigma is None else sampler.stop_sigma
    high, low = model.sigma_max ** (1 / RHO), model.sigma_min ** (1 / RHO)
    reached = ((high + i / (sampler.steps - 1) * (low - high)) ** RHO for i in range(1, sampler.steps))
    return sum(sigma > stop for sigma in reached)


def ode_rows(sampler: SamplerSpec, steps: int) -> int:
    """The rows of the last `steps` steps of the plain ODE: Heun asks twice, but not at the step to 0."""
    return max(0, 2 * steps - 1) if sampler.solver != "dpmpp_2m" else steps


def _checks(sampler: SamplerSpec, judge: JudgeCard) -> bool:
    return judge.kind == "scoring" if sampler.check is None else sampler.check


def _rows(sampler: SamplerSpec, guided: int, checked: bool) -> int:
    """The rows of the job's own picture, its baseline not counted, guidance not doubled."""
    tail = ode_rows(sampler, sampler.steps - guided)
    if sampler.method == "best_of_n":
        return sampler.candidates * tail
    if sampler.method == "pf_ode" or not guided:
        return tail
    look = sampler.lookahead or ("denoise" if sampler.preset == "fast" else PAPER_LOOKAHEAD)
    look_rows = int(look.removeprefix("ode:")) if look.startswith("ode:") else 1
    move_rows = 0 if sampler.preset == "fast" else 1
    if look == "denoise":  # the preview of z* is the next step's x0
        return 1 + guided * (sampler.candidates + 1) * (move_rows + 1) + tail - 1
    star_rows = move_rows + (look_rows if checked else 0)
    return guided * (1 + sampler.candidates * (move_rows + look_rows) + star_rows) + tail
