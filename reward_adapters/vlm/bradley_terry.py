"""Strengths from comparisons in pairs: the Bradley-Terry model in float64. It knows no picture and no model that judges.

R. A. Bradley, M. E. Terry, "Rank analysis of incomplete block designs", Biometrika 39 (1952): i beats j with p_ij = s_i / (s_i + s_j).
A tie is half a win for each; a model of ties (Davidson 1970) has one more parameter to estimate, and each ask has few comparisons.
"""

import numpy as np
from numpy.typing import NDArray

DRAWS = 0.5  # games that each drew with all others together, before any was played: so strengths are finite, and none is unconnected
SETTLED = 1e-12
MOST_STEPS = 200  # 23 were the most for 64 in a fixed order

Floats = NDArray[np.float64]


def strengths(wins: Floats, draws: float = DRAWS) -> Floats:
    """Natural logarithms of the strengths, their mean 0, for wins[i, j] of i over j (with halves for ties): [n, n], n >= 2.

    The maximum of the likelihood with `draws` as above; it is one alone, for the likelihood is strictly concave then. Of two with one
    game it is +-ln((2 + draws) / draws) / 2. Found by Newton's method, no step longer than 1: Hunter's MM (Annals of Statistics 32,
    2004) finds the same, in a thousand times as many steps where many are in a clear order.
    """
    count = len(wins)
    won = wins + draws / 2 / (count - 1) * (1 - np.eye(count))
    games = won + won.T
    logs: Floats = np.zeros(count)
    for _ in range(MOST_STEPS):
        beats = 1 / (1 + np.exp(logs[None, :] - logs[:, None]))
        slope = won.sum(1) - (games * beats).sum(1)
        curve = games * beats * beats.T
        # The same added to all logarithms changes nothing: 1 / n everywhere makes the matrix regular and keeps their mean.
        step = np.linalg.solve(np.diag(curve.sum(1)) - curve + 1 / count, slope)
        longest = float(np.abs(step).max())
        logs = logs + step / max(1.0, longest)
        if longest < SETTLED:
            break
    centred: Floats = logs - logs.mean()
    return centred
