"""The world around a sampler under test: an exact denoiser, a judge of our choice, and a record of all that is asked.

It knows no sampler. Latents serve as pictures, so that a reward sees exactly what the sampler decoded.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from workers.models.mixture import GaussianMixture
from workers.sampling import METHODS, Ask, Decode, Denoise, Judge, Params, Scores, State, drive
from workers.sampling.noise import noise

Reward = Callable[[Tensor], Tensor]  # [rows, c, h, w] to [rows]


def mixture(
    shape: tuple[int, int, int], weights: list[float], stds: list[float], spread: float = 1.0
) -> GaussianMixture:
    """Components at fixed random means, each coordinate N(0, spread²)."""
    means = spread * noise(2024, 0, 0, (len(weights), *shape))
    return GaussianMixture(torch.tensor(weights, dtype=torch.float64), means, torch.tensor(stds, dtype=torch.float64))


def gaussian(shape: tuple[int, int, int], std: float, mean: float = 0.0) -> GaussianMixture:
    """One Gaussian, the same in every coordinate."""
    means = torch.full((1, *shape), mean, dtype=torch.float64)
    return GaussianMixture(torch.ones(1, dtype=torch.float64), means, torch.tensor([std], dtype=torch.float64))


def no_opinion(pictures: Tensor) -> Scores:
    """A judge that says nothing."""
    return [None] * len(pictures)


@dataclass
class World:
    """Answers a sampler's asks. `asks` holds each ask's name and rows, in order."""

    denoise: Callable[[Tensor, Tensor], Tensor]
    judge: Callable[[Tensor], Scores] = no_opinion
    asks: list[tuple[str, int]] = field(default_factory=list)

    def answer(self, ask: Ask[Any]) -> Any:
        """The driver's half of the conversation."""
        match ask:
            case Denoise(x, sigma, network=network):
                assert sigma.shape == (len(x),), "one sigma a row"
                self.asks.append((network, len(x)))
                return self.denoise(x, sigma)
            case Decode(x0):
                self.asks.append(("decode", len(x0)))
                return x0
            case Judge(pictures, kind):
                self.asks.append((kind, len(pictures)))
                return self.judge(pictures)
            case _:
                raise TypeError(f"no sampler asks this: {ask}")

    def run(self, method: str, params: Params) -> State:
        """The whole method, driven to its end."""
        return drive(METHODS[method].run(params), self.answer)

    def step(self, method: str, state: State, params: Params) -> State:
        """One step of it."""
        return drive(METHODS[method].step(state, params), self.answer)

    @property
    def network_rows(self) -> int:
        """Rows that went through a network."""
        return sum(rows for name, rows in self.asks if name in ("denoiser", "consistency"))


def scoring(reward: Reward) -> Callable[[Tensor], Scores]:
    """A judge that says the reward itself."""
    return lambda pictures: reward(pictures).tolist()


def selecting(reward: Reward) -> Callable[[Tensor], Scores]:
    """A judge that selects the better half: +5 for it, -5 for the rest."""

    def judge(pictures: Tensor) -> Scores:
        place = (-reward(pictures)).argsort().argsort()
        return torch.where(place < len(pictures) // 2, 5.0, -5.0).tolist()

    return judge
