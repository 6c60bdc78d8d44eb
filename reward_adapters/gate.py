"""What stands between a judge and somebody else's computer: limits that all judge workers share. It knows no limit and no judge."""

from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Protocol

from contracts.judging import JudgeAsk, JudgeUsage


class Gate(Protocol):
    """The way through to one account."""

    def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AbstractAsyncContextManager["Permit"]:
        """Entered when the call may be made. Raises JudgeRateLimited or JudgeUnavailable where it may not be in the ask's time.

        The body is the one call; an error that leaves it is noticed.
        """


class Permit(Protocol):
    """One call under way."""

    def used(self, usage: JudgeUsage) -> None:
        """What the call really took."""


class _Free:
    def used(self, usage: JudgeUsage) -> None:
        """Nobody counts."""


class OpenGate:
    """No limits."""

    def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AbstractAsyncContextManager[Permit]:
        return nullcontext(_Free())
