"""Weights b_k and mixed noise z* equal examples worked by hand; no opinion weighs nothing; scale and offset do not matter."""

import math
from statistics import NormalDist

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from workers.sampling.noise import noises
from workers.sampling.params import Weights
from workers.sampling.weights import informative, mix, weigh

KINDS: list[Weights] = ["tanh", "boltzmann", "rank"]


def test_tanh_by_hand() -> None:
    """Scores 1, 2, -, 3, 6: mean 3; (r - mean) / 2 = -1, -0.5, 0, 1.5. No opinion weighs nothing."""
    b = weigh([1.0, 2.0, None, 3.0, 6.0], "tanh", 2.0)
    assert b.dtype == torch.float64
    assert b.tolist() == pytest.approx([-0.761594156, -0.462117157, 0, 0, 0.905148254])


def test_adaptive_tau_is_this_steps_standard_deviation() -> None:
    """Deviations -2, -1, 0, 3: variance (4 + 1 + 0 + 9) / 3, standard deviation 2.160247; tanh of -.92582, -.46291, 0, 1.38873."""
    b = weigh([1.0, 2.0, 3.0, 6.0], "tanh", None)
    assert b.tolist() == pytest.approx([-0.728636, -0.432445, 0, 0.882891], abs=1e-5)


def test_boltzmann_by_hand() -> None:
    """exp(r / 2) = 1.648721, 2.718282, 4.481689, 20.085537 for scores 1, 2, 3, 6: their sum is 28.934229."""
    b = weigh([1.0, 2.0, None, 3.0, 6.0], "boltzmann", 2.0)
    assert b.tolist() == pytest.approx([0.056981693, 0.093946924, 0, 0.154892288, 0.694179095])


def test_rank_by_hand() -> None:
    """Ranks 4, 1, 2, 3 of 4: quantiles (rank - 3/8) / 4.25 = .852941, .147059, .382353, .617647; tau and scale have no say."""
    expected = [1.049131, -1.049131, -0.299307, 0.299307]
    for tau in (None, 1e-3, 50.0):
        assert weigh([900.0, 1.0, 2.0, 3.0], "rank", tau).tolist() == pytest.approx(expected, abs=1e-6)


def test_equal_scores_share_their_mean_rank() -> None:
    """Ranks 1.5, 1.5, 3 of 3: quantiles 1.125 / 3.25 and 2.625 / 3.25."""
    low, high = NormalDist().inv_cdf(1.125 / 3.25), NormalDist().inv_cdf(2.625 / 3.25)
    assert weigh([1.0, 1.0, 2.0], "rank", None).tolist() == pytest.approx([low, low, high])


def test_the_better_half_of_a_selecting_judge() -> None:
    """+5 and -5 in equal numbers, K = 4: mean 0, standard deviation 10 / sqrt(3); tanh(sqrt(3) / 2) = 0.699349."""
    by_rank = NormalDist().inv_cdf((3.5 - 0.375) / 4.25)  # ranks 1.5 and 3.5
    expected: list[tuple[Weights, float]] = [("tanh", 0.699349), ("rank", by_rank)]
    for kind, weight in expected:
        b = weigh([5.0, -5.0, -5.0, 5.0], kind, None)
        assert b.tolist() == pytest.approx([weight, -weight, -weight, weight], abs=1e-6)


def test_mixed_noise_by_hand() -> None:
    """z1 - z2 = (3, -4, 0, 0) has length 5; N = 4, so z* = 2/5 of it."""
    z = torch.tensor([[3.0, 0, 0, 0], [0, 4.0, 0, 0]]).double().view(2, 1, 2, 2)
    z_star = mix(z, torch.tensor([1.0, -1.0]).double())
    assert z_star is not None
    assert z_star.flatten().tolist() == pytest.approx([1.2, -1.6, 0, 0])


def test_what_cancels_out_is_no_noise() -> None:
    z = noises(1, 0, 1, (1, 2, 2)).expand(2, 1, 2, 2)
    assert mix(z, torch.tensor([1.0, -1.0]).double()) is None
    assert mix(z, torch.tensor([0.0, 0.0]).double()) is None


@pytest.mark.parametrize("scale", [1e-300, 1e-100, 1e-10, 1.0, 1e100])
def test_only_the_weights_proportions_count(scale: float) -> None:
    """A large tau makes them all small: their mixture is the same."""
    z, b = noises(1, 0, 3, (1, 4, 4)), torch.tensor([1.0, -0.5, 0.25]).double()
    scaled, plain = mix(z, scale * b), mix(z, b)
    assert scaled is not None
    assert plain is not None
    assert torch.allclose(scaled, plain, rtol=1e-12)


def test_a_huge_tau_mixes_all_the_same() -> None:
    """tanh is the identity there: b is in proportion to the scores' deviations."""
    z, scores = noises(1, 0, 3, (1, 4, 4)), [1.0, 2.0, 6.0]
    z_star = mix(z, weigh(list(scores), "tanh", 1e14))
    expected = mix(z, torch.tensor([-2.0, -1.0, 3.0]).double())
    assert z_star is not None
    assert expected is not None
    assert torch.allclose(z_star, expected, rtol=0, atol=1e-6)


SCORES = st.lists(st.one_of(st.none(), st.floats(), st.sampled_from([5.0, -5.0])), min_size=1, max_size=9)


@given(SCORES, st.sampled_from(KINDS), st.one_of(st.none(), st.floats(1e-6, 1e6)))
@settings(deadline=None)
def test_any_scores_give_finite_weights_and_a_z_star_of_norm_sqrt_n(
    scores: list[float | None], kind: Weights, tau: float | None
) -> None:
    known = [score for score in scores if score is not None and math.isfinite(score)]
    assert informative(scores) == (len(set(known)) > 1)
    if not informative(scores):
        return
    b = weigh(scores, kind, tau)
    assert bool(b.isfinite().all())
    assert all(b[k] == 0 for k, score in enumerate(scores) if score is None or not math.isfinite(score))
    z_star = mix(noises(3, 1, len(scores), (2, 3, 5)), b)
    assert z_star is None or float(z_star.norm()) == pytest.approx(math.sqrt(30))


@given(
    st.lists(st.integers(-50, 50), min_size=2, max_size=9).filter(lambda r: len(set(r)) > 1),
    st.sampled_from(KINDS),
    st.integers(1, 1000),
    st.integers(-1000, 1000),
)
@settings(deadline=None)
def test_with_adaptive_tau_only_the_pattern_of_the_scores_matters(
    scores: list[int], kind: Weights, scale: int, offset: int
) -> None:
    b = weigh([float(r) for r in scores], kind, None)
    shifted = weigh([float(scale * r + offset) for r in scores], kind, None)
    assert torch.allclose(b, shifted, rtol=1e-9, atol=1e-9)
    order = torch.tensor(scores).argsort(stable=True)
    assert bool((b[order].diff() >= -1e-12).all()), "a better score never weighs less"
