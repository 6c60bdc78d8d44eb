"""A State as bytes and back: safetensors, no pickle. It knows no sampler and no Redis."""

import torch
from safetensors.torch import load, save

from .sampling import State

_NUMBERS = ("i", "steered")


def to_bytes(state: State) -> bytes:
    """All of a State but its report, which the audit trail holds."""
    numbers = {name: torch.tensor(getattr(state, name)) for name in _NUMBERS}
    # clone: two fields may be one tensor, and the format stores no tensor twice
    return save({name: tensor.clone() for name, tensor in (state.tensors() | numbers).items()})


def from_bytes(data: bytes) -> State:
    """The State, bit for bit."""
    tensors = load(data)
    return State(
        i=int(tensors["i"]),
        x=tensors["x"],
        x0=tensors.get("x0"),
        x0_before=tensors.get("x0_before"),
        steered=int(tensors["steered"]),
    )
