"""In 256 dimensions Demon raises the expected reward over the plain ODE and over best-of-n at no fewer network calls of theirs.

16 paired seeds (the same start noise), K = 8, T = 16; the ODE gets as many Heun steps, best-of-n as many runs, as it takes to
reach Demon's count of network rows or pass it. The differences' two-sided 99 % t interval (15 degrees of freedom: 2.947
standard errors) must lie above 0. Measured, mean ± half width, in units of the reward:

    preset, judge               network   linear reward                 quadratic reward
                                   rows   over the ODE   over best-of   over the ODE   over best-of
    fast, tanh, scoring             101   2.49 ± 0.52    2.08 ± 0.25    28.9 ± 5.0     23.3 ± 4.1     (n = 4)
    fast, ranks, check, scoring     101   2.43 ± 0.54    2.02 ± 0.28    28.5 ± 6.5     22.8 ± 4.4     (n = 4)
    fast, tanh, selecting ±5        101   1.99 ± 0.53    1.58 ± 0.26    25.6 ± 5.3     19.9 ± 4.4     (n = 4)
    paper, tanh, scoring            191   2.88 ± 0.39    2.37 ± 0.24    21.8 ± 5.8     13.9 ± 4.0     (n = 7)
    paper, tanh, selecting ±5       191   2.30 ± 0.39    1.79 ± 0.23    22.5 ± 5.4     14.6 ± 4.3     (n = 7)

The plain ODE's mean reward is 0.32 (linear) and -80 (quadratic).
"""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from workers.sampling import Params, Scores
from workers.sampling.noise import noise
from workers.sampling.schedules import karras

from .world import Reward, World, mixture, scoring, selecting

SHAPE = (4, 8, 8)
MODEL = mixture(SHAPE, [0.2, 0.3, 0.5], [0.5, 0.5, 0.5], spread=0.3)
SEEDS, T_99 = 16, 2.947
DIRECTION = noise(7, 0, 1, SHAPE)
TARGET = 0.5 * noise(7, 0, 2, SHAPE)
P = Params(karras(16, 0.02, 20.0), SHAPE, seed=0)
PAPER: dict[str, Any] = {"preset": "paper"}


def linear(x: Tensor) -> Tensor:
    """The coordinate along a random direction: over data its standard deviation is about 0.5."""
    along: Tensor = x.flatten(1) @ (DIRECTION / DIRECTION.norm()).flatten()
    return along


def quadratic(x: Tensor) -> Tensor:
    """Minus half the squared distance to a point the data does not favour."""
    return -((x - TARGET) ** 2).flatten(1).sum(1) / 2


def demon_ode_and_best_of_n(
    reward: Reward, judge: Callable[[Reward], Callable[[Tensor], Scores]], p: Params
) -> tuple[float, float, float]:
    """The three rewards of one seed, at equal network rows."""
    demon = World(MODEL.denoise, judge(reward))
    steered = demon.run("demon", p).x
    longer = replace(p, sigmas=karras(math.ceil((demon.network_rows + 1) / 2), 0.02, 20.0))
    ode = World(MODEL.denoise)
    plain = ode.run("pf_ode", longer).x
    several = World(MODEL.denoise, scoring(reward))  # exact rewards even where Demon sees selections only
    best = several.run("best_of_n", replace(p, candidates=math.ceil(demon.network_rows / (2 * p.steps - 1)))).x
    assert min(ode.network_rows, several.network_rows) >= demon.network_rows
    return float(reward(steered)), float(reward(plain)), float(reward(best))


def interval(differences: Tensor) -> tuple[float, float]:
    """Mean and half width of the 99 % t interval."""
    return float(differences.mean()), T_99 * float(differences.std()) / math.sqrt(len(differences))


@pytest.mark.parametrize("reward", [linear, quadratic])
@pytest.mark.parametrize(
    ("judge", "settings"),
    [
        (scoring, {}),
        (scoring, {"weights": "rank", "check": "score"}),
        (selecting, {}),
        (scoring, PAPER),
        (selecting, PAPER),
    ],
)
def test_demon_beats_the_ode_and_best_of_n(
    judge: Callable[[Reward], Callable[[Tensor], Scores]], settings: dict[str, Any], reward: Reward
) -> None:
    rewards = [demon_ode_and_best_of_n(reward, judge, replace(P, seed=seed, **settings)) for seed in range(SEEDS)]
    demon, ode, best = torch.tensor(rewards, dtype=torch.float64).unbind(1)
    for name, other in (("the ODE", ode), ("best of n", best)):
        mean, half_width = interval(demon - other)
        assert mean - half_width > 0, f"over {name}: {mean:.2f} ± {half_width:.2f}"
