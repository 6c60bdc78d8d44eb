"""Calls side by side that make one answer together. It knows no call."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from contracts.errors import JudgeError

T = TypeVar("T")


async def together(calls: Sequence[Coroutine[Any, Any, T]], enough: int) -> list[T | None]:
    """What the calls return, None for those that failed; at least `enough` of them have to come.

    Raises the first JudgeError as soon as too many failed, and every other exception at once. However it ends, also cancelled, the
    other calls are cancelled and over by then.
    """
    tasks = [asyncio.ensure_future(call) for call in calls]
    failures: list[JudgeError] = []
    try:
        for task in asyncio.as_completed(tasks):
            try:
                await task
            except JudgeError as error:
                failures.append(error)
                if len(tasks) - len(failures) < enough:
                    raise failures[0] from None
    finally:
        for one in tasks:
            one.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return [None if task.exception() else task.result() for task in tasks]
