"""Models for the engine's tests: the toy, watched, slowed or broken on purpose. It knows no test."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from workers.binding import Binding
from workers.models.base import Condition, Network
from workers.models.toy import Toy
from workers.sampling import Ask, Decode, Denoise, Judge, Params, Scores
from workers.sampling.schedules import karras

SHAPE = (3, 32, 32)


@dataclass
class Watched(Toy):
    """The toy, with a record of its forwards and a hook that runs within each."""

    name: str = "toy"
    hook: Callable[[str, int], None] = lambda kind, rows: None
    forwards: list[tuple[str, int]] = field(default_factory=list)
    closed: bool = False

    def __post_init__(self) -> None:
        super().__init__(self.name)

    def denoise(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition], guidance: Tensor, network: Network
    ) -> Tensor:
        self.forwards.append(("denoise", len(x)))
        self.hook("denoise", len(x))
        return super().denoise(x, sigma, conditions, guidance, network)

    def decode(self, x0: Tensor, preview: bool) -> Tensor:
        self.forwards.append(("decode", len(x0)))
        self.hook("decode", len(x0))
        return super().decode(x0, preview)

    def close(self) -> None:
        self.closed = True


class Gate:
    """A hook that lets no forward pass until it is opened."""

    def __init__(self) -> None:
        self.reached, self._open = threading.Event(), threading.Event()

    def __call__(self, kind: str, rows: int) -> None:
        self.reached.set()
        assert self._open.wait(20)

    def open(self) -> None:
        self._open.set()


def params(seed: int = 1, **changed: Any) -> Params:
    """A short run of the toy."""
    usual: dict[str, Any] = {"sigmas": karras(6, 0.02, 80.0), "shape": SHAPE, "candidates": 3, "solver": "dpmpp_2m"}
    return Params(**(usual | {"seed": seed} | changed))


def redness(pictures: Tensor) -> Scores:
    """A judge: how much redder than blue."""
    score: Scores = (pictures[:, 0] - pictures[:, 2]).mean((1, 2)).double().tolist()
    return score


def binding(model: Toy, job: str = "job", prompt: str = "", guidance: float = 1.0) -> Binding:
    """A job of that model whose judge answers at once."""

    async def judge(ask: Judge) -> Scores:
        return redness(ask.pictures)

    return Binding(job, model, model.encode(prompt, ""), guidance, judge)


def directly(model: Toy, bound: Binding) -> Callable[[Ask[Any]], Any]:
    """The answers of `drive` for the same job."""

    def answer(ask: Ask[Any]) -> Any:
        if isinstance(ask, Denoise):
            guidance = torch.full((len(ask.x),), bound.guidance, dtype=torch.float64)
            return model.denoise(ask.x, ask.sigma, [bound.condition] * len(ask.x), guidance, ask.network)
        if isinstance(ask, Decode):
            return model.decode(ask.x0, ask.preview)
        assert isinstance(ask, Judge)
        return redness(ask.pictures)

    return answer
