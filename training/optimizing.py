"""One optimiser step as all trainings make it: AdamW, clipped gradients, a running mean of the weights. And a run of many of them.

It knows parameters and a loss, no data.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

Net = TypeVar("Net", bound=nn.Module)
REPORT, REMEMBER = 100, 500  # steps of a run


class Optimizer(Generic[Net]):
    """Trains `net` in place; `mean` is the exponential moving average of its weights, which is what gets stored."""

    def __init__(self, net: Net, *, betas: tuple[float, float], weight_decay: float, keep: float) -> None:
        self.net, self.mean, self.steps, self._keep = net, copy.deepcopy(net).requires_grad_(False), 0, keep
        self._parameters: list[Tensor] = list(net.parameters())
        self._averages: list[Tensor] = list(self.mean.parameters())
        self._adam = torch.optim.AdamW(
            net.parameters(), betas=betas, weight_decay=weight_decay, fused=self._parameters[0].is_cuda
        )
        self.remember()

    def step(self, loss: Tensor, rate: float) -> None:
        """Go down the loss's gradient, clipped to norm 1, at this learning rate."""
        for group in self._adam.param_groups:
            group["lr"] = rate
        self._adam.zero_grad(set_to_none=True)
        torch.autograd.backward(loss)
        torch.nn.utils.clip_grad_norm_(self._parameters, 1.0)
        self._adam.step()
        self.steps += 1
        keep = min(self._keep, (1 + self.steps) / (10 + self.steps))
        with torch.no_grad():  # or the averages would drag every step's graph along
            torch._foreach_lerp_(self._averages, self._parameters, 1 - keep)

    def remember(self) -> None:
        """Take the weights as they are as the last good ones."""
        self._good: dict[str, Any] = copy.deepcopy(self.net.state_dict())

    def step_back(self) -> None:
        """Return to the last good weights, after a loss that was no number; the averages start anew with them."""
        self.net.load_state_dict(self._good)
        self.mean.load_state_dict(self._good)
        self._adam.state.clear()


def rate_at(peak: float, step: int, done: float, *, warm_up: int, flat: float, floor: float) -> float:
    """The learning rate: a linear warm-up of steps, `peak` until the share `flat` of the time, then a cosine to `floor`·peak."""
    fall = 0.5 * (1 + math.cos(math.pi * max(0.0, done - flat) / (1 - flat)))
    return peak * min(1.0, (step + 1) / warm_up) * (floor + (1 - floor) * fall)


def run(
    optimizer: Optimizer[Any],
    loss_of_a_batch: Callable[[], Tensor],
    rate: Callable[[int, float], float],
    end: float,
    log_file: Path,
    look: Callable[[], None],
    every: float,
) -> None:
    """Steps until `end` (seconds since the epoch), a line in the log each hundred, back to good weights after a loss that is no number.

    rate: the learning rate at a step and a share of the time; look: what is done each `every` seconds.
    """
    began = time.time()
    mean: Tensor | float = 0.0
    next_look = began + every
    with log_file.open("a") as log:
        while (now := time.time()) < end:
            rate_now = rate(optimizer.steps, (now - began) / (end - began))
            loss = loss_of_a_batch()
            optimizer.step(loss, rate_now)
            mean = mean + loss.detach() / REPORT
            if optimizer.steps % REPORT == 0:
                value, mean = float(mean), 0.0
                if not math.isfinite(value):
                    optimizer.step_back()
                elif optimizer.steps % REMEMBER == 0:
                    optimizer.remember()
                line = {"step": optimizer.steps, "s": round(now - began), "loss": round(value, 5), "lr": rate_now}
                log.write(json.dumps(line) + "\n")
                log.flush()
            if now > next_look:
                next_look = now + every
                look()
