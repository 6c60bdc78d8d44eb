"""What the engine keeps of a coroutine under way, and how its thread tells the event loop. It knows no device and no plan."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from .binding import Binding
from .sampling import Ask


@dataclass(frozen=True)
class Finished:
    """A coroutine's end, with what it returned."""

    value: Any


@dataclass(eq=False)
class Promise:
    """An asyncio future that another thread settles; it may be cancelled meanwhile, and its loop may be gone."""

    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.future = self.loop.create_future()

    def keep(self, value: Any) -> None:
        """The future's result."""
        self._settle(lambda: self.future.set_result(value))

    def fail(self, failure: BaseException) -> None:
        """The future's exception."""
        self._settle(lambda: self.future.set_exception(failure))

    def _settle(self, settle: Callable[[], None]) -> None:
        def unless_canceled() -> None:
            if not self.future.done():
                settle()

        if not self.loop.is_closed():
            self.loop.call_soon_threadsafe(unless_canceled)


@dataclass(eq=False)
class Run:
    """A coroutine under way: `resume` is how it goes on, `promise` is kept when it asks its judge or ends."""

    coroutine: Coroutine[Ask[Any], Any, Any]
    binding: Binding
    resume: Callable[[], Ask[Any]] | None = None
    promise: Promise | None = None
