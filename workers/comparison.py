"""The finished picture against the plain one of the same seed, before the job's judge. It knows the desk; no sampler, no key."""

import asyncio
from typing import Literal

import structlog
import torch
from torch import Tensor

from contracts.jobs import Result
from contracts.judging import Verdict

from .judge_desk import JudgeDesk

Preference = Literal["result", "baseline", "tie"]

log = structlog.get_logger()


async def compare(desk: JudgeDesk, result: Tensor, baseline: Tensor, steered: int) -> Result:
    """A scoring judge scores both pictures [1, 3, H, W]; a selecting one is asked blind which it prefers, in both orders.

    A judge that fails here leaves the comparison empty: the picture is finished all the same.
    """
    both = torch.cat([result, baseline])
    if not desk.affords(1 if desk.card.kind == "scoring" else 2):
        return Result(steered_steps=steered)
    if desk.card.kind == "scoring":
        verdict = await _verdict(desk, "final", both)
        scores = verdict.scores if verdict else (None, None)
        return Result(score=scores[0], baseline_score=scores[1], steered_steps=steered)
    first, second = await asyncio.gather(_verdict(desk, "preference", both), _verdict(desk, "preference", both.flip(0)))
    measured = first.measured if first and first.measured else (None, None)
    preference = preferred(first, second) if first and second else None
    return Result(score=measured[0], baseline_score=measured[1], preference=preference, steered_steps=steered)


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
