"""The cache of verdicts that all judge workers share. It knows digests; no judge and no picture."""

from datetime import timedelta

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.exceptions import ResponseError

from contracts.judging import Verdict

from . import keys
from .connection import Client

log = structlog.get_logger()


class CachedVerdict(BaseModel):
    """What a judge said of these pictures, named by their digests; its scores are in their order."""

    model_config = ConfigDict(frozen=True)

    pictures: tuple[str, ...]
    verdict: Verdict


class Verdicts:
    """The cache. `life`: how long a verdict stays in it, however often it is found."""

    def __init__(self, redis: Client, life: timedelta) -> None:
        self._redis = redis
        self._life = life

    async def find(self, seen: str) -> CachedVerdict | None:
        """What was said when just this was seen (its digest); None too where that cannot be read. Raises BusUnavailable."""
        try:
            raw = await self._redis.get(keys.CACHED_VERDICT % seen)
            return None if raw is None else CachedVerdict.model_validate_json(raw)
        except (ResponseError, ValidationError) as error:  # another version's, or what somebody else put there
            log.warning("a cached verdict cannot be read, the judge is asked anew", seen=seen, reason=str(error))
            return None

    async def keep(self, seen: str, verdict: CachedVerdict) -> None:
        """Cache it from now on; the last one counts. Raises BusUnavailable."""
        await self._redis.set(keys.CACHED_VERDICT % seen, verdict.model_dump_json(), px=self._life)
