"""The finished picture against the plain one of the same seed, before the job's judge. It knows the desk; no sampler, no key."""

import asyncio
from typing import Literal

import structlog
import torch
from torch import Tensor

from contracts.jobs import Result
from contracts.judging import COMPARISON_ASKS, Verdict

from .judge_desk import JudgeDesk

Preference = Literal["result", "baseline", "tie"]

log = structlog.get_logger()


async def compare(desk: JudgeDesk, result: Tensor, baseline: Tensor | None, steered: int) -> Result:
    """A scoring judge scores both pictures [1, 3, H, W]; a selecting one is asked blind which it prefers, in both orders.

    Without a baseline the result is the plain picture itself: it is scored once, and no judge compares it with itself.
    A judge that fails here leaves the comparison empty: the picture is finished all the same.
    """
    if desk.card.kind == "scoring":
        return await _scored(desk, [result] if baseline is None else [result, baseline], steered)
    if baseline is None or not desk.affords("preference", 2, COMPARISON_ASKS["selecting"]):
        return Result(steered_steps=steered)
    both = torch.cat([result, baseline])
    first, second = await asyncio.gather(_verdict(desk, "preference", both), _verdict(desk, "preference", both.flip(0)))
    measured = first.measured if first and first.measured else (None, None)
    preference = preferred(first, second) if first and second else None
    return Result(score=measured[0], baseline_score=measured[1], preference=preference, steered_steps=steered)


async def _scored(desk: JudgeDesk, pictures: list[Tensor], steered: int) -> Result:
    """The scores of result and baseline, or the one of both."""
    verdict = await _verdict(desk, "final", torch.cat(pictures)) if desk.affords("final", len(pictures)) else None
    scores = verdict.scores if verdict else (None,)
    return Result(score=scores[0], baseline_score=scores[-1], steered_steps=steered)


def preferred(first: Verdict, second: Verdict) -> Preference:
    """What a judge prefers that saw (result, baseline) and then (baseline, result); a tie where its answers disagree."""
    answers = {_better(first.scores), _better(second.scores[::-1])}
    return answers.pop() if len(answers) == 1 else "tie"


def _better(scores: tuple[float | None, ...]) -> Preference:
    """Of (result, baseline). No opinion of both is none; no opinion of one counts as neither chosen nor refused."""
    result, baseline = (0.0 if score is None else score for score in scores)
    return "tie" if result == baseline else "result" if result > baseline else "baseline"


async def _verdict(desk: JudgeDesk, kind: Literal["final", "preference"], pictures: Tensor) -> Verdict | None:
    answer = await desk.ask(kind, pictures)
    if isinstance(answer, Verdict):
        return answer
    log.warning("no comparison", job=desk.spec.id, code=answer.code, reason=answer.detail)
    return None
