"""The changes of a job as they happen, for event streams. It knows versions; it knows no HTTP and what a change was about."""

from collections.abc import AsyncGenerator
from typing import Any

from redis.asyncio import Redis

from contracts.jobs import JobEvent

from . import keys
from .bell import Bell, wait

LOOK_SECONDS = 5.0  # between looks where the bell is silent


class Events:
    """The event streams of all jobs, with one reader of the bell for all that this process follows."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._bell = Bell(redis, "events")

    async def read(self, job_id: str, after_version: int = 0) -> AsyncGenerator[JobEvent, None]:
        """Every change of the job that led to a version above `after_version`, in order, waiting for those to come.

        Ends after the job's end (kind `done`), also where that lies behind `after_version`, and where there is no such job
        (any more). Of a very long history only the latest changes are kept; versions then jump. Raises BusUnavailable.
        """
        async with self._bell.listen(job_id) as rung:
            while True:
                rung.clear()
                changes: Any = await self._redis.xrange(keys.EVENTS % job_id, f"({after_version}-0", "+")
                for change in changes:
                    yield (event := _event(change))
                    after_version = event.version
                latest: Any = await self._redis.xrevrange(keys.EVENTS % job_id, count=1)
                if not latest:
                    return
                last = _event(latest[0])
                if last.kind == "done" and last.version <= after_version:
                    return
                await wait(rung, LOOK_SECONDS)


def _event(entry: tuple[bytes, dict[bytes, bytes]]) -> JobEvent:
    identity, fields = entry
    return JobEvent.model_validate({"version": int(identity.partition(b"-")[0]), "kind": fields[b"kind"].decode()})
