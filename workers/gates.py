"""What judges with a provider behind them need of their worker: limits shared with other workers, and an end. It knows no provider."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Protocol, runtime_checkable

from bus.limits import LimitGate, Limits
from contracts.limits import JudgeLimits
from reward_adapters.base import Judge


@runtime_checkable
class Limited(Protocol):
    """A judge that asks somebody else's computer, call by call through a gate."""

    @property
    def limits(self) -> JudgeLimits | None:
        """What its gate has to keep to; None: nothing."""

    def behind(self, gate: LimitGate) -> Judge:
        """The same judge, its calls let through by this gate."""


@runtime_checkable
class Closable(Protocol):
    """A judge that holds connections."""

    async def close(self) -> None:
        """End them."""


def behind_limits(judges: Mapping[str, Judge], limits: Limits) -> dict[str, Judge]:
    """The judges, those that have limits behind a gate."""
    return {name: _gated(judge, limits) for name, judge in judges.items()}


def _gated(judge: Judge, limits: Limits) -> Judge:
    if isinstance(judge, Limited) and judge.limits is not None:
        return judge.behind(limits.gate(judge.limits))
    return judge


@asynccontextmanager
async def closing(judges: Iterable[Judge]) -> AsyncIterator[None]:
    """Ends the judges' connections after the block."""
    async with AsyncExitStack() as ends:
        for judge in judges:
            if isinstance(judge, Closable):
                ends.push_async_callback(judge.close)
        yield
