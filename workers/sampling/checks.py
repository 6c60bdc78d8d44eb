"""Whether z* is better than the best of what it was mixed from, asked of the judge. It knows pictures and scores; no noise level.

Not in the paper: nothing there says that the mixture is the better one.
"""

import math
from collections.abc import Awaitable, Callable

import torch
from torch import Tensor

from .asks import Judge
from .params import Check
from .weights import known_scores

Outcome = tuple[bool, float | None]  # whether z* is kept; the judge's score of it


async def by_score(star: Tensor, best: Tensor, best_score: float, star_first: bool) -> Outcome:
    """z* is scored by itself, and kept unless the best candidate's score is higher."""
    (score,) = await Judge(star, "check")
    return not known_scores([score]) or _worth(score) >= best_score, score


async def by_choice(star: Tensor, best: Tensor, best_score: float, star_first: bool) -> Outcome:
    """Both in one blind ask, z* first where `star_first`; z* is kept unless the best candidate is preferred."""
    pair = [star, best] if star_first else [best, star]
    scores = await Judge(torch.cat(pair), "check")
    score, other = scores if star_first else reversed(scores)
    return _worth(score) >= _worth(other), score


def _worth(score: float | None) -> float:
    """Of two, no opinion is neither chosen nor refused."""
    return score if score is not None and math.isfinite(score) else 0.0


CHECKS: dict[Check, Callable[[Tensor, Tensor, float, bool], Awaitable[Outcome]]] = {
    "score": by_score,
    "choice": by_choice,
}
