"""How many rows a forward should have on this device, and what a row costs: found by trying. It knows no job and no ask."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter

import torch

from contracts.errors import ModelUnavailable

from .device_errors import out_of_memory
from .models.base import Condition, Model

ENOUGH = 1.05  # twice the rows must bring a row's price down by 5 %, or they are not worth the wait
BUDGET_SECONDS = 2.0  # a worker is not kept from its work by a slow device
LARGEST = 256


@dataclass(frozen=True)
class Speed:
    """Network rows a forward, and seconds a row at that size."""

    rows: int
    seconds_per_row: float


def measure(model: Model, clock: Callable[[], float] = perf_counter) -> Speed:
    """Try 1, 2, 4, 8 … rows at the model's default size until more rows bring nothing, the time is up, or memory is.

    Raises ModelUnavailable where there is not the memory for one row.
    """
    try:
        condition = model.encode("", "")
        time_of(model, condition, 1, clock)  # the first forward ever also sets the device up
        started = clock()
        best = Speed(1, time_of(model, condition, 1, clock))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
        card = model.card
        raise ModelUnavailable(
            f"the model {card.name!r} is loaded, but no row of {card.width} x {card.height} pixels fits into the memory of {card.device} "
            "beside it: free some, serve fewer models (MAXWELL_MODELS), or choose another device (MAXWELL_DEVICE)"
        ) from error
    rows = 2
    while rows <= LARGEST and clock() - started < BUDGET_SECONDS:
        try:
            tried = Speed(rows, time_of(model, condition, rows, clock) / rows)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            return best
        if tried.seconds_per_row * ENOUGH > best.seconds_per_row and rows > 8:
            break
        best = min(best, tried, key=lambda speed: speed.seconds_per_row)
        rows *= 2
    return Speed(max(best.rows, 8), best.seconds_per_row)


def time_of(model: Model, condition: Condition, rows: int, clock: Callable[[], float]) -> float:
    """Seconds of one unguided forward of so many rows."""
    card = model.card
    x = torch.zeros(rows, *model.latent_shape(card.width, card.height), dtype=torch.float64)
    sigma, unguided = torch.ones(rows, dtype=torch.float64), torch.ones(rows, dtype=torch.float64)
    started = clock()
    model.denoise(x, sigma, [condition] * rows, unguided, "denoiser")
    return clock() - started
