"""One question to a judge and its answer: the ask, the verdict or the failure, and the judge's card. It knows no judge."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, model_validator

from ._base import Contract

AskKind = Literal["candidates", "check", "final", "preference"]
JudgeKind = Literal["selecting", "scoring"]
# Asks about result and baseline: a choice is asked for in both orders.
COMPARISON_ASKS: dict[JudgeKind, int] = {"scoring": 1, "selecting": 2}
ROUNDING = 1e-9  # dollars


class AskName(Contract):
    """The name under which a verdict is written once, however often the ask is repeated (attempts are only counted)."""

    job: str
    branch: int = 0
    step: int = Field(ge=0)
    ordinal: int = Field(0, ge=0, description="Place among the asks of one step: 0 the candidates, 1 the check of z*.")

    def __str__(self) -> str:
        return f"{self.job}:{self.branch}:{self.step}:{self.ordinal}"


class Tokens(Contract):
    """Tokens of a model that judges. `output` includes its thinking; `input` includes `image`, those of the pictures, which is our
    estimate where the provider does not tell them apart.
    """

    input: int = Field(0, ge=0)
    output: int = Field(0, ge=0)
    image: int = Field(0, ge=0)

    def plus(self, other: "Tokens") -> "Tokens":
        """Both together."""
        return Tokens(input=self.input + other.input, output=self.output + other.output, image=self.image + other.image)


class JudgeUsage(Contract):
    """What asking a judge cost, or is likely to. `seconds` is the judge's own time; `usd` None where the judge has no price."""

    calls: int = 1
    tokens: Tokens = Tokens()
    estimated: bool = Field(False, description="Some input or output is our estimate: the provider did not say.")
    usd: float | None = None
    seconds: float = 0.0
    cached: int = Field(0, ge=0, description="Verdicts from the cache: they took no call.")

    def plus(self, other: "JudgeUsage") -> "JudgeUsage":
        """Both together."""
        return JudgeUsage(
            calls=self.calls + other.calls,
            tokens=self.tokens.plus(other.tokens),
            estimated=self.estimated or other.estimated,
            usd=add_usd(self.usd, other.usd),
            seconds=self.seconds + other.seconds,
            cached=self.cached + other.cached,
        )


def add_usd(one: float | None, other: float | None) -> float | None:
    """Dollars added up; what has no price adds nothing, and nothing at all with a price is None."""
    prices = [price for price in (one, other) if price is not None]
    return sum(prices) if prices else None


class Allowance(Contract):
    """What may still be spent on a judge. None: no cap."""

    calls: int | None = Field(None, ge=0)
    usd: float | None = Field(None, ge=0)

    def covers(self, cost: JudgeUsage) -> bool:
        """Whether so much may be spent."""
        return (self.calls is None or cost.calls <= self.calls) and (
            self.usd is None or (cost.usd or 0.0) <= self.usd + ROUNDING
        )

    def after(self, spent: JudgeUsage) -> "Allowance":
        """What is left when so much was spent."""
        return Allowance(
            calls=None if self.calls is None else max(0, self.calls - spent.calls),
            usd=None if self.usd is None else max(0.0, self.usd - (spent.usd or 0.0)),
        )

    def share(self, parts: int) -> "Allowance":
        """An equal part of it, for asks that go out at once."""
        return Allowance(
            calls=None if self.calls is None else self.calls // parts,
            usd=None if self.usd is None else self.usd / parts,
        )


ONE_CALL, NO_CALL = JudgeUsage(), JudgeUsage(calls=0)


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
    allowance: Allowance = Field(
        Allowance(), description="What it may cost at most, retries included, where the job's caps say so."
    )


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


class CallCost(Contract):
    """What one call to a judge's model takes, as far as it is known beforehand: its texts and answer, and each picture shown."""

    tokens: Tokens = Tokens()
    tokens_per_picture: int = Field(0, ge=0)
    usd: float | None = Field(None, ge=0.0, description="None: the judge has no price here.")
    usd_per_picture: float = Field(0.0, ge=0.0)

    def usage(self, pictures: int, calls: int = 1) -> JudgeUsage:
        """What so many calls take that show so many pictures altogether."""
        image = self.tokens_per_picture * pictures
        tokens = Tokens(
            input=self.tokens.input * calls + image,
            output=self.tokens.output * calls,
            image=self.tokens.image * calls + image,
        )
        return JudgeUsage(
            calls=calls,
            tokens=tokens,
            estimated=tokens != Tokens(),
            usd=None if self.usd is None else self.usd * calls + self.usd_per_picture * pictures,
        )


class JudgeCard(Contract):
    """What a judge worker publishes of a judge: how to address it, what it wants to see, what an ask takes."""

    name: str
    kind: JudgeKind
    description: str
    objective: str = Field(description="What a higher score means, in a few words.")
    picture_size: int | None = Field(None, description="Longest side in pixels that the judge wants; None: as drawn.")
    encoding: Literal["jpeg", "png"] = "jpeg"
    max_pictures: int = 64
    comparable: bool = Field(
        True,
        description="Its scale is the same in every ask, so that the rewards of different steps can be compared. False: it only "
        "compares the pictures of one ask with each other.",
    )
    seconds_per_ask: float = Field(0.1, ge=0.0, description="For estimates.")
    asks_at_once: int | None = Field(
        None,
        ge=1,
        description="Asks that one worker gives it at a time: many for a judge that waits for somebody else's computer. None: as the "
        "worker is set.",
    )
    call: CallCost = CallCost()
    votes: int = Field(1, ge=1, description="Calls about the same pictures, each with its own order and labels.")
    rounds: int | None = Field(
        None,
        ge=1,
        description="Pairwise judges only: in how many pairs a picture stands at most, each asked in both orders.",
    )

    def cost(self, pictures: int) -> JudgeUsage:
        """What one ask about so many pictures takes at the first attempt."""
        calls, shown = self.votes, self.votes * pictures
        if self.rounds is not None:
            pairs = min(self.rounds, pictures - 1 + pictures % 2) * (pictures // 2)
            calls, shown = 2 * self.votes * pairs, 4 * self.votes * pairs
        return self.call.usage(shown, calls).model_copy(update={"seconds": self.seconds_per_ask})

    def comparison_cost(self) -> JudgeUsage:
        """What comparing the result with its baseline takes."""
        cost = NO_CALL
        for _ in range(COMPARISON_ASKS[self.kind]):
            cost = cost.plus(self.cost(2))
        return cost
