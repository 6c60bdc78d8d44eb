"""The same pictures asked about several times, each time in another order under other labels, and the votes counted.

It knows what a showing is; it knows no provider and nothing of a job.
"""

import random
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any

from .answer import Choice
from .opinion import Opinion, cut, told
from .parallel import together
from .showing import Gallery, Showing

Put = Callable[[Showing, int], Coroutine[Any, Any, Choice]]  # asks the model to choose so many of the pictures shown


def seeds(seed: int, count: int) -> list[int]:
    """Seeds for so many calls of one ask: the first is the ask's own, the others follow from it."""
    chance = random.Random(f"votes {seed}")
    return [seed, *(chance.getrandbits(53) for _ in range(count - 1))]


@dataclass(frozen=True)
class Votes:
    """Calls that each choose `count` of all pictures. `numbers` are the pictures', for people."""

    showings: tuple[Showing, ...]
    count: int
    numbers: Sequence[int]

    @classmethod
    def about(cls, gallery: Gallery, seed: int, votes: int, count: int, numbers: Sequence[int]) -> "Votes":
        """So many votes. Keeps the processor busy."""
        return cls(tuple(gallery.whole(one, count) for one in seeds(seed, votes)), count, numbers)

    async def opinion(self, put: Put) -> Opinion:
        """The `count` pictures with the most votes are chosen; `measured` is a picture's share of the votes, where there are several.

        More than half of the votes have to come; the others may fail, and are left out. Raises the first JudgeError otherwise.
        """

        async def vote(showing: Showing) -> tuple[Showing, Choice]:
            return showing, await put(showing, self.count)

        came = await together([vote(one) for one in self.showings], len(self.showings) // 2 + 1)
        votes = [one for one in came if one is not None]
        chosen = [[showing.picture(label) for label in choice.labels] for showing, choice in votes]
        counts = [sum(place in one for one in chosen) for place in range(len(self.numbers))]
        rationale = told(votes[0][1], votes[0][0], self.numbers)
        if len(self.showings) == 1:
            return Opinion(cut(counts, self.count), None, rationale)
        tally = ", ".join(f"{number} has {count}" for number, count in zip(self.numbers, counts, strict=True))
        counted = f"of {len(votes)} votes {tally}"
        shares = tuple(count / len(votes) for count in counts)
        return Opinion(cut(counts, self.count), shares, f"{rationale}; {counted}" if rationale else counted)
