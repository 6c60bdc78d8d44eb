"""The GPU worker's process: models, engine, job queue, together until SIGTERM or Ctrl-C.

It knows how the parts are put together; it knows no job's course and no key of Redis.
"""

import asyncio
from datetime import timedelta

import structlog
import torch

from artifacts import ArtifactStore
from bus.asks import Asks
from bus.cards import Cards
from bus.connection import WORKER_PATIENCE, check, connect
from bus.jobs import Jobs
from bus.queue import JobQueue, process_name

from .engine import Engine
from .job import JobRunner
from .models import load_models
from .process import run_until_signal
from .settings import GpuWorkerSettings

log = structlog.get_logger()


def main() -> None:
    """Serve until told to stop. Raises MaxwellError, in words for people, where it cannot begin or the engine fails."""
    settings = GpuWorkerSettings()
    if settings.threads is not None:
        torch.set_num_threads(settings.threads)
    run_until_signal(serve(settings))
    log.info("gpu worker stopped")


async def serve(settings: GpuWorkerSettings) -> None:
    """Draw jobs until cancelled; jobs in flight are handed back then. Raises EngineStopped when the engine fails."""
    async with connect(settings.redis_url) as probe:
        await check(probe)  # a wrong URL shows at once; later Redis may be away for a minute
    models = await asyncio.to_thread(load_models, settings.models, settings.device)
    name = process_name()
    async with (
        Engine(models, settings.row_budget) as engine,
        connect(settings.redis_url, patience=WORKER_PATIENCE) as redis,
        Asks(redis) as asks,
        JobQueue(redis) as queue,
        Cards(redis).published(name, models=engine.cards()),
    ):
        store = ArtifactStore(settings.pictures_url)
        patience = timedelta(seconds=settings.judge_seconds)
        runner = JobRunner(Jobs(redis), asks, Cards(redis), store, engine, name, patience)
        log.info("gpu worker ready", worker=name, models=list(models))
        async with asyncio.TaskGroup() as group:
            group.create_task(_end_with(engine))
            group.create_task(queue.run(runner.run, room=settings.room))


async def _end_with(engine: Engine) -> None:
    """A worker without an engine draws nothing: end, and let whoever supervises us start a fresh one."""
    raise await engine.ended()


if __name__ == "__main__":
    main()
