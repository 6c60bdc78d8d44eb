"""A GPU worker's parts in one process: a real engine with the toy model, real Redis, pictures in a folder. It knows no test."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from artifacts import ArtifactStore
from bus.asks import Asks
from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobRecord, StepAudit
from contracts.sampler import SamplerSpec
from workers.engine import Engine
from workers.job import JobRunner
from workers.models import Model
from workers.models.toy import Toy

from ..bus.builders import spec

STEPS = 5
PATIENCE = timedelta(seconds=20)


@dataclass
class Studio:
    """Takes jobs and draws them."""

    jobs: Jobs
    store: ArtifactStore
    runner: JobRunner

    async def submit(self, sampler: dict[str, Any] | None = None, **changed: Any) -> str:
        """The id of a job of a few steps that waits."""
        usual = {"candidates": 3, "steps": STEPS, "stop_sigma": 0.1, "guidance": 1.0}
        job = spec(sampler=SamplerSpec.model_validate(usual | (sampler or {})), **({"judge": "critic"} | changed))
        return (await self.jobs.submit(job, steps=job.sampler.steps, idempotency=None, queue_limit=100)).job_id

    async def drawn(self, sampler: dict[str, Any] | None = None, **changed: Any) -> JobRecord:
        """The record of a job that has run to its end."""
        job = await self.submit(sampler, **changed)
        await self.runner.run(job)
        return await self.jobs.get(job)

    async def has_begun(self, job_id: str, epoch: int) -> bool:
        """Whether a worker has claimed the job so many times."""
        return (await self.jobs.get(job_id)).epoch == epoch

    async def audit(self, record: JobRecord) -> list[StepAudit]:
        return await self.jobs.audit(record.spec.id)

    async def picture(self, record: JobRecord, name: str = "image.png") -> bytes:
        return await self.store.get(record.spec.id, name)


@asynccontextmanager
async def studio(
    redis: Client, folder: Path, *, patience: timedelta = PATIENCE, model: Model | None = None
) -> AsyncIterator[Studio]:
    """Everything a job needs but its judge."""
    store, jobs = ArtifactStore(folder.as_uri()), Jobs(redis)
    async with Engine({"toy": model or Toy()}) as engine, Asks(redis) as asks:
        runner = JobRunner(jobs, asks, Cards(redis), store, engine, "worker-1", patience)
        yield Studio(jobs, store, runner)


async def let_go(task: asyncio.Task[Any]) -> None:
    """Cancel a job's task, as a worker does that stops."""
    task.cancel()
    await asyncio.wait([task])
