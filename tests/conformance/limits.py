"""A provider's limits: requests and tokens a minute, requests at once, and the headers that tell of them. It knows no protocol."""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field


@dataclass
class Bucket:
    """So much a minute, of which `burst` seconds' worth may come at once. `room` is what may come now."""

    per_minute: float
    burst: float
    clock: Callable[[], float] = time.monotonic
    room: float = field(init=False)
    seen: float = field(init=False)

    def __post_init__(self) -> None:
        self.room, self.seen = self.most, self.clock()

    @property
    def most(self) -> float:
        """What may come at once after a rest."""
        return max(1.0, self.per_minute * self.burst / 60)

    def wait(self, cost: float) -> float:
        """Seconds until so much may come; 0: now. More than the bucket holds never comes: infinite."""
        now = self.clock()
        self.room = min(self.most, self.room + (now - self.seen) * self.per_minute / 60)
        self.seen = now
        if cost > self.most:
            return math.inf
        return max(0.0, (cost - self.room) * 60 / self.per_minute)

    def headers(self, name: str) -> dict[str, str]:
        """As OpenAI says it."""
        full = (self.most - self.room) * 60 / self.per_minute
        return {
            f"x-ratelimit-limit-{name}": f"{self.per_minute:.0f}",
            f"x-ratelimit-remaining-{name}": f"{max(0.0, self.room):.0f}",
            f"x-ratelimit-reset-{name}": f"{full * 1000:.0f}ms" if full < 1 else f"{full:.3f}s",
        }


@dataclass(frozen=True)
class Refusal:
    """Why a request is not let through, in OpenAI's words for it, and after how many seconds it may be."""

    of: str  # requests, tokens, concurrency
    limit: float
    seconds: float


@dataclass
class Limits:
    """What is let through; None: no limit. A limit begins with what may come at once untouched."""

    requests_per_minute: float | None = None
    tokens_per_minute: float | None = None
    at_once: int | None = None
    burst: float = 60.0  # seconds' worth that may come at once
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        rates = {"requests": self.requests_per_minute, "tokens": self.tokens_per_minute}
        self._buckets = {of: Bucket(rate, self.burst, self.clock) for of, rate in rates.items() if rate is not None}

    def admit(self, tokens: float, under_way: int) -> Refusal | None:
        """Let a request of so many tokens through while so many are under way, or say why not; refused, it uses nothing up."""
        if self.at_once is not None and under_way >= self.at_once:
            return Refusal("concurrency", self.at_once, 1.0)
        costs = {"requests": 1.0, "tokens": tokens}
        for of, bucket in self._buckets.items():
            if (seconds := bucket.wait(costs[of])) > 0:
                return Refusal(of, bucket.per_minute, seconds)
        for of, bucket in self._buckets.items():
            bucket.room -= costs[of]
        return None

    def headers(self) -> dict[str, str]:
        """What every answer says of them."""
        return {name: value for of, bucket in self._buckets.items() for name, value in bucket.headers(of).items()}
