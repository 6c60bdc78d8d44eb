"""A job from request to result: what users send, what Redis holds, what users see. It knows no route and no key."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field, StringConstraints, model_validator

from ._base import Contract
from .errors import Problem
from .judging import Allowance, JudgeUsage, Tokens, add_usd
from .sampler import SamplerSpec

Prompt = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2000)]
Priority = Literal["low", "normal", "high"]
SEED_LIMIT = 2**53  # every JSON reader keeps integers below this exactly


class JobState(StrEnum):
    """Where a job is. The last four are terminal: a job ends in exactly one of them."""

    QUEUED = "queued"
    RUNNING = "running"
    AWAITING_JUDGEMENT = "awaiting_judgement"
    CANCELING = "canceling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELED = "canceled"
    EXPIRED = "expired"

    @property
    def terminal(self) -> bool:
        return self in (JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELED, JobState.EXPIRED)


class Budget(Contract):
    """Caps of one job. The first one reached ends the steering (judge_calls, usd) or the job (seconds)."""

    judge_calls: int | None = Field(
        None,
        ge=0,
        description="Calls to the judge, its retries included. Where the cap allows the comparison with the plain picture (one call "
        "of a scoring judge, two of a selecting one, more of one with votes or pairs) beside one step, so many are kept for it; where "
        "it does not, it is all for steering, and what is left then decides whether there is a comparison. After the last call for "
        "steering the plain ODE finishes.",
    )
    usd: float | None = Field(
        None,
        ge=0.0,
        allow_inf_nan=False,
        description="Dollars for the judge, kept for steering and comparison as judge_calls are. No call is made whose estimated "
        "price would exceed it; needs a judge with a price.",
    )
    seconds: int | None = Field(None, ge=1, le=7 * 86400, description="From acceptance; then the job is expired.")

    @property
    def allowance(self) -> Allowance:
        """All that may be spent on the judge."""
        return Allowance(calls=self.judge_calls, usd=self.usd)

    def cap(self) -> str:
        """The caps on the judge, in words."""
        calls = None if self.judge_calls is None else f"{self.judge_calls} judge calls"
        usd = None if self.usd is None else f"${self.usd:g} for the judge"
        return " and ".join(cap for cap in (calls, usd) if cap)

    def steering(self, comparison: JudgeUsage, ask: JudgeUsage) -> Allowance:
        """What may be spent on steering, where the comparison at the end and one ask take so much."""
        rest = self.allowance.after(comparison)
        return rest if rest.covers(ask) else self.allowance


class JobRequest(Contract):
    """The body of POST /v1/generations."""

    prompt: Prompt = Field(description="What to draw.", examples=["a red apple"])
    negative_prompt: Annotated[str, StringConstraints(max_length=2000)] = ""
    scenario: str | None = Field(
        None, description="A preset of GET /v1/scenarios: who looks at the pictures.", examples=["teacher"]
    )
    scenario_text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=1000)] | None = (
        Field(None, description="Your own scenario instead of a preset.")
    )
    judge: str = Field("local", description="A judge of GET /v1/judges.")
    model: str = Field("embedded", description="A model of GET /v1/models.")
    sampler: SamplerSpec = SamplerSpec()
    seed: int | None = Field(None, ge=0, lt=SEED_LIMIT, description="Drawn at random and echoed if left out.")
    width: int | None = Field(None, ge=8, le=8192)
    height: int | None = Field(None, ge=8, le=8192)
    budget: Budget = Budget()
    on_judge_failure: Literal["skip", "fail"] = Field(
        "skip",
        description="After the judge's retries: go on without steering this step (recorded), or fail the job. "
        "A job whose judge answers at no step fails either way.",
    )
    max_skipped_steps: int | None = Field(
        None,
        ge=0,
        description="How many steps may be skipped for a judge that fails, before its next failure fails the job; half of the "
        "sampler's steps if left out.",
    )
    priority: Priority = "normal"
    metadata: dict[
        Annotated[str, StringConstraints(max_length=64)], Annotated[str, StringConstraints(max_length=512)]
    ] = Field(default_factory=dict, max_length=16, description="Yours; echoed.")

    @model_validator(mode="after")
    def _one_scenario(self) -> "JobRequest":
        if self.scenario is not None and self.scenario_text is not None:
            raise ValueError("give either scenario or scenario_text, not both")
        return self


class JobSpec(Contract):
    """A request with every default filled in: all that a worker needs to draw the same picture again."""

    id: str
    owner: str = Field("anonymous", description="Whose job it is: the unit of fairness and of access.")
    prompt: str
    negative_prompt: str
    scenario: str | None
    scenario_text: str
    judge: str
    model: str
    sampler: SamplerSpec
    seed: int
    width: int
    height: int
    budget: Budget
    on_judge_failure: Literal["skip", "fail"]
    max_skipped_steps: int
    priority: Priority
    metadata: dict[str, str]
    created_at: datetime
    deadline: datetime | None = None


class Progress(Contract):
    """How far a job is. `reward` is the mean reward of the latest step's candidates on the judge's own scale where it has one."""

    step: int = 0
    steps: int
    reward: float | None = None
    sigma: float | None = Field(None, description="Noise level that the latest step began at.")
    message: str = ""


class JudgeTotal(Contract):
    """What the judge of a job has cost so far: what its answers cost, and its failures too."""

    calls: int = 0
    failures: int = Field(0, description="Asks that came to no verdict, after the judge worker's own retries.")
    tokens: Tokens = Tokens()
    estimated: bool = Field(False, description="Some input or output is our estimate: the provider did not say.")
    usd: float | None = Field(None, description="None where the judge has no price, or was not asked yet.")
    cached: int = Field(0, description="Verdicts from the cache: they took no call.")

    @property
    def spent(self) -> JudgeUsage:
        """As what an allowance can be reduced by."""
        return JudgeUsage(calls=self.calls, tokens=self.tokens, estimated=self.estimated, usd=self.usd)

    def plus(self, used: JudgeUsage, failures: int = 0) -> "JudgeTotal":
        """With what one more answer cost."""
        usd = add_usd(self.usd, used.usd)
        return JudgeTotal(
            calls=self.calls + used.calls,
            failures=self.failures + failures,
            tokens=self.tokens.plus(used.tokens),
            estimated=self.estimated or used.estimated,
            usd=None if usd is None else round(usd, 9),
            cached=self.cached + used.cached,
        )


class Usage(Contract):
    """What a job has cost so far. Rows are network rows (guidance counts twice); seconds are wall-clock seconds."""

    network_rows: int = 0
    decoded_pictures: int = 0
    judge: JudgeTotal = JudgeTotal()
    seconds: dict[str, float] = Field(
        default_factory=dict,
        description="By phase: denoise, decode, judge (of it judge_own is the judge's own), writing, total.",
    )


class Result(Contract):
    """How the steered picture compares with the plain PF-ODE picture of the same seed."""

    score: float | None = Field(None, description="The judge's score of the result, on its own scale.")
    baseline_score: float | None = None
    preference: Literal["result", "baseline", "tie"] | None = Field(
        None,
        description="A selecting judge's blind choice, asked in both orders; tie: no preference, or its two answers disagree.",
    )
    failure: str | None = Field(None, description="Why the judge did not compare them, where it was asked.")
    steered_steps: int = Field(0, description="Steps at which the judge's verdict moved the noise.")


class Estimate(Contract):
    """What a job is likely to take, answered at submission."""

    network_rows: int
    judge_calls: int
    judge_tokens: Tokens = Tokens()
    seconds: float | None = None
    usd: float | None = Field(None, description="For the judge; None where it has no price.")


class JobRecord(Contract):
    """A job as Redis holds it."""

    spec: JobSpec
    state: JobState
    progress: Progress
    usage: Usage = Usage()
    result: Result | None = None
    error: Problem | None = None
    version: int = Field(1, description="Grows with every change; never goes back.")
    epoch: int = Field(0, description="The fencing token: raised by every claim.")
    cancel: bool = False
    started_at: datetime | None = None
    completed_at: datetime | None = None
    expires_at: datetime | None = Field(None, description="When job and pictures are removed; set at the end.")


class JobView(Contract):
    """A job as users see it."""

    id: str
    object: Literal["generation"] = "generation"
    status: JobState
    version: int
    prompt: str
    negative_prompt: str
    scenario: str | None
    scenario_text: str
    judge: str
    model: str
    sampler: SamplerSpec
    seed: int
    width: int
    height: int
    budget: Budget
    on_judge_failure: Literal["skip", "fail"]
    max_skipped_steps: int
    priority: Priority
    metadata: dict[str, str]
    progress: Progress
    queue_position: int | None = Field(None, description="1 is next; only while queued.")
    usage: Usage
    estimate: Estimate | None = None
    result: Result | None = None
    error: Problem | None = None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    expires_at: datetime | None
    urls: dict[str, str]


class StepAudit(Contract):
    """One row of the audit trail: all that decided a step, enough to explain and to replay it."""

    step: int
    sigma: float = Field(description="Noise level the step begins at; its candidates lie one step on.")
    scores: tuple[float | None, ...] = ()
    measured: tuple[float, ...] | None = None
    weights: tuple[float, ...] = ()
    taken: str = Field(description="mixed (z*), candidate:k, or plain (no steering).")
    check_score: float | None = Field(
        None,
        description="The judge's score of the mixed noise's preview, where it was checked; a selecting judge's says whether it "
        "was chosen over the best candidate.",
    )
    rationale: str | None = None
    cached: bool = Field(False, description="The verdict came from the cache: nobody was asked.")
    failure: str | None = Field(
        None, description="Why the judge did not answer, where the step was not steered for it."
    )
    check_failure: str | None = Field(
        None,
        description="Why the judge did not check the mixed noise, where it was asked; the step was steered all the same.",
    )
    judge_seconds: float = 0.0
    epoch: int = 0
    at: datetime


class JobEvent(Contract):
    """A change of a job, as the event stream holds it: the version it led to and what kind of change it was."""

    version: int
    kind: Literal["status", "progress", "done"]
