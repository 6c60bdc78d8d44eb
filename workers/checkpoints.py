"""A State as bytes and back: safetensors, no pickle. It knows no sampler and no Redis."""

import torch
from safetensors.torch import load, save

from .sampling import State

_NUMBERS = ("i", "steered")


def to_bytes(state: State) -> bytes:
    """All of a State but its report, which the audit trail holds."""
    numbers = {name: torch.tensor(getattr(state, name)) for name in _NUMBERS}
    # The format stores no tensor twice, and two fields may be one; nor strides, and a network may answer in channels_last.
    packed = {name: tensor.clone(memory_format=torch.contiguous_format) for name, tensor in state.tensors().items()}
    return save(packed | numbers)


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
