"""What ties a sampler's coroutine to its job while the engine drives it. It knows no thread and no sampler.

A sampler's asks name neither model nor prompt; the binding does, and it carries the job's meter back.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from .models.base import Condition, Model
from .sampling import Judge, Scores


@dataclass
class Meter:
    """What the device spent on one job so far; the engine's thread alone writes it.

    Rows are network rows (guidance counts twice). Of a forward's seconds a job bears the share of its rows in it, so that the
    seconds of all jobs add up to the time the device was busy.
    """

    network_rows: int = 0
    decoded_pictures: int = 0
    denoise_seconds: float = 0.0
    decode_seconds: float = 0.0


@dataclass(frozen=True, eq=False)
class Binding:
    """One job as the engine sees it. Several coroutines (the steered run, its baseline) may share one binding.

    `gives_way`: whether its asks let all others go first. The engine's thread asks it again before each forward.
    """

    job: str
    model: Model
    condition: Condition
    guidance: float
    judge: Callable[[Judge], Awaitable[Scores]]
    meter: Meter = field(default_factory=Meter)
    gives_way: Callable[[], bool] = lambda: False
