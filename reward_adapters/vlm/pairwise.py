"""Pictures compared two by two, each pair in both orders, and their strengths from that. It knows no provider and nothing of a job."""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .answer import Choice
from .bradley_terry import Floats, strengths
from .opinion import Opinion, Scores, cut, told
from .parallel import together
from .showing import Gallery, Showing
from .votes import Put

CLOSE = 1e-6  # strengths (natural logarithms) that differ by less are the same, computed another way


@dataclass(frozen=True)
class Bout:
    """Two pictures, by their places, in both orders."""

    one: int
    other: int
    forth: Showing
    back: Showing


@dataclass(frozen=True)
class Outcome:
    """What was said of a bout."""

    bout: Bout
    forth: Choice
    back: Choice

    @property
    def winner(self) -> int | None:
        """Who was chosen in both orders; None, a tie, for everything else: a choice that follows the order is none."""
        said = {self.bout.forth.picture(self.forth.labels[0]), self.bout.back.picture(self.back.labels[0])}
        return said.pop() if len(said) == 1 else None


def schedule(count: int, rounds: int) -> list[tuple[int, int]]:
    """Pairs of `count` players, in each round all of them (but one, of an odd number), no pair twice: the circle method.

    One player stays, the others move on around a circle. All rounds, count - 1 or count if that is odd, are all pairs; two rounds
    already connect all players.
    """
    last = count + count % 2 - 1  # of an odd number, who meets this one rests
    pairs = []
    for turn in range(min(rounds, last)):
        pairs.append((last, turn))
        pairs += [((turn + k) % last, (turn - k) % last) for k in range(1, (last + 1) // 2)]
    return [pair for pair in pairs if max(pair) < count]


@dataclass(frozen=True)
class Pairs:
    """Calls about two pictures each, to choose `count` of all. `numbers` are the pictures', for people."""

    bouts: tuple[Bout, ...]
    count: int
    numbers: Sequence[int]

    @classmethod
    def about(cls, gallery: Gallery, seed: int, votes: int, rounds: int, count: int, numbers: Sequence[int]) -> "Pairs":
        """So many rounds, each pair as often as there are votes, drawn by the seed. Keeps the processor busy."""
        chance = random.Random(f"pairs {seed}")
        players = chance.sample(range(len(numbers)), len(numbers))
        met = [(players[one], players[other]) for one, other in schedule(len(numbers), rounds) for _ in range(votes)]

        def shown(first: int, second: int) -> Showing:
            return gallery.pair(chance.getrandbits(53), first, second)

        return cls(tuple(Bout(a, b, shown(a, b), shown(b, a)) for a, b in met), count, numbers)

    @property
    def showings(self) -> list[Showing]:
        """All that is asked."""
        return [showing for bout in self.bouts for showing in (bout.forth, bout.back)]

    async def opinion(self, put: Put) -> Opinion:
        """The `count` strongest are chosen; `measured` are the logarithms of the strengths.

        A bout counts only if both orders were answered, and half of the bouts have to: the others may fail, and are left out. A picture
        of which no bout came has no opinion, and the same share of the others is chosen. Raises the first JudgeError otherwise.
        """

        async def held(bout: Bout) -> Outcome:
            forth, back = await together([put(bout.forth, 1), put(bout.back, 1)], 2)
            assert forth is not None
            assert back is not None
            return Outcome(bout, forth, back)

        came = await together([held(bout) for bout in self.bouts], (len(self.bouts) + 1) // 2)
        outcomes = [one for one in came if one is not None]
        measured = tuple(float(one) for one in strengths(self._wins(outcomes)))
        compared = sorted({place for one in outcomes for place in (one.bout.one, one.bout.other)})
        return Opinion(self._scores(measured, compared), measured, self._summary(measured, compared, outcomes))

    def _wins(self, outcomes: Sequence[Outcome]) -> Floats:
        wins = np.zeros((len(self.numbers), len(self.numbers)))
        for outcome in outcomes:
            one, other = outcome.bout.one, outcome.bout.other
            won = 0.5 if outcome.winner is None else float(outcome.winner == one)
            wins[one, other] += won
            wins[other, one] += 1 - won
        return wins

    def _scores(self, measured: Sequence[float], compared: Sequence[int]) -> Scores:
        share = self.count * len(compared) / len(measured)
        chosen = min(max(1, round(share)), len(compared) - 1)
        scores = dict(zip(compared, cut([measured[place] for place in compared], chosen, CLOSE), strict=True))
        return tuple(scores.get(place) for place in range(len(measured)))

    def _summary(self, measured: Sequence[float], compared: Sequence[int], outcomes: Sequence[Outcome]) -> str:
        """The order with its strengths, and what was said of one pair: of the strongest that won, else of the first."""
        ordered = sorted(compared, key=lambda place: -measured[place])
        said = [f"by pairs, strongest first: {', '.join(f'{self.numbers[k]} ({measured[k]:+.2f})' for k in ordered)}"]
        if missing := [str(self.numbers[k]) for k in range(len(measured)) if k not in compared]:
            said.append(f"not compared: {', '.join(missing)}")
        won = [one for one in outcomes if one.winner is not None]
        example = max(won or outcomes[:1], key=lambda one: measured[one.bout.one if one.winner is None else one.winner])
        if reason := told(example.forth, example.bout.forth, self.numbers):
            said.append(f"for example {reason}")
        return "; ".join(said)
