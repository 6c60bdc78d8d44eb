"""Batching as a pure function: waiting asks in, the next forward and the new waiting line out. It touches no tensor.

Rules. One forward has one key. The ask that waits longest chooses it. Jobs take turns: each adds the rows of one ask before
any adds a second one, as far as the budget goes, so an ask may be spread over several forwards. A job's place in the line is
its oldest ask's: once that one is served the job goes to the end, and its other asks come before the rest of the one begun.
Hence the oldest ask of a job, with n jobs before it, has rows in one of the next n + 1 forwards. Asks that give way are as if
they were not there: they get what the others leave of a forward, or forwards of their own where nobody else waits.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import Literal


@dataclass(frozen=True)
class Key:
    """What rows must have in common to share a forward. `network` is denoiser or consistency; full or preview for decoders."""

    kind: Literal["denoise", "decode"]
    model: str
    shape: tuple[int, ...]
    network: str


@dataclass(frozen=True)
class Waiting:
    """An ask with `rows` rows left to compute, each of which costs `cost` rows of the budget (2 where guidance doubles it)."""

    ask: int
    job: str
    key: Key
    rows: int
    cost: int = 1
    gives_way: bool = False


@dataclass(frozen=True)
class Share:
    """The next `rows` rows of an ask."""

    ask: int
    rows: int


@dataclass(frozen=True)
class Batch:
    """One forward: the shares of its asks, in order."""

    key: Key
    shares: tuple[Share, ...]


def plan(line: Sequence[Waiting], budget: Callable[[Key], int]) -> tuple[Batch, list[Waiting]]:
    """The next forward for a line (not empty, longest waiting first), and the line behind it.

    `budget(key)` is the number of rows that a forward of that key may cost, at least the cost of one row.
    """
    first = [waiting for waiting in line if not waiting.gives_way]
    then = [waiting for waiting in line if waiting.gives_way]
    key = (first or then)[0].key
    left = budget(key)
    taken: dict[int, int] = {}
    for asks in (first, then):
        for one in _in_turns([waiting for waiting in asks if waiting.key == key]):
            rows = min(one.rows, left // one.cost)
            if rows == 0:
                break
            taken[one.ask] = rows
            left -= rows * one.cost
    assert taken, f"a budget of {budget(key)} rows holds no row of {key}"
    batch = Batch(key, tuple(Share(ask, rows) for ask, rows in taken.items()))
    return batch, _behind(first, taken) + _behind(then, taken)


def _in_turns(line: Sequence[Waiting]) -> Iterator[Waiting]:
    """The first ask of each job, then the second ones, …"""
    jobs: dict[str, list[Waiting]] = {}
    for one in line:
        jobs.setdefault(one.job, []).append(one)
    for turn in zip_longest(*jobs.values()):
        yield from (one for one in turn if one is not None)


def _behind(line: Sequence[Waiting], taken: dict[int, int]) -> list[Waiting]:
    """Jobs whose oldest ask got nothing, in their places; then what the others still wait for; then the rest of the asks begun."""
    oldest = {one.job: one.ask for one in reversed(line)}
    left = [replace(one, rows=one.rows - taken.get(one.ask, 0)) for one in line]
    left = [one for one in left if one.rows > 0]
    staying = [one for one in left if oldest[one.job] not in taken]
    going = [one for one in left if oldest[one.job] in taken]
    return staying + sorted(going, key=lambda one: one.ask in taken)
