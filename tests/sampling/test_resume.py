"""A run saved after any step, as bytes and a few numbers, goes on bit for bit as if it had never stopped."""

import json
from dataclasses import replace

import pytest
import torch
from safetensors import torch as safetensors
from torch import Tensor

from workers.sampling import METHODS, Params, State
from workers.sampling.schedules import karras

from .world import World, mixture, scoring

SHAPE = (2, 4, 4)
MODEL = mixture(SHAPE, [0.2, 0.8], [0.3, 0.6])
P = Params(karras(8, 0.02, 10.0), SHAPE, seed=2**63 + 5, candidates=3)
RUNS = {
    "fast": ("demon", P),
    "fast, checked, ranks": ("demon", replace(P, check="score", weights="rank")),
    "fast, chosen": ("demon", replace(P, check="choice")),
    "fast, 2M tail": ("demon", replace(P, solver="dpmpp_2m", stop_sigma=2.0)),
    "paper": ("demon", replace(P, preset="paper", check="score")),
    "paper, ODE look-ahead": ("demon", replace(P, preset="paper", lookahead="ode:3", weights="boltzmann")),
    "Heun": ("pf_ode", P),
    "2M": ("pf_ode", replace(P, solver="dpmpp_2m")),
    "best of n": ("best_of_n", P),
    "best of n, 2M": ("best_of_n", replace(P, solver="dpmpp_2m")),
}


def target(x: Tensor) -> Tensor:
    return -((x - 0.5) ** 2).flatten(1).sum(1)


def saved_and_restored(state: State) -> State:
    """What a checkpoint is: `tensors()` as safetensors bytes, `i` and `steered` as JSON; nothing else survives."""
    tensors = safetensors.load(safetensors.save(state.tensors()))
    numbers = json.loads(json.dumps({"i": state.i, "steered": state.steered}))
    return State(numbers["i"], tensors["x"], tensors.get("x0"), tensors.get("x0_before"), steered=numbers["steered"])


def same(one: State, other: State) -> bool:
    tensors, others = one.tensors(), other.tensors()
    return (one.i, one.steered, tensors.keys()) == (other.i, other.steered, others.keys()) and all(
        torch.equal(tensors[name], others[name]) for name in tensors
    )


@pytest.mark.parametrize("name", RUNS)
def test_every_boundary_is_a_place_to_stop(name: str) -> None:
    method, p = RUNS[name]
    straight = METHODS[method].start(p)
    while not METHODS[method].done(straight, p):
        resumed = World(MODEL.denoise, scoring(target)).step(method, saved_and_restored(straight), p)
        straight = World(MODEL.denoise, scoring(target)).step(method, straight, p)
        assert same(resumed, straight), f"step {straight.i}"
        assert repr(resumed.report) == repr(straight.report)
    whole = World(MODEL.denoise, scoring(target)).run(method, p)
    assert torch.equal(whole.x, straight.x)


def test_a_step_leaves_the_state_it_began_with_as_it_was() -> None:
    """So that a step which failed halfway can be run again."""
    state = METHODS["demon"].start(P)
    before = {name: tensor.clone() for name, tensor in state.tensors().items()}
    World(MODEL.denoise, scoring(target)).step("demon", state, P)
    assert all(torch.equal(before[name], tensor) for name, tensor in state.tensors().items())
