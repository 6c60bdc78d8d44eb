"""Noise is a pure function of (seed, step, candidate): Philox-4x32-10's published answers, normal moments, unrelated streams."""

import math
from itertools import combinations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from workers.sampling.noise import noise, noises, philox, start_noise

# Random123's kat_vectors for philox4x32-10: counter, key, answer.
KNOWN_ANSWERS = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(text: str) -> list[int]:
    return [int(word, 16) for word in text.split()]


@pytest.mark.parametrize(("counter", "key", "answer"), KNOWN_ANSWERS)
def test_philox_gives_the_published_answers(counter: str, key: str, answer: str) -> None:
    low, high = words(key)
    assert philox(torch.tensor([words(counter)]), (low, high)).tolist() == [words(answer)]


def test_counters_in_one_tensor_do_not_touch_each_other() -> None:
    together = philox(torch.tensor([words(counter) for counter, _, _ in KNOWN_ANSWERS]), (0, 0))
    alone = [philox(torch.tensor([words(counter)]), (0, 0))[0] for counter, _, _ in KNOWN_ANSWERS]
    assert torch.equal(together, torch.stack(alone))


def test_the_numbers_are_standard_normal() -> None:
    """Four moments within 4 standard errors (sqrt of 1, 2, 6 and 24 over n), and the whole distribution by Kolmogorov-Smirnov."""
    n = 100_000
    z = noise(11, 3, 2, (n,))
    for power, expected, variance in ((1, 0, 1), (2, 1, 2), (3, 0, 15), (4, 3, 96)):
        assert abs(float((z**power).mean()) - expected) < 4 * math.sqrt(variance / n), f"moment {power}"
    assert kstest(z.numpy(), "norm").pvalue > 0.01


def test_streams_of_other_seeds_steps_and_candidates_are_unrelated() -> None:
    """Correlations of n numbers have the standard error 1 / sqrt(n); seeds that differ in the high word only count too."""
    n = 20_000
    streams = [noise(5, 0, 0, (n,)), noise(5, 0, 1, (n,)), noise(5, 1, 0, (n,)), noise(6, 0, 0, (n,))]
    streams += [noise(5 + 2**32, 0, 0, (n,)), start_noise(5, 1, (n,))[0]]
    for one, other in combinations(streams, 2):
        assert abs(float((one * other).mean())) < 4.5 / math.sqrt(n)
        assert abs(float((one**2 * other**2).mean()) - 1) < 4.5 * math.sqrt(8 / n)


@given(
    seed=st.integers(0, 2**64 - 1),
    step=st.integers(0, 256),
    candidates=st.integers(1, 5),
    shape=st.tuples(*[st.integers(1, 5)] * 3),
)
@settings(deadline=None)
def test_a_candidate_has_the_same_noise_in_any_company(
    seed: int, step: int, candidates: int, shape: tuple[int, int, int]
) -> None:
    together = noises(seed, step, candidates, shape)
    assert together.dtype == torch.float64
    assert together.shape == (candidates, *shape)
    for k in range(candidates):
        assert torch.equal(together[k], noise(seed, step, k, shape))


def test_all_methods_start_from_the_same_noise() -> None:
    assert torch.equal(start_noise(9, 1, (3, 4, 4))[0], start_noise(9, 8, (3, 4, 4))[0])


def test_in_high_dimension_noise_lies_near_the_sphere_of_radius_sqrt_n() -> None:
    """Yeh et al., Lemma 5: |z| = sqrt(N) + O(1); its standard deviation tends to sqrt(1/2)."""
    n = 4096
    lengths = noises(1, 0, 200, (n,)).norm(dim=1) - math.sqrt(n)
    assert abs(float(lengths.mean())) < 4 * math.sqrt(0.5 / 200)
    assert float(lengths.abs().max()) < 4
