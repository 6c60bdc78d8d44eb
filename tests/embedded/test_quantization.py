"""Promise: a weight read back from eight bits is off by at most half a step of its row, and a small tensor by nothing."""

from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import Tensor, nn

from embedded.quantization import SCALE, dequantize, fill, load, quantize

SEEDS = st.integers(0, 2**32 - 1)
UNTIMED = settings(deadline=None)
MAGNITUDES = st.floats(-6, 6).map(lambda exponent: 10.0**exponent)


def weights(seed: int, *shape: int, magnitude: float = 1.0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * magnitude


@UNTIMED
@given(SEEDS, MAGNITUDES, st.sampled_from([(3, 2000), (64, 65), (5, 9, 10, 11), (4097, 1)]))
def test_error_is_at_most_half_a_step_of_the_row(seed: int, magnitude: float, shape: tuple[int, ...]) -> None:
    w = weights(seed, *shape, magnitude=magnitude)
    stored = quantize({"w": w})
    read = dequantize(stored)["w"]
    assert stored["w"].dtype == torch.int8
    assert read.shape == w.shape
    assert read.dtype == torch.float32
    rows, error = w.flatten(1), (read - w).flatten(1).abs().amax(1)
    half_a_step = rows.abs().amax(1).clamp_min(1e-8) / 127 / 2  # a row of zeros has a step too
    assert torch.all(error <= half_a_step * 1.0001)  # float32 rounds too


@UNTIMED
@given(SEEDS, MAGNITUDES)
def test_one_large_row_does_not_coarsen_the_others(seed: int, magnitude: float) -> None:
    w = weights(seed, 8, 1000)
    loud = w.clone()
    loud[0] *= 1 + magnitude
    assert torch.equal(dequantize(quantize({"w": loud}))["w"][1:], dequantize(quantize({"w": w}))["w"][1:])


@UNTIMED
@given(SEEDS)
def test_reading_back_and_storing_again_changes_nothing(seed: int) -> None:
    once = quantize({"w": weights(seed, 16, 300)})
    twice = quantize(dequantize(once))
    assert torch.equal(once["w"], twice["w"])
    torch.testing.assert_close(once["w" + SCALE], twice["w" + SCALE], rtol=1e-6, atol=0)


def test_a_worked_row() -> None:
    row = torch.zeros(5000)
    row[:5] = torch.tensor([127.0, -127.0, 63.6, -0.4, 0.6])
    stored = quantize({"w": row[None]})
    assert stored["w"][0, :5].tolist() == [127, -127, 64, 0, 1]
    assert stored["w" + SCALE].tolist() == [1.0]


def test_zero_rows_stay_zero() -> None:
    assert torch.equal(dequantize(quantize({"w": torch.zeros(2, 4000)}))["w"], torch.zeros(2, 4000))


@UNTIMED
@given(SEEDS, st.sampled_from([(4096,), (64, 64), (1, 4096), ()]))
def test_small_tensors_stay_exact(seed: int, shape: tuple[int, ...]) -> None:
    w = weights(seed, *shape)
    stored = quantize({"w": w})
    assert set(stored) == {"w"}
    assert torch.equal(dequantize(stored)["w"], w)


@UNTIMED
@given(SEEDS)
def test_long_vectors_are_halves(seed: int) -> None:
    w = weights(seed, 5000)
    assert torch.equal(dequantize(quantize({"w": w}))["w"], w.half().float())


def test_a_folder_of_several_files_is_one_state_dict(tmp_path: Path) -> None:
    whole = {"a": weights(1, 10, 500), "b": weights(2, 7), "c": weights(3, 100, 50)}
    stored = quantize(whole)
    names = sorted(stored)
    save_file({name: stored[name] for name in names[:2]}, tmp_path / "1.safetensors")
    save_file({name: stored[name] for name in names[2:]}, tmp_path / "2.safetensors")
    read, expected = load(tmp_path), dequantize(stored)
    assert set(read) == set(whole)
    assert all(torch.equal(read[name], expected[name]) for name in whole)


def test_an_empty_folder_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=str(tmp_path)):
        load(tmp_path)


def test_a_file_that_is_cut_off_is_named_with_what_to_do(tmp_path: Path) -> None:
    path = tmp_path / "int8.safetensors"
    save_file(quantize({"w": weights(1, 100, 100)}), path)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(RuntimeError, match=rf"{path} is cut off or damaged .*git checkout"):
        load(tmp_path)


def test_weights_of_which_a_file_is_missing_are_refused_in_a_sentence(tmp_path: Path) -> None:
    save_file({"weight": weights(1, 3, 5)}, tmp_path / "1-of-2.safetensors")
    with pytest.raises(RuntimeError, match=rf"{tmp_path} are not the weights .*1 tensors are missing, 0 unknown"):
        fill(nn.Linear(5, 3), tmp_path)


def test_a_network_is_filled_with_its_weights(tmp_path: Path) -> None:
    network, other = nn.Linear(5, 3), nn.Linear(5, 3)
    save_file(dict(network.state_dict()), tmp_path / "all.safetensors")
    fill(other, tmp_path)
    assert torch.equal(other.weight, network.weight)
    assert torch.equal(other.bias, network.bias)
