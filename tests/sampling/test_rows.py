"""What each method asks of network, decoder and judge, counted: `fast` pays K + 1 network rows a guided step and no more."""

from dataclasses import replace

import pytest
from torch import Tensor

from workers.sampling import Params
from workers.sampling.demon import guided
from workers.sampling.schedules import karras

from .world import World, mixture, scoring

SHAPE, K, T = (1, 2, 3), 5, 12
MODEL = mixture(SHAPE, [0.2, 0.8], [0.3, 0.6])
P = Params(karras(T, 0.02, 20.0), SHAPE, seed=1, candidates=K)
G = sum(guided(i, P) for i in range(T))  # guided steps
L = T - G  # steps of the ODE's tail


def brightness(x: Tensor) -> Tensor:
    return x.flatten(1).sum(1)


def run(method: str, p: Params) -> World:
    world = World(MODEL.denoise, scoring(brightness))
    world.run(method, p)
    return world


def test_the_example_has_both_parts() -> None:
    assert (G, L) == (7, 5)


def test_the_asks_of_a_fast_step_in_order() -> None:
    candidates = [("denoiser", K), ("decode", K), ("candidates", K)]
    fast = run("demon", P).asks
    assert fast[: 1 + 2 * 4] == [("denoiser", 1), *candidates, ("denoiser", 1), *candidates, ("denoiser", 1)]
    checked = run("demon", replace(P, check="score")).asks
    assert checked[:7] == [("denoiser", 1), *candidates, ("denoiser", 1), ("decode", 1), ("check", 1)]
    chosen = run("demon", replace(P, check="choice")).asks
    assert chosen[:7] == [("denoiser", 1), *candidates, ("denoiser", 1), ("decode", 1), ("check", 2)]


@pytest.mark.parametrize(
    ("settings", "rows"),
    [
        # One row to begin with, K + 1 a step; the tail's first x0 is known, its last step needs one slope only.
        ({}, 1 + G * (K + 1) + 2 * (L - 1)),
        ({"check": "score"}, 1 + G * (K + 1) + 2 * (L - 1)),
        ({"weights": "rank", "solver": "dpmpp_2m"}, 1 + G * (K + 1) + (L - 1)),
        # A leap for each candidate; each step begins with D(x; sigma), so that z* needs none.
        ({"lookahead": "consistency"}, G * (1 + K) + 2 * L - 1),
        ({"lookahead": "consistency", "check": "score"}, G * (1 + K + 1) + 2 * L - 1),
        # Heun's corrector and the preview for each candidate, both once more for z*.
        ({"preset": "paper"}, 1 + G * (2 * K + 2) + 2 * (L - 1)),
        # With its own look-ahead each step begins with D(x; sigma); z* is looked at only to be checked.
        ({"preset": "paper", "lookahead": "ode:3"}, G * (1 + K + 3 * K + 1) + 2 * L - 1),
        ({"preset": "paper", "lookahead": "ode:3", "check": "score"}, G * (1 + K + 3 * K + 1 + 3) + 2 * L - 1),
        ({"preset": "paper", "lookahead": "consistency"}, G * (1 + K + K + 1) + 2 * L - 1),
    ],
)
def test_demons_network_rows(settings: dict[str, object], rows: int) -> None:
    world = run("demon", replace(P, **settings))  # type: ignore[arg-type]
    assert world.network_rows == rows
    judged = sum(n for name, n in world.asks if name == "candidates")
    checks = sum(n for name, n in world.asks if name == "check")
    assert (judged, checks) == (G * K, G if settings.get("check") else 0)
    assert sum(n for name, n in world.asks if name == "decode") == judged + checks


def test_a_consistency_look_ahead_asks_the_consistency_network() -> None:
    asks = run("demon", replace(P, preset="paper", lookahead="consistency")).asks
    assert asks[:3] == [("denoiser", 1), ("denoiser", K), ("consistency", K)]


def test_a_step_that_steers_nothing_saves_the_row_of_z_star() -> None:
    world = World(MODEL.denoise)
    world.run("demon", P)
    assert world.network_rows == 1 + G * K + 2 * (L - 1)


def test_the_ode_and_best_of_n() -> None:
    assert run("pf_ode", P).asks == [("denoiser", 1)] * (2 * T - 1)
    assert run("pf_ode", replace(P, solver="dpmpp_2m")).asks == [("denoiser", 1)] * T
    assert run("best_of_n", P).asks == [("denoiser", K)] * (2 * T - 1) + [("decode", K), ("candidates", K)]
