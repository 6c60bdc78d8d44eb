"""A State goes into bytes and comes out bit for bit, whatever numbers it holds."""

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from workers.checkpoints import from_bytes, to_bytes
from workers.sampling import State

numbers = st.floats(allow_nan=True, allow_infinity=True, width=64) | st.sampled_from([0.0, -0.0, 5e-324])


@st.composite
def tensors(draw: st.DrawFn) -> Tensor:
    """Latents of one to three rows."""
    shape = draw(st.tuples(*[st.integers(1, 3)] * 4))
    count = shape[0] * shape[1] * shape[2] * shape[3]
    return torch.tensor(draw(st.lists(numbers, min_size=count, max_size=count)), dtype=torch.float64).view(shape)


states = st.builds(
    State,
    i=st.integers(0, 256),
    x=tensors(),
    x0=st.none() | tensors(),
    x0_before=st.none() | tensors(),
    steered=st.integers(0, 256),
)


def bits(state: State) -> tuple[int, int, dict[str, tuple[tuple[int, ...], list[int]]]]:
    """All of it, as whole numbers, among which NaN equals itself and 0 is not -0."""
    named = {
        name: (tuple(one.shape), one.clone().view(torch.int64).flatten().tolist())
        for name, one in state.tensors().items()
    }
    return state.i, state.steered, named


@given(states)
def test_every_bit_comes_back(state: State) -> None:
    assert bits(from_bytes(to_bytes(state))) == bits(state)


@given(tensors())
def test_one_tensor_in_two_places_and_strided_ones_are_no_matter(x: Tensor) -> None:
    """A network in channels_last answers with such strides."""
    strided = x.transpose(1, 3)
    packed = State(1, strided.contiguous(), strided.contiguous(), x)
    assert bits(from_bytes(to_bytes(State(1, strided, strided, x)))) == bits(packed)


def test_what_the_engines_thread_made_can_be_saved_elsewhere() -> None:
    with torch.inference_mode():
        state = State(3, torch.ones(1, 2, 2, 2, dtype=torch.float64))
    restored = from_bytes(to_bytes(state))
    assert bits(restored) == bits(state)
    assert not restored.x.is_inference()
