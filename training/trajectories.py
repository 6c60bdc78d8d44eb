"""Trajectories of the guided probability-flow ODE, from noise to picture, kept on the device: what a student has to leap over.

DPM-Solver++(2M) (Lu et al. 2022) on Karras levels whose inner ones are moved at random for each batch, so that a student meets all
levels. It knows a guided denoiser, and no student.
"""

import time
from collections.abc import Iterator
from itertools import pairwise

import torch
from torch import Tensor

from .looking import HIGHEST, LOWEST, RHO, GuidedDenoiser


class Trajectories:
    """points [n, levels, 4, 32, 32] float16, divided by sqrt(sigma² + 1); sigmas [n, levels]; ends [n, 4, 32, 32]; states [n, 24, 384]."""

    @torch.no_grad()
    def __init__(self, teacher: GuidedDenoiser, states: Tensor, levels: int, batch: int, end: float) -> None:
        """One of each text state [n, 24, 384], fewer if `end` (seconds since the epoch) comes before all are drawn."""
        n, device = len(states), states.device
        self.states = states
        self.points = torch.empty(n, levels, 4, 32, 32, dtype=torch.float16, device=device)
        self.ends = torch.empty(n, 4, 32, 32, dtype=torch.float16, device=device)
        self.sigmas = torch.empty(n, levels, device=device)
        self.drawn = 0
        while self.drawn + batch <= n and time.time() < end:
            rows = slice(self.drawn, self.drawn + batch)
            self._draw(teacher, rows, levels)
            self.drawn += batch

    def batch(self, n: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """n random points: x in variance-exploding coordinates, sigma [n], the end of its trajectory, its text state."""
        device = self.points.device
        rows = torch.randint(self.drawn, (n,), device=device)
        level = torch.randint(self.points.shape[1], (n,), device=device)
        sigma = self.sigmas[rows, level]
        x = self.points[rows, level].float() * (sigma**2 + 1).sqrt().view(-1, 1, 1, 1)
        return x, sigma, self.ends[rows].float(), self.states[rows].float()

    def _draw(self, teacher: GuidedDenoiser, rows: slice, levels: int) -> None:
        device, states = self.points.device, self.states[rows].float()
        sigmas = karras(levels, device, jitter=0.5)
        self.sigmas[rows] = sigmas
        start = torch.randn(len(states), 4, 32, 32, device=device) * sigmas[0]
        *points, end = descend(teacher, start, sigmas, states)
        for k, (point, sigma) in enumerate(zip(points, sigmas, strict=True)):
            self.points[rows, k] = (point / (sigma**2 + 1).sqrt()).half()
        self.ends[rows] = end.half()


def descend(denoiser: GuidedDenoiser, x: Tensor, sigmas: Tensor, states: Tensor) -> Iterator[Tensor]:
    """The ODE from x at sigmas[0] on: x at each of the levels, and last of all x0 at sigma 0."""
    before: tuple[Tensor, Tensor] | None = None
    for here, to in pairwise([*sigmas, sigmas.new_zeros(())]):
        yield x
        x0 = denoiser(x, here, states)
        if to == 0:
            yield x0
            return
        step, lead = (here / to).log(), x0
        if before is not None:
            ratio = before[1] / step
            lead = (1 + 1 / (2 * ratio)) * x0 - before[0] / (2 * ratio)
        x = to / here * x + (1 - to / here) * lead
        before = x0, step


def karras(count: int, device: torch.device | str, jitter: float = 0.0, highest: float = HIGHEST) -> Tensor:
    """Levels from the highest to the lowest (Karras et al. 2022, eq. 5), each inner one moved by up to so much of a step."""
    place = torch.arange(count, device=device, dtype=torch.float32)
    place[1:-1] += (2 * torch.rand(count - 2, device=device) - 1) * jitter
    ends = highest ** (1 / RHO), LOWEST ** (1 / RHO)
    levels: Tensor = (ends[0] + place / (count - 1) * (ends[1] - ends[0])) ** RHO
    return levels
