"""The rubric that says which scenes suit which scenario (rubric.json), as numbers. It knows attributes, no picture and no network.

A convention, published so that it can be checked: not taste, and not what the people of a scenario were asked.
"""

import functools
import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path

from torch import Tensor

FILE = Path(__file__).with_name("rubric.json")
HELD_OUT_EVERY = 5  # of the combinations of attributes


@dataclass(frozen=True)
class Looks:
    """What the rubric sees of a scene: its style, its backdrop, how its things are arranged."""

    style: str
    backdrop: str
    arrangement: str


class Rubric:
    """Points of every look for every scenario; `all_looks` numbers the looks as `index` does."""

    def __init__(self, path: Path = FILE) -> None:
        data = json.loads(path.read_text())
        self._points = {name: scenario["points"] for name, scenario in data["scenarios"].items()}
        self.scenarios: tuple[str, ...] = tuple(self._points)
        self.texts: dict[str, list[str]] = {name: one["texts"] for name, one in data["scenarios"].items()}
        self.held_out_texts: dict[str, list[str]] = {n: one["held_out_texts"] for n, one in data["scenarios"].items()}
        self._attributes: dict[str, list[str]] = data["attributes"]
        self.all_looks = [Looks(*values) for values in product(*self._attributes.values())]
        self.index = {looks: number for number, looks in enumerate(self.all_looks)}

    def score(self, scenario: str, looks: Looks) -> int:
        """Points of a look, -6..6."""
        points = self._points[scenario]
        return int(sum(points[name][value] for name, value in vars(looks).items()))

    def table(self) -> list[list[int]]:
        """Points of all looks: [looks][scenarios]."""
        return [[self.score(scenario, looks) for scenario in self.scenarios] for looks in self.all_looks]

    def held_out(self, looks: Looks) -> bool:
        """Whether the network never learns this combination, so that it shows whether the parts were understood.

        A fifth of them, spread so that every single value, and every two values together, are learnt in others.
        """
        places = (self._attributes[name].index(value) for name, value in vars(looks).items())
        return sum(places) % HELD_OUT_EVERY == 0


@functools.cache
def rubric() -> Rubric:
    """The published one, read once."""
    return Rubric()


def unseen(concept: Tensor) -> Tensor:
    """Which concepts' pictures never teach the rubric, so that it is measured on things that it was not taught with."""
    return concept % 8 == 1
