"""The judge worker's process: builds judges, publishes their cards, answers asks until SIGTERM or Ctrl-C.

It knows how the parts are put together; it knows no judge and no key of Redis.
"""

import asyncio
import gc
import os
from datetime import timedelta

import structlog
from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from bus.asks import Asks
from bus.cards import Cards
from bus.connection import WORKER_PATIENCE, check, connect
from bus.limits import Limits
from bus.queue import process_name
from bus.verdicts import Verdicts
from reward_adapters import registry
from reward_adapters.base import Environment, Judge, JudgeNotConfigured, JudgeSetupError

from .caching import VerdictCache
from .gates import behind_limits, closing
from .judging import Bench
from .process import run_until_signal

log = structlog.get_logger()


class JudgeWorkerSettings(BaseSettings):
    """What one judge worker needs to know. Judges read settings of their own, MAXWELL_JUDGE_*, from the same environment."""

    model_config = SettingsConfigDict(env_prefix="MAXWELL_", frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
    judges: str = Field(
        "", description="Names, comma-separated; by default all installed judges that can be built here."
    )
    judge_concurrency: int = Field(
        4, ge=1, description="Asks that each judge answers at a time, where its card does not say how many."
    )
    judge_threads: int = Field(1, ge=1, description="CPU threads of a judge's network for one ask.")
    judge_cache_seconds: int = Field(
        0, ge=0, description="How long a verdict is cached by what the judge saw; 0: not at all."
    )


def main() -> None:
    """Serve until told to stop. Raises JudgeSetupError and BusUnavailable, sentences for people."""
    settings = JudgeWorkerSettings()
    # torch and numpy read this when they are imported, which the judges' factories do.
    os.environ["OMP_NUM_THREADS"] = str(settings.judge_threads)
    run_until_signal(serve(settings, os.environ))
    log.info("judge worker stopped")


async def serve(settings: JudgeWorkerSettings, environment: Environment) -> None:
    """Publish the judges' cards and answer asks until cancelled; open asks then go to other workers."""
    async with connect(settings.redis_url) as probe:
        await check(probe)  # a wrong URL shows at once; later Redis may be away for a minute
    judges = await asyncio.to_thread(build_judges, settings.judges, environment)
    # What is loaded by now stays: without this it is gone through again and again in the search for garbage, a quarter of the time.
    gc.collect()
    gc.freeze()
    cards = [judge.card for judge in judges.values()]
    async with (
        closing(judges.values()),
        connect(settings.redis_url, patience=WORKER_PATIENCE) as redis,
        Limits(redis) as limits,
        Asks(redis) as asks,
        Cards(redis).published(process_name(), judges=cards),
        asyncio.TaskGroup() as group,
    ):
        answer = Bench(behind_limits(judges, limits)).answer
        if settings.judge_cache_seconds:
            life = timedelta(seconds=settings.judge_cache_seconds)
            answer = VerdictCache(answer, judges, Verdicts(redis, life)).answer
        for card in cards:
            room = card.asks_at_once or settings.judge_concurrency
            group.create_task(asks.serve([card.name], answer, concurrency=room))
        log.info("judge worker ready", judges=list(judges))


def build_judges(names: str, environment: Environment) -> dict[str, Judge]:
    """The judges called by name, or all that can be built; those that need settings and have none are left out without a warning.

    Raises JudgeSetupError for one called by name that cannot be built, and where there is none at all.
    """
    wanted = [name for part in names.split(",") if (name := part.strip())]
    if wanted:
        return {name: registry.build(name, environment) for name in wanted}
    judges: dict[str, Judge] = {}
    for name in registry.installed():
        try:
            judges[name] = registry.build(name, environment)
        except JudgeNotConfigured as error:
            log.info("judge not configured", judge=name, reason=str(error))
        except JudgeSetupError as error:
            log.warning("judge left out", judge=name, reason=str(error))
    if not judges:
        raise JudgeSetupError("no judge can be built here: see the warnings above, or name one in MAXWELL_JUDGES.")
    return judges


if __name__ == "__main__":
    main()
