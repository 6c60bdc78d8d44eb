"""Verdicts cached by what the judge saw: the same question about the same pictures takes no second call.

It knows asks, pictures and a judge's fingerprint; it knows no judge, no Redis key and not how a judge is asked.
"""

import hashlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import structlog

from bus.asks import Answer
from bus.verdicts import CachedVerdict, Verdicts
from contracts.errors import BusUnavailable, JudgeMalformed
from contracts.judging import JudgeAsk, JudgeUsage, Verdict
from reward_adapters.base import Judge

from .judging import checked

log = structlog.get_logger()


@runtime_checkable
class Fingerprinted(Protocol):
    """A judge whose verdicts depend on settings that its card does not show."""

    @property
    def fingerprint(self) -> str:
        """A text that is another one wherever its verdicts may be others. It holds no key."""


@dataclass(frozen=True)
class Seen:
    """What a judge sees: the digests of its pictures, in the ask's order, and that of all together, the verdict's name in the cache."""

    digest: str
    pictures: tuple[str, ...]


@dataclass(frozen=True)
class VerdictCache:
    """Answers from the cache where it can; else asks (`answer_anew`) and keeps the verdict, never a failure."""

    answer_anew: Callable[[JudgeAsk, Sequence[bytes]], Awaitable[Answer]]
    judges: Mapping[str, Judge]
    verdicts: Verdicts

    async def answer(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Answer:
        """The cached verdict, at no call and marked as such, or the judge's answer.

        Equal asks at the same time may all reach the judge. Without Redis nothing is cached, and the judge is asked.
        """
        seen = seen_by(fingerprint(self.judges[ask.judge]), ask, pictures)
        verdict = await self._found(seen, ask)
        if verdict is not None:
            return verdict
        answer = await self.answer_anew(ask, pictures)
        if isinstance(answer, Verdict):
            await self._keep(seen, answer)
        return answer

    async def _found(self, seen: Seen, ask: JudgeAsk) -> Verdict | None:
        try:
            cached = await self.verdicts.find(seen.digest)
            return None if cached is None else checked(of_these(cached, seen.pictures), ask)
        except BusUnavailable as error:
            log.warning("the cache of verdicts cannot be asked", judge=ask.judge, reason=str(error))
        except JudgeMalformed as error:
            log.warning(
                "a cached verdict is none on these pictures, the judge is asked anew",
                judge=ask.judge,
                reason=str(error),
            )
        return None

    async def _keep(self, seen: Seen, verdict: Verdict) -> None:
        try:
            await self.verdicts.keep(seen.digest, CachedVerdict(pictures=seen.pictures, verdict=verdict))
        except BusUnavailable as error:
            log.warning("a verdict was not cached", reason=str(error))


def fingerprint(judge: Judge) -> str:
    """What a judge's verdicts depend on beside the ask: its card, and its settings where it has a fingerprint of its own."""
    own = judge.fingerprint if isinstance(judge, Fingerprinted) else ""
    return _digest(f"{judge.card.model_dump_json()}\n{own}".encode())


def seen_by(mark: str, ask: JudgeAsk, pictures: Sequence[bytes]) -> Seen:
    """What the judge with this fingerprint sees. Seed, name, deadline and allowance change how it is asked, not what.

    The order is none of it, but for a preference: that is asked in both orders to see whether the answers agree.
    """
    digests = tuple(_digest(picture) for picture in pictures)
    arranged = digests if ask.kind == "preference" else sorted(digests)
    shown = [mark, ask.kind, ask.prompt, ask.scenario, ask.sigma, arranged]
    return Seen(_digest(json.dumps(shown).encode()), digests)


def of_these(cached: CachedVerdict, pictures: Sequence[str]) -> Verdict:
    """The cached verdict on the same pictures, in their order now. Raises JudgeMalformed where they are not the same."""
    verdict, before = cached.verdict, cached.pictures
    if sorted(before) != sorted(pictures) or len(verdict.scores) != len(before):
        raise JudgeMalformed("it is about other pictures")
    places = _places(before, pictures)
    return verdict.model_copy(
        update={
            "scores": tuple(verdict.scores[place] for place in places),
            "measured": verdict.measured and tuple(verdict.measured[place] for place in places),
            "rationale": _retold(verdict.rationale, places),
            "usage": JudgeUsage(calls=0, cached=1, usd=None if verdict.usage.usd is None else 0.0),
        }
    )


def _places(before: Sequence[str], pictures: Sequence[str]) -> list[int]:
    """Where each picture stood. Of equal ones a judge may have chosen one only: each takes the place of another."""
    left: list[str | None] = list(before)
    places = []
    for one in pictures:
        places.append(left.index(one))
        left[places[-1]] = None
    return places


def _retold(rationale: str | None, places: Sequence[int]) -> str | None:
    """A rationale may name pictures by number: where these are others now, it says which."""
    if rationale is None or list(places) == sorted(places):
        return rationale
    now = ", ".join(f"{place + 1} is {k + 1}" for k, place in enumerate(places) if place != k)
    return f"{rationale} [said of these pictures in another order: what was {now} here]"


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()[:32]
