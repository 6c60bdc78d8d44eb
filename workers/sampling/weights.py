"""From the judge's scores to the weights b_k of the noises, and to the mixed noise z*. It knows no picture and no step.

A score is a float or None (no opinion); what is not finite counts as no opinion. No opinion has weight 0.
"""

import math

import torch
from torch import Tensor

from .asks import Scores
from .params import Weights


def known_scores(scores: Scores) -> list[float]:
    """The scores that say something."""
    return [score for score in scores if score is not None and math.isfinite(score)]


def informative(scores: Scores) -> bool:
    """Whether the scores prefer anything: at least two opinions, not all the same."""
    return len(set(known_scores(scores))) >= 2


def weigh(scores: Scores, kind: Weights, tau: float | None) -> Tensor:
    """b [K] float64 from informative scores. tau None: the standard deviation of this step's own scores.

    tanh, boltzmann: Yeh et al., the two Demons; rank: normal scores of the ranks, blind to the reward's scale and outliers.
    """
    assert informative(scores)
    opinions = torch.tensor([s is not None and math.isfinite(s) for s in scores])
    r = torch.tensor(known_scores(scores), dtype=torch.float64)
    spread = tau if tau is not None else float(r.std())
    by_kind = {"tanh": tanh_weights, "boltzmann": boltzmann_weights, "rank": rank_weights}
    b = torch.zeros(len(scores), dtype=torch.float64)
    b[opinions] = by_kind[kind](r, spread).nan_to_num()  # at the ends of float64 (1e308, 5e-324) the spread is inf or 0
    return b


def tanh_weights(r: Tensor, tau: float) -> Tensor:
    """b_k = tanh((r_k - mean) / tau): noise judged below the mean counts with its sign flipped."""
    return torch.tanh((r - r.mean()) / tau)


def boltzmann_weights(r: Tensor, tau: float) -> Tensor:
    """b_k = exp(r_k / tau) / sum_j exp(r_j / tau)."""
    return torch.softmax(r / tau, 0)


def rank_weights(r: Tensor, tau: float) -> Tensor:
    """b_k = the normal quantile of the rank, by Blom's (rank - 3/8) / (K + 1/4); ties share their mean rank; tau has no say."""
    below = (r[None] < r[:, None]).sum(1)
    same = (r[None] == r[:, None]).sum(1)
    rank = below + (same.double() + 1) / 2
    b: Tensor = torch.special.ndtri((rank - 0.375) / (len(r) + 0.25))
    return b


def mix(z: Tensor, b: Tensor) -> Tensor | None:
    """z* = sqrt(N) normalized(sum_k b_k z^(k)), [c, h, w] from z [K, c, h, w]; None where the noises cancel out.

    Only the weights' proportions count: a large tau makes all of them small.
    """
    largest = b.abs().max()
    if largest == 0:
        return None
    total = ((b / largest).view(-1, 1, 1, 1) * z).sum(0)
    norm = float(total.norm())
    if norm < 1e-12 * float(z.norm()) or not math.isfinite(norm):
        return None
    return total * (math.sqrt(total.numel()) / norm)
