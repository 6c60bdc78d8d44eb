"""How a worker's process runs: until SIGTERM or Ctrl-C, then in good order. It knows no worker."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

END_SECONDS = 10.0  # to hand back what is in flight; where Redis is away too, the lease gives it back

log = structlog.get_logger()


def run_until_signal(serving: Coroutine[Any, Any, None]) -> None:
    """Run it; a signal cancels it, and ends the process where it does not end. Raises what it raises, one exception out of a group."""
    try:
        asyncio.run(_cancelled_by_signal(serving))
    except BaseExceptionGroup as group:
        raise _first(group) from None


async def _cancelled_by_signal(serving: Coroutine[Any, Any, None]) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.create_task(serving)

    def end() -> None:
        task.cancel()
        loop.call_later(END_SECONDS, _leave)

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, end)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _leave() -> None:
    """Not by an exception: whoever waits for a Redis that is gone would swallow it."""
    log.warning("not ended in time, leaving", seconds=END_SECONDS)
    os._exit(1)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
