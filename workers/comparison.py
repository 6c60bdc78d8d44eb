"""The finished picture against the plain one of the same seed, before the job's judge. It knows the desk; no sampler, no key."""

import asyncio
from typing import Literal

import structlog
import torch
from torch import Tensor

from contracts.jobs import Result
from contracts.judging import COMPARISON_ASKS, JudgeFailure, Verdict

from .judge_desk import JudgeDesk

Preference = Literal["result", "baseline", "tie"]

log = structlog.get_logger()


async def compare(desk: JudgeDesk, result: Tensor, baseline: Tensor | None, steered: int) -> Result:
    """A scoring judge scores both pictures [1, 3, H, W]; a selecting one is asked blind which it prefers, in both orders.

    Without a baseline, or a steered step, the result is the plain picture itself: no judge compares it with itself.
    A judge that fails here leaves the comparison empty, but for why: the picture is finished all the same.
    """
    if desk.card.kind == "scoring":
        return await _scored(desk, [result] if baseline is None else [result, baseline], steered)
    if baseline is None or steered == 0 or not desk.affords("preference", 2, COMPARISON_ASKS["selecting"]):
        return Result(steered_steps=steered)
    both = torch.cat([result, baseline])
    first, second = await asyncio.gather(_asked(desk, "preference", both), _asked(desk, "preference", both.flip(0)))
    measured = first.measured if isinstance(first, Verdict) and desk.card.comparable else None
    preference = preferred(first, second) if isinstance(first, Verdict) and isinstance(second, Verdict) else None
    return Result(
        score=measured[0] if measured else None,
        baseline_score=measured[1] if measured else None,
        preference=preference,
        failure=_failure(first) or _failure(second),
        steered_steps=steered,
    )


async def _scored(desk: JudgeDesk, pictures: list[Tensor], steered: int) -> Result:
    """The scores of result and baseline, or the one of both."""
    if not desk.affords("final", len(pictures)):
        return Result(steered_steps=steered)
    answer = await _asked(desk, "final", torch.cat(pictures))
    scores = answer.scores if isinstance(answer, Verdict) else (None,)
    return Result(score=scores[0], baseline_score=scores[-1], failure=_failure(answer), steered_steps=steered)


def preferred(first: Verdict, second: Verdict) -> Preference:
    """What a judge prefers that saw (result, baseline) and then (baseline, result); a tie where its answers disagree."""
    answers = {_better(first.scores), _better(second.scores[::-1])}
    return answers.pop() if len(answers) == 1 else "tie"


def _better(scores: tuple[float | None, ...]) -> Preference:
    """Of (result, baseline). No opinion of both is none; no opinion of one counts as neither chosen nor refused."""
    result, baseline = (0.0 if score is None else score for score in scores)
    return "tie" if result == baseline else "result" if result > baseline else "baseline"


async def _asked(desk: JudgeDesk, kind: Literal["final", "preference"], pictures: Tensor) -> Verdict | JudgeFailure:
    answer = await desk.ask(kind, pictures)
    if isinstance(answer, JudgeFailure):
        log.warning("no comparison", job=desk.spec.id, code=answer.code, reason=answer.detail)
    return answer


def _failure(answer: Verdict | JudgeFailure) -> str | None:
    return f"{answer.code}: {answer.detail}" if isinstance(answer, JudgeFailure) else None
