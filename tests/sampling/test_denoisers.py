"""Epsilon, v and flow networks become one and the same denoiser, to 1e-9 in float64, at every noise level they know."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from workers.denoisers import Eps, Flow, Prediction, Timesteps, V, denoise, guided
from workers.sampling.noise import noise

from .world import mixture

SHAPE = (2, 3, 3)
MODEL = mixture(SHAPE, [0.2, 0.3, 0.5], [0.1, 0.4, 1.0])


def scaled_linear() -> Tensor:
    """Stable Diffusion's chain."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return (1 - betas).cumprod(0)


def cosine() -> Tensor:
    """Nichol and Dhariwal's chain, which ends at a far higher noise level."""
    t = torch.linspace(0, 1, 1001, dtype=torch.float64)
    level = torch.cos((t + 0.008) / 1.008 * torch.pi / 2) ** 2
    return (1 - (1 - level[1:] / level[:-1]).clamp(max=0.999)).cumprod(0)


def sigmas_of(alphas_cumprod: Tensor) -> Tensor:
    return ((1 - alphas_cumprod) / alphas_cumprod).sqrt()


def sigma_of_timestep(alphas_cumprod: Tensor) -> Callable[[Tensor], Tensor]:
    """The way back from a fractional time step: a network that is exact between two steps reads it just so."""
    table = sigmas_of(alphas_cumprod).log()

    def sigma(t: Tensor) -> Tensor:
        low = t.floor().long().clamp(max=len(table) - 2)
        return torch.lerp(table[low], table[low + 1], t - low).exp()

    return sigma


def exact_networks() -> dict[str, tuple[Prediction, Callable[[Tensor, Tensor], Tensor]]]:
    """Each wrapper with the network that is perfect for it: a function of (c_in · x, c_noise) and nothing else."""
    found: dict[str, tuple[Prediction, Callable[[Tensor, Tensor], Tensor]]] = {}
    for name, alphas in (("scaled linear", scaled_linear()), ("cosine", cosine())):
        sigma_at = sigma_of_timestep(alphas)

        def x_of(x_in: Tensor, sigma: Tensor) -> Tensor:
            return x_in * (1 + sigma.view(-1, 1, 1, 1) ** 2).sqrt()

        def eps(x_in: Tensor, t: Tensor, sigma_at: Callable[[Tensor], Tensor] = sigma_at) -> Tensor:
            return MODEL.eps(x_of(x_in, sigma_at(t)), sigma_at(t))

        def v(x_in: Tensor, t: Tensor, sigma_at: Callable[[Tensor], Tensor] = sigma_at) -> Tensor:
            return MODEL.v(x_of(x_in, sigma_at(t)), sigma_at(t))

        found[f"eps, {name}"] = Eps(Timesteps(alphas)), eps
        found[f"v, {name}"] = V(Timesteps(alphas)), v
    found["flow"] = Flow(time_scale=1000.0), lambda x_in, t: flow_field(x_in, t / 1000)
    return found


def flow_field(x_t: Tensor, t: Tensor) -> Tensor:
    """The rectified flow's own velocity E[z - x0 | x_t] on x_t = (1 - t)·x0 + t·z."""
    return MODEL.flow(x_t / (1 - t).view(-1, 1, 1, 1), t / (1 - t))


NETWORKS = exact_networks()


@pytest.mark.parametrize("name", NETWORKS)
@given(where=st.lists(st.floats(0, 1), min_size=1, max_size=5), seed=st.integers(0, 1000))
@settings(deadline=None)
def test_the_wrapped_network_is_the_exact_denoiser(name: str, where: list[float], seed: int) -> None:
    """Each row at a noise level of its own, log-uniform over the wrapper's whole range, both ends among them."""
    prediction, network = NETWORKS[name]
    share = torch.tensor(where, dtype=torch.float64)
    sigma = prediction.sigma_min ** (1 - share) * prediction.sigma_max**share
    x = MODEL.means[0] + sigma.view(-1, 1, 1, 1) * noise(seed, 0, 0, (len(where), *SHAPE))
    error = denoise(prediction, network, x, sigma) - MODEL.denoise(x, sigma)
    assert float(error.abs().max()) < 1e-9


def test_the_ranges_are_those_of_the_chains() -> None:
    alphas = scaled_linear()
    timesteps = Timesteps(alphas)
    assert timesteps.sigma_min == pytest.approx(float(sigmas_of(alphas)[0]))
    assert timesteps.sigma_max == pytest.approx(14.6146, abs=1e-4)
    assert Flow().sigma_max == pytest.approx(999)


def test_a_networks_answer_of_any_dtype_gives_float64_latents() -> None:
    x, sigma = noise(1, 0, 0, (2, *SHAPE)), torch.tensor([0.5, 2.0], dtype=torch.float64)
    answer = denoise(Flow(), lambda x_in, t: flow_field(x_in, t).half(), x, sigma)
    assert answer.dtype == torch.float64
    assert torch.allclose(answer, MODEL.denoise(x, sigma), atol=1e-2)


CHAINS = st.lists(st.floats(1e-4, 0.5), min_size=2, max_size=40).map(
    lambda betas: (1 - torch.tensor(betas, dtype=torch.float64)).cumprod(0)
)


@given(CHAINS)
@settings(deadline=None)
def test_the_table_is_exact_at_its_own_noise_levels(alphas: Tensor) -> None:
    t = Timesteps(alphas).at(sigmas_of(alphas))
    assert torch.allclose(t, torch.arange(len(alphas), dtype=torch.float64), rtol=0, atol=1e-9)


@given(CHAINS, st.lists(st.floats(1e-4, 1e6), min_size=2, max_size=20))
@settings(deadline=None)
def test_the_time_step_rises_with_the_noise_level_and_stays_in_the_chain(alphas: Tensor, levels: list[float]) -> None:
    t = Timesteps(alphas).at(torch.tensor(sorted(levels), dtype=torch.float64))
    assert bool((t.diff() >= 0).all())
    assert float(t.min()) >= 0
    assert float(t.max()) <= len(alphas) - 1


def test_guidance_has_one_scale_a_row() -> None:
    conditional, unconditional = noise(1, 0, 0, (3, *SHAPE)), noise(1, 0, 1, (3, *SHAPE))
    mixed = guided(conditional, unconditional, torch.tensor([1.0, 0.0, 2.5]))
    assert torch.allclose(mixed[0], conditional[0], rtol=0, atol=1e-15)
    assert torch.equal(mixed[1], unconditional[1])
    assert torch.allclose(mixed[2], 2.5 * conditional[2] - 1.5 * unconditional[2], rtol=0, atol=1e-14)


def test_guiding_the_answers_is_guiding_their_x0() -> None:
    """Which is why one function serves both."""
    x, sigma, scale = noise(2, 0, 0, (2, *SHAPE)), torch.tensor([0.3, 9.0]).double(), torch.tensor([4.0, 2.0])
    answers = [lambda x_in, t, k=k: noise(2, 1, k, (2, *SHAPE)) for k in (0, 1)]
    of_answers = denoise(Flow(), lambda x_in, t: guided(answers[0](x_in, t), answers[1](x_in, t), scale), x, sigma)
    of_x0 = guided(denoise(Flow(), answers[0], x, sigma), denoise(Flow(), answers[1], x, sigma), scale)
    assert torch.allclose(of_answers, of_x0, rtol=0, atol=1e-12)
