"""One forward: the rows of several asks through one model, and each ask's part of the answer. It knows no queue and no thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import cast

import torch
from torch import Tensor

from contracts.errors import OutOfMemory, WorkerError

from .binding import Binding
from .device_errors import out_of_memory
from .models.base import Network
from .plan import Key, Waiting
from .sampling import Decode, Denoise

Compute = Callable[[slice], Tensor]


@dataclass(eq=False)
class Pending:
    """An ask on its way through the engine: `rows` of it in all, answered from the first one on, perhaps in several forwards."""

    binding: Binding
    ask: Denoise | Decode
    answers: list[Tensor] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.rows == 0 or (isinstance(self.ask, Denoise) and self.ask.sigma.shape != (self.rows,)):
            raise ValueError(
                f"{type(self.ask).__name__} needs one row or more, and one sigma a row: got {tuple(self.x.shape)}"
            )

    @property
    def x(self) -> Tensor:
        """The rows: noisy latents to denoise, or clean ones to decode."""
        return self.ask.x if isinstance(self.ask, Denoise) else self.ask.x0

    @property
    def rows(self) -> int:
        return len(self.x)

    @property
    def answered(self) -> int:
        """Rows that have their answer."""
        return sum(len(answer) for answer in self.answers)

    @property
    def guidance(self) -> float:
        """Its scale; 1 where there is nothing to guide: a decoder, and a consistency network, which has its scale built in."""
        led = isinstance(self.ask, Denoise) and self.ask.network == "denoiser"
        return self.binding.guidance if led else 1.0

    @property
    def cost(self) -> int:
        """Network rows one row takes."""
        return 1 if self.guidance == 1.0 else 2

    def waiting(self, number: int) -> Waiting:
        """The ask's place in the line, under a number of the engine's."""
        name, shape = self.binding.model.card.name, tuple(self.x.shape[1:])
        if isinstance(self.ask, Denoise):
            key = Key("denoise", name, shape, self.ask.network)
        else:
            key = Key("decode", name, shape, "preview" if self.ask.preview else "full")
        return Waiting(number, self.binding.job, key, self.rows, self.cost)

    def charge(self, rows: int, seconds: float) -> None:
        """Put rows of a forward, and their share of its seconds, on the job's meter."""
        meter = self.binding.meter
        if isinstance(self.ask, Denoise):
            meter.network_rows += rows * self.cost
            meter.denoise_seconds += seconds
        else:
            meter.decoded_pictures += rows
            meter.decode_seconds += seconds


def compute(key: Key, shares: Sequence[tuple[Pending, int]]) -> tuple[list[Tensor | WorkerError], bool]:
    """The next rows of each ask through their model: one answer a share, or what it failed of; and whether it had to be halved.

    Out of memory halves the forward once; a half that fails again fails the asks that have rows in it. So do numbers that are
    not finite, theirs alone. Any other exception of the model goes up.
    """
    run = _computation(key, shares)
    total = sum(rows for _, rows in shares)
    outcomes = _attempt(run, 0, total)
    halved = isinstance(outcomes[0], OutOfMemory) and total > 1
    if halved:
        outcomes = _attempt(run, 0, total // 2) + _attempt(run, total // 2, total)
    answers = iter(outcomes)
    return [_joined(key, list(islice(answers, rows))) for _, rows in shares], halved


def _computation(key: Key, shares: Sequence[tuple[Pending, int]]) -> Compute:
    """The forward as a function of which of its rows to compute."""
    model = shares[0][0].binding.model
    spans = [(pending, slice(pending.answered, pending.answered + rows)) for pending, rows in shares]
    x = torch.cat([pending.x[span] for pending, span in spans])
    if key.kind == "decode":
        return lambda rows: model.decode(x[rows], key.network == "preview")
    sigma = torch.cat([cast(Denoise, pending.ask).sigma[span] for pending, span in spans])
    conditions = [pending.binding.condition for pending, rows in shares for _ in range(rows)]
    guidance = torch.tensor([pending.guidance for pending, rows in shares for _ in range(rows)], dtype=torch.float64)
    network = cast(Network, key.network)
    return lambda rows: model.denoise(x[rows], sigma[rows], conditions[rows], guidance[rows], network)


def _attempt(run: Compute, start: int, stop: int) -> list[Tensor | OutOfMemory]:
    """One outcome a row. The failure is made anew, for the caught one holds the forward's frames and so its tensors."""
    try:
        return list(run(slice(start, stop)))
    except (RuntimeError, MemoryError) as error:
        if not out_of_memory(error):
            raise
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    failure = OutOfMemory(
        f"the device ran out of memory with {stop - start} rows in one forward: "
        "ask for a smaller picture, or give the worker a smaller row budget or more memory"
    )
    return [failure] * (stop - start)


def _joined(key: Key, outcomes: Sequence[Tensor | OutOfMemory]) -> Tensor | WorkerError:
    """The rows of one share: all of them or the failure of one."""
    rows: list[Tensor] = []
    for outcome in outcomes:
        if isinstance(outcome, OutOfMemory):
            return outcome
        rows.append(outcome)
    answer = torch.stack(rows)
    if not bool(answer.isfinite().all()):
        return WorkerError(
            f"the model {key.model!r} answered in a {key.kind} forward with numbers that are not finite (NaN or infinity): "
            "ask for less guidance, or give the worker sound weights in a precision that they bear"
        )
    return answer
