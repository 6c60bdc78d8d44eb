"""Between a sampler's question and a judge's answer: pictures to bytes, the ask through Redis, what it cost against the job's caps.

It knows the job's budget and what was said at the step in progress; it knows no sampler, no engine and no key, and not when failures
end a job.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from torch import Tensor

from bus.asks import Asks
from bus.cards import Cards
from contracts.errors import JudgeUnavailable
from contracts.jobs import JobSpec, Usage
from contracts.judging import (
    COMPARISON_ASKS,
    NO_CALL,
    Allowance,
    AskKind,
    AskName,
    JudgeAsk,
    JudgeCard,
    JudgeFailure,
    JudgeUsage,
    Verdict,
)

from .judge_policy import CAP_REACHED
from .pictures import encode_for, step_grid
from .sampling import Judge, Scores


@dataclass
class StepMemory:
    """What was asked and said at one step, for its audit row and its grid."""

    step: int
    sigma: float
    asked: int = 0
    verdict: Verdict | None = None
    grid: bytes | None = None
    failure: str | None = None
    check_failure: str | None = None
    judge_seconds: float = 0.0


@dataclass
class JudgeDesk:
    """One job's way to its judge."""

    spec: JobSpec
    card: JudgeCard
    asks: Asks
    cards: Cards
    patience: timedelta
    usage: Usage
    memory: StepMemory = field(default_factory=lambda: StepMemory(0, 0.0))
    _timed_out: bool = False  # the last ask; then the judge may be gone for good
    _dearer: float = field(init=False)  # how many times as much as estimated a call has cost at most; 1 where none did

    def __post_init__(self) -> None:
        self._dearer = max(1.0, self._times_as_dear(self.usage.judge.spent, self.spec.sampler.candidates))

    def begin(self, step: int, sigma: float) -> None:
        """Forget the last step. `step` counts from 1; `sigma` is the noise level it begins at, its candidates lie one step on."""
        self.memory = StepMemory(step, sigma)

    def affords(self, kind: AskKind, pictures: int, asks: int = 1) -> bool:
        """Whether the job's caps leave room for so many asks about so many pictures. Without it for candidates, the job is steered
        no more."""
        left, cost = self._left(kind), self.card.cost(pictures)
        for _ in range(asks):
            if not left.covers(cost):
                return False
            left = left.after(cost)
        return True

    def refuse(self) -> None:
        """Note that nobody is asked about this step's candidates, for the caps leave nothing for it."""
        self.memory.failure = f"{CAP_REACHED}: the cap of {self.spec.budget.cap()} leaves none for this step"

    async def judge(self, ask: Judge) -> Scores:
        """Answer a sampler's ask: one score or None a picture; None is no opinion, and all that a failure says."""
        nothing: Scores = [None] * len(ask.pictures)
        if not self.affords(ask.kind, len(ask.pictures)):
            if ask.kind == "candidates":
                self.refuse()
            return nothing
        answer = await self.ask(ask.kind, ask.pictures)
        if isinstance(answer, JudgeFailure):
            failure = f"{answer.code}: {answer.detail}"
            if ask.kind == "candidates":
                self.memory.failure = failure
            else:
                self.memory.check_failure = failure
            return nothing
        if ask.kind == "candidates":
            self.memory.verdict = answer
            self.memory.grid = await asyncio.to_thread(step_grid, ask.pictures, answer.scores)
        return list(answer.scores)

    async def ask(self, kind: AskKind, pictures: Tensor) -> Verdict | JudgeFailure:
        """Put pictures [n, 3, H, W] before the judge, under the next name of this step, and count what it cost."""
        started = asyncio.get_running_loop().time()
        memory = self.memory
        name = AskName(job=self.spec.id, step=memory.step, ordinal=memory.asked)
        memory.asked += 1
        if self._timed_out and self.spec.judge not in await self.cards.judges():
            return self._counted(self._gone(), 0.0, len(pictures))
        deadline = datetime.now(UTC) + self.patience
        ask = JudgeAsk(
            name=name,
            kind=kind,
            judge=self.spec.judge,
            prompt=self.spec.prompt,
            scenario=self.spec.scenario_text,
            pictures=len(pictures),
            sigma=memory.sigma,
            seed=(self.spec.seed + 1_000_003 * memory.step + name.ordinal) % 2**53,
            deadline=min(deadline, self.spec.deadline or deadline),
            allowance=self._allowance(kind),
        )
        answer = await self._answer(ask, await asyncio.to_thread(encode_for, self.card, pictures))
        self._timed_out = isinstance(answer, JudgeFailure) and datetime.now(UTC) >= ask.deadline
        seconds = asyncio.get_running_loop().time() - started
        memory.judge_seconds += seconds
        return self._counted(answer, seconds, len(pictures))

    async def _answer(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict | JudgeFailure:
        """The judge's answer. An ask that this job does not live to see answered counts as the card says: it may be paid for."""
        lost = self.card.cost(len(pictures)).model_copy(update={"seconds": 0.0})
        try:
            return await self.asks.ask(ask, pictures, lost)
        except asyncio.CancelledError:
            self.usage = self.usage.model_copy(update={"judge": self.usage.judge.plus(lost)})
            raise

    def _left(self, kind: AskKind) -> Allowance:
        """What the job's caps leave for asks of this kind, by the card's prices: those that steer leave the comparison its own.

        Where calls turn out dearer than the card says, a dollar is worth so much less: the next call is not to exceed the cap.
        """
        budget, steers = self.spec.budget, kind in ("candidates", "check")
        comparison, ask = self.card.comparison_cost(), self.card.cost(self.spec.sampler.candidates)
        allowed = budget.steering(self._dear(comparison), self._dear(ask)) if steers else budget.allowance
        left = allowed.after(self.usage.judge.spent)
        return left if left.usd is None else left.model_copy(update={"usd": left.usd / self._dearer})

    def _dear(self, cost: JudgeUsage) -> JudgeUsage:
        """A cost by the card, at what calls turned out to cost."""
        return cost if cost.usd is None else cost.model_copy(update={"usd": cost.usd * self._dearer})

    def _allowance(self, kind: AskKind) -> Allowance:
        """What one ask of this kind may cost. A preference's two asks go out at once, so they share what is left."""
        left = self._left(kind)
        return left.share(COMPARISON_ASKS["selecting"]) if kind == "preference" else left

    def _gone(self) -> JudgeFailure:
        """Who waited for a judge as long as may be, and finds that nobody offers it, does not wait so long again."""
        detail = f"no judge worker offers the judge {self.spec.judge!r} any more: start one"
        return JudgeFailure(code=JudgeUnavailable.code, detail=detail, usage=NO_CALL)

    def _counted(self, answer: Verdict | JudgeFailure, seconds: float, pictures: int) -> Verdict | JudgeFailure:
        used, before = answer.usage, self.usage.seconds
        self._dearer = max(self._dearer, self._times_as_dear(used, pictures))
        failures = int(isinstance(answer, JudgeFailure))
        self.usage = self.usage.model_copy(
            update={
                "judge": self.usage.judge.plus(used, failures),
                "seconds": before
                | {
                    "judge": before.get("judge", 0.0) + seconds,
                    "judge_own": before.get("judge_own", 0.0) + used.seconds,
                },
            }
        )
        return answer

    def _times_as_dear(self, used: JudgeUsage, pictures: int) -> float:
        """How many times the card's price a call of this answer has cost."""
        expected = self.card.cost(pictures)
        if not (used.usd and used.calls and expected.usd):
            return 0.0
        return used.usd / used.calls * expected.calls / expected.usd
