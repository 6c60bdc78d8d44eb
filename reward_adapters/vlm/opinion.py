"""From a scale of pictures to an opinion about them: who is chosen, and why, in words for people. It knows no model."""

from collections.abc import Sequence
from dataclasses import dataclass

from ..base import REWARD
from .answer import Choice
from .showing import Showing

Scores = tuple[float | None, ...]


@dataclass(frozen=True)
class Opinion:
    """What came of all calls about different pictures, in their order."""

    scores: Scores
    measured: tuple[float, ...] | None
    rationale: str | None


def cut(measured: Sequence[float], count: int, close: float = 0.0) -> Scores:
    """+5 for the `count` highest, -5 for the others. Those that tie across the cut, at most `close` apart, get no opinion.

    As in `base.select`: where they are all that the others can be compared with, they get the other sign, and where all tie there is no
    opinion at all. `count` is at least 1 and below the number of pictures.
    """
    ordered = sorted(measured, reverse=True)
    last = ordered[count - 1]
    if last - ordered[count] > close:
        return tuple(REWARD if one >= last else -REWARD for one in measured)
    scores = [REWARD if one > last + close else -REWARD if one < last - close else None for one in measured]
    opinions = {score for score in scores if score is not None}
    tied = -opinions.pop() if len(opinions) == 1 else None
    return tuple(tied if score is None else score for score in scores)


def told(choice: Choice, showing: Showing, numbers: Sequence[int]) -> str | None:
    """The model's rationale, with the numbers of the pictures that its labels stand for."""
    if choice.rationale is None:
        return None
    by_number = sorted((numbers[k], label) for label, k in zip(showing.labels, showing.pictures, strict=True))
    labels = (f"{label} is {number}" for number, label in by_number)
    return f"{choice.rationale} ({', '.join(labels)})"
