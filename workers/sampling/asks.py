"""What a sampler asks of the world: Denoise, Decode, Judge; and the smallest driver that answers. It knows no engine.

An ask is an awaitable that yields itself to whoever drives the coroutine: the engine in production, `drive` in tests
and notebooks. K candidates are K rows of one ask.
"""

from collections.abc import Callable, Coroutine, Generator
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from torch import Tensor

T = TypeVar("T")
Scores = list[float | None]  # one a picture; None: no opinion


class Ask(Generic[T]):
    """Awaiting it hands it to the driver and returns the driver's answer."""

    def __await__(self) -> "Generator[Ask[Any], T, T]":
        return (yield self)


@dataclass(frozen=True, eq=False)
class Denoise(Ask[Tensor]):
    """D(x; sigma): the expected clean latents. Answer: x0 [rows, c, h, w], float64.

    x [rows, c, h, w] float64 in variance-exploding coordinates (x = x0 + sigma·z); sigma [rows] float64.
    """

    x: Tensor
    sigma: Tensor
    network: Literal["denoiser", "consistency"] = "denoiser"


@dataclass(frozen=True, eq=False)
class Decode(Ask[Tensor]):
    """Pictures [rows, 3, H, W] float32 in 0..1 of clean latents x0 [rows, c, h, w]; `preview` allows a small decoder."""

    x0: Tensor
    preview: bool = True


@dataclass(frozen=True, eq=False)
class Judge(Ask[Scores]):
    """One score or None for each of the pictures [rows, 3, H, W]; candidates of a step, or its z* (`checks.py`)."""

    pictures: Tensor
    kind: Literal["candidates", "check"] = "candidates"


def drive(coroutine: Coroutine[Ask[Any], Any, T], answer: Callable[[Ask[Any]], Any]) -> T:
    """Run a sampler's coroutine to its end, answering each ask by `answer(ask)`."""
    reply: Any = None
    while True:
        try:
            ask = coroutine.send(reply)
        except StopIteration as stop:
            result: T = stop.value
            return result
        reply = answer(ask)
