"""Jobs, steps and asks for the tests of the bus. It knows no test."""

from datetime import UTC, datetime, timedelta
from typing import Any

from bus.jobs import Claim, Jobs, new_job_id
from contracts.jobs import Budget, JobSpec, JudgeTotal, Progress, StepAudit, Usage
from contracts.judging import AskName, JudgeAsk
from contracts.sampler import SamplerSpec

STEPS = 4
PICTURES = [b"\xff\x00first", b"\x00\xffsecond"]


def spec(**changed: Any) -> JobSpec:
    """A job to submit."""
    return JobSpec.model_validate(
        {
            "id": new_job_id(),
            "prompt": "a red apple",
            "negative_prompt": "",
            "scenario": None,
            "scenario_text": "",
            "judge": "local",
            "model": "toy",
            "sampler": SamplerSpec(),
            "seed": 7,
            "width": 32,
            "height": 32,
            "budget": Budget(),
            "on_judge_failure": "skip",
            "max_skipped_steps": 8,
            "priority": "normal",
            "metadata": {},
            "created_at": datetime.now(UTC),
        }
        | changed
    )


async def submitted(jobs: Jobs, **changed: Any) -> str:
    """The id of a job that waits."""
    job = spec(**changed)
    return (await jobs.submit(job, steps=STEPS, idempotency=None, queue_limit=10_000)).job_id


async def claimed(jobs: Jobs, worker: str = "worker-1", **changed: Any) -> Claim:
    """A job that runs."""
    claim = await jobs.claim(await submitted(jobs, **changed), worker)
    assert claim is not None
    return claim


async def commit(jobs: Jobs, job_id: str, epoch: int, step: int) -> bool:
    """Write down step `step`, whose State is its number."""
    return await jobs.commit(
        job_id,
        epoch,
        progress=Progress(step=step, steps=STEPS),
        usage=Usage(judge=JudgeTotal(calls=step)),
        checkpoint=str(step).encode(),
        audit=StepAudit(step=step, sigma=1.0, taken="mixed", at=datetime.now(UTC), epoch=epoch),
    )


def ask(job_id: str, *, judge: str = "local", seconds: float = 30.0, step: int = 1) -> JudgeAsk:
    """An ask about PICTURES."""
    return JudgeAsk(
        name=AskName(job=job_id, step=step),
        kind="candidates",
        judge=judge,
        prompt="a red apple",
        pictures=len(PICTURES),
        sigma=1.0,
        seed=7,
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
    )
