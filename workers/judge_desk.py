"""Between a sampler's question and a judge's answer: pictures to bytes, the ask through Redis, the job's policy on failures.

It knows the job's budget and what was said at the step in progress; it knows no sampler, no engine and no key.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from torch import Tensor

from bus.asks import Asks
from contracts.errors import JudgeError
from contracts.jobs import JobSpec, Usage
from contracts.judging import AskKind, AskName, JudgeAsk, JudgeCard, JudgeFailure, Verdict

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
    judge_seconds: float = 0.0


@dataclass
class JudgeDesk:
    """One job's way to its judge."""

    spec: JobSpec
    card: JudgeCard
    asks: Asks
    patience: timedelta
    usage: Usage
    memory: StepMemory = field(default_factory=lambda: StepMemory(0, 0.0))

    def begin(self, step: int, sigma: float) -> None:
        """Forget the last step. `step` counts from 1; `sigma` is the noise level whose candidates are judged."""
        self.memory = StepMemory(step, sigma)

    def affords(self, calls: int = 1) -> bool:
        """Whether the job's cap on judge calls leaves room for so many; without it the rest of the job is not steered."""
        cap = self.spec.budget.judge_calls
        return cap is None or self.usage.judge_calls + calls <= cap

    async def judge(self, ask: Judge) -> Scores:
        """Answer a sampler's ask: one score or None (no opinion) a picture. Raises JudgeError where the policy is `fail`."""
        nothing: Scores = [None] * len(ask.pictures)
        if not self.affords():
            self.memory.failure = f"budget_exceeded: the cap of {self.spec.budget.judge_calls} judge calls is reached"
            return nothing
        answer = await self.ask(ask.kind, ask.pictures)
        if isinstance(answer, JudgeFailure):
            if self.spec.on_judge_failure == "fail":
                raise _error(answer)
            self.memory.failure = f"{answer.code}: {answer.detail}"
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
        answer = await self.asks.ask(
            JudgeAsk(
                name=name,
                kind=kind,
                judge=self.spec.judge,
                prompt=self.spec.prompt,
                scenario=self.spec.scenario_text,
                pictures=len(pictures),
                sigma=memory.sigma,
                seed=(self.spec.seed + 1_000_003 * memory.step + name.ordinal) % 2**53,
                deadline=datetime.now(UTC) + self.patience,
            ),
            await asyncio.to_thread(encode_for, self.card, pictures),
        )
        seconds = asyncio.get_running_loop().time() - started
        memory.judge_seconds += seconds
        self._count(answer, seconds)
        return answer

    def _count(self, answer: Verdict | JudgeFailure, seconds: float) -> None:
        used, cost = answer.usage, answer.usage.cost_usd
        failed = isinstance(answer, JudgeFailure)
        self.usage = self.usage.model_copy(
            update={
                "judge_calls": self.usage.judge_calls + used.calls,
                "judge_failures": self.usage.judge_failures + failed,
                "input_tokens": self.usage.input_tokens + used.input_tokens,
                "output_tokens": self.usage.output_tokens + used.output_tokens,
                "cost_usd": self.usage.cost_usd if cost is None else (self.usage.cost_usd or 0.0) + cost,
                "seconds": self.usage.seconds
                | {
                    "judge": self.usage.seconds.get("judge", 0.0) + seconds,
                    "judge_own": self.usage.seconds.get("judge_own", 0.0) + used.seconds,
                },
            }
        )


def _error(failure: JudgeFailure) -> JudgeError:
    """The failure as the typed error it was in the judge worker, so that the job's problem carries its code."""
    kinds = {kind.code: kind for kind in JudgeError.__subclasses__()}
    return kinds.get(failure.code, JudgeError)(failure.detail)
