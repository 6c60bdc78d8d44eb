"""One question to a judge and its answer: the ask, the verdict or the failure, and the judge's card. It knows no judge."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ._base import Contract

AskKind = Literal["candidates", "check", "final", "preference"]
JudgeKind = Literal["selecting", "scoring"]
COMPARISON_CALLS: dict[JudgeKind, int] = {
    "scoring": 1,
    "selecting": 2,
}  # result against baseline; a choice in both orders


class AskName(Contract):
    """The name under which a verdict is written once, however often the ask is repeated (attempts are only counted)."""

    job: str
    branch: int = 0
    step: int = Field(ge=0)
    ordinal: int = Field(0, ge=0, description="Place among the asks of one step: 0 the candidates, 1 the check of z*.")

    def __str__(self) -> str:
        return f"{self.job}:{self.branch}:{self.step}:{self.ordinal}"


class JudgeAsk(Contract):
    """What a judge is asked. The pictures travel beside it, as many as `pictures`, in this order."""

    name: AskName
    kind: AskKind
    judge: str
    prompt: str
    scenario: str = Field("", description="The scenario's text; empty: none.")
    pictures: int = Field(ge=1)
    sigma: float = Field(
        ge=0.0, description="Noise level the step begins at; its candidates lie one step on. 0: finished pictures."
    )
    seed: int = Field(description="For shuffles: same ask, same order.")
    deadline: datetime
    attempts: int | None = Field(
        None,
        ge=1,
        description="Attempts it may take at most, where the job's cap says so; the worker has a limit of its own.",
    )


class JudgeUsage(Contract):
    """What a verdict, or a failure, cost. `seconds` is the judge's own time; `cost_usd` None where the judge has no price."""

    calls: int = 1
    input_tokens: int = 0
    output_tokens: int = 0
    cost_usd: float | None = None
    seconds: float = 0.0

    def plus(self, other: "JudgeUsage") -> "JudgeUsage":
        """What both cost together."""
        prices = [price for price in (self.cost_usd, other.cost_usd) if price is not None]
        return JudgeUsage(
            calls=self.calls + other.calls,
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cost_usd=sum(prices) if prices else None,
            seconds=self.seconds + other.seconds,
        )


ONE_CALL, NO_CALL = JudgeUsage(), JudgeUsage(calls=0)


class Verdict(Contract):
    """A judge's answer: one score a picture, None for no opinion. Selecting judges give ±reward, scoring judges floats as they are."""

    outcome: Literal["verdict"] = "verdict"
    scores: tuple[float | None, ...]
    measured: tuple[float, ...] | None = Field(
        None, description="The scale underneath a selection, where the judge has one: for reports, never for steering."
    )
    rationale: str | None = None
    usage: JudgeUsage = JudgeUsage()

    @model_validator(mode="after")
    def _one_measurement_a_score(self) -> "Verdict":
        if self.measured is not None and len(self.measured) != len(self.scores):
            raise ValueError(f"{len(self.measured)} measurements for {len(self.scores)} scores")
        return self


class JudgeFailure(Contract):
    """A judgement that did not come about, after the judge worker's own retries."""

    outcome: Literal["failure"] = "failure"
    code: str
    detail: str
    usage: JudgeUsage = JudgeUsage()


JudgeAnswer = Annotated[Verdict | JudgeFailure, Field(discriminator="outcome")]


class JudgeCard(Contract):
    """What a judge worker publishes of a judge: how to address it and what it wants to see."""

    name: str
    kind: JudgeKind
    description: str
    objective: str = Field(description="What a higher score means, in a few words.")
    picture_size: int | None = Field(None, description="Longest side in pixels that the judge wants; None: as drawn.")
    encoding: Literal["jpeg", "png"] = "jpeg"
    max_pictures: int = 64
    seconds_per_ask: float = Field(0.1, ge=0.0, description="For estimates.")
    cost_per_ask_usd: float | None = None
