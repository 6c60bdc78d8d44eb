"""How a worker's process runs: until SIGTERM or Ctrl-C, then in good order. It knows no worker."""

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any


def run_until_signal(serving: Coroutine[Any, Any, None]) -> None:
    """Run it; a signal cancels it. Raises what it raises, one exception out of a group."""
    try:
        asyncio.run(_cancelled_by_signal(serving))
    except BaseExceptionGroup as group:
        raise _first(group) from None


async def _cancelled_by_signal(serving: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(serving)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    await asyncio.wait([task])
    if not task.cancelled():
        task.result()


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
