"""A bell: one stream that wakes everyone in this process who waits for a name. It knows no job and no verdict.

What is waited for lies elsewhere, so a lost ring costs a late look and nothing more: listeners look again by themselves.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from redis.asyncio import Redis

from contracts.errors import BusUnavailable

from . import keys
from .connection import BLOCK_MS

_PAUSE = 0.5  # seconds before a reader that lost Redis tries again

log = structlog.get_logger()


class Bell:
    """The bell `name`. One reader for all listeners of the process; it runs while there is a listener."""

    def __init__(self, redis: Redis, name: str) -> None:
        self._redis = redis
        self._stream = keys.BELL % name
        self._last = "0-0"
        self._listeners: dict[str, set[asyncio.Event]] = defaultdict(set)
        self._reader: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def listen(self, name: str) -> AsyncIterator[asyncio.Event]:
        """An event that is set at every ring for `name`. Look after entering and after each ring; clear it before you look."""
        event = asyncio.Event()
        self._listeners[name].add(event)
        if self._reader is None or self._reader.done():
            self._reader = asyncio.create_task(self._read(), name=f"bell {self._stream}")
            self._reader.add_done_callback(_note_death)
        try:
            yield event
        finally:
            self._listeners[name].discard(event)
            if not self._listeners[name]:
                del self._listeners[name]
            if not self._listeners and self._reader is not None:
                reader, self._reader = self._reader, None
                reader.cancel()
                await asyncio.wait([reader])

    async def _read(self) -> None:
        while True:
            try:
                answer: Any = await self._redis.xread({self._stream: self._last}, count=500, block=BLOCK_MS)
            except BusUnavailable as error:
                log.warning("the bell is silent, its listeners look by themselves", reason=str(error))
                await asyncio.sleep(_PAUSE)
                continue
            for _, rings in answer:
                for ring, fields in rings:
                    self._last = ring
                    for event in self._listeners.get(fields[b"name"].decode(), ()):
                        event.set()


def _note_death(reader: asyncio.Task[None]) -> None:
    if not reader.cancelled() and (failure := reader.exception()):
        log.error("the bell's reader died, the next listener starts another", exc_info=failure)


async def wait(event: asyncio.Event, seconds: float) -> None:
    """Until the bell rings, at most `seconds`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await event.wait()
