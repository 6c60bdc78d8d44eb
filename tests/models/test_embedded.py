"""The shipped model draws what is asked for, and a row's answer depends on nothing but the row."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from contracts.errors import ModelUnavailable, RequestRefused
from workers.models.embedded import load_embedded
from workers.models.latent_diffusion import LatentDiffusion
from workers.sampling import METHODS, Ask, Denoise, Params, drive
from workers.sampling.noise import noise
from workers.sampling.schedules import karras
from workers.sampling.solvers import ode_to_end

SHAPE = (4, 32, 32)


@pytest.fixture(scope="module")
def model() -> LatentDiffusion:
    with pytest.MonkeyPatch.context() as patch:  # the module's only model is loaded before a function's fixtures apply
        patch.setattr(torch.cpu, "get_capabilities", dict)
        return load_embedded("embedded", "cpu")


@pytest.fixture(autouse=True)
def no_gradients() -> Any:
    with torch.inference_mode():
        yield


def rows(count: int, sigma: float) -> tuple[Tensor, Tensor]:
    """Pure noise at one level."""
    x = torch.stack([sigma * noise(5, 0, k, SHAPE) for k in range(count)])
    return x, torch.full((count,), sigma, dtype=torch.float64)


def test_a_row_depends_on_nothing_but_itself(model: LatentDiffusion) -> None:
    apple, cat = model.encode("a red apple", ""), model.encode("a cat", "blurry")
    (x, _), sigma = rows(3, 5.0), torch.tensor([5.0, 0.5, 40.0], dtype=torch.float64)
    scales = torch.tensor([3.0, 1.0, 2.0], dtype=torch.float64)
    conditions = [apple, apple, cat]
    together = model.denoise(x, sigma, conditions, scales, "denoiser")
    for k in range(3):
        alone = model.denoise(x[k : k + 1], sigma[k : k + 1], conditions[k : k + 1], scales[k : k + 1], "denoiser")
        torch.testing.assert_close(together[k : k + 1], alone, atol=1e-4, rtol=1e-4)


def test_of_pure_noise_it_makes_the_mean_of_the_prompts_pictures(model: LatentDiffusion) -> None:
    """At the highest level x says next to nothing, so four noises give nearly one answer: E[x0 | prompt]."""
    x, sigma = rows(4, model.card.sigma_max)
    x0 = model.denoise(x, sigma, [model.encode("a red apple", "")] * 4, torch.ones(4, dtype=torch.float64), "denoiser")
    own = (x0 - x0.mean(0)).pow(2).mean()
    assert own < x0.pow(2).mean() / 6


def test_guidance_leads_away_from_the_negative_prompt_by_its_formula(model: LatentDiffusion) -> None:
    both, prompt, negative = (model.encode(*texts) for texts in (("a cat", "a dog"), ("a cat", ""), ("a dog", "")))
    x, sigma = rows(1, 8.0)
    one, three = torch.ones(1, dtype=torch.float64), torch.full((1,), 3.0, dtype=torch.float64)
    towards = model.denoise(x, sigma, [prompt], one, "denoiser")
    away = model.denoise(x, sigma, [negative], one, "denoiser")
    guided = model.denoise(x, sigma, [both], three, "denoiser")
    torch.testing.assert_close(guided, away + 3 * (towards - away), atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("prompt", "channel"), [("a red apple", 0), ("a green apple", 1), ("a blue car", 2)])
def test_it_draws_the_colour_that_is_asked_for(model: LatentDiffusion, prompt: str, channel: int) -> None:
    condition = model.encode(prompt, "")

    def answer(ask: Ask[Any]) -> Tensor:
        assert isinstance(ask, Denoise)
        return model.denoise(ask.x, ask.sigma, [condition], torch.full((1,), 3.0, dtype=torch.float64), "denoiser")

    p = Params(karras(10, model.card.sigma_min, model.card.sigma_max), SHAPE, seed=3, solver="dpmpp_2m")
    picture = model.decode(drive(METHODS["pf_ode"].run(p), answer).x, False)[0]
    assert picture.shape == (3, 128, 128)
    assert 0 <= float(picture.min()) <= float(picture.max()) <= 1
    middle = picture[:, 40:88, 40:88].mean((1, 2))
    assert int(middle.argmax()) == channel, middle


def test_sizes_and_networks_that_it_does_not_have_are_refused(model: LatentDiffusion) -> None:
    assert model.latent_shape(128, 128) == SHAPE
    with pytest.raises(RequestRefused, match="sides from 128 to 128 pixels in multiples of 128, not 256") as refused:
        model.latent_shape(128, 256)
    assert refused.value.violations[0].pointer == "/height"
    x, sigma = rows(1, 1.0)
    with pytest.raises(ModelUnavailable, match="no consistency network"):
        replace(model, consistency=None).denoise(x, sigma, [model.encode("", "")], sigma, "consistency")


@pytest.mark.parametrize("sigma", [40.0, 8.0])
def test_its_consistency_network_leaps_nearer_to_the_end_of_the_guided_ode_than_one_call_of_the_denoiser(
    model: LatentDiffusion, sigma: float
) -> None:
    condition, one = model.encode("a red apple", ""), torch.ones(1, dtype=torch.float64)
    x, level = rows(1, sigma)
    guided = model.denoise(x, level, [condition], 3 * one, "denoiser")
    leapt = model.denoise(x, level, [condition], one, "consistency")

    def answer(ask: Ask[Any]) -> Tensor:
        assert isinstance(ask, Denoise)
        return model.denoise(ask.x, ask.sigma, [condition], 3 * one, "denoiser")

    end = drive(ode_to_end(x, level[0], 16, model.card.sigma_min), answer)
    distance = [
        float((model.decode(one, False) - model.decode(end, False)).square().mean().sqrt()) for one in (guided, leapt)
    ]
    assert distance[1] < 0.8 * distance[0], distance


def test_a_long_prompt_is_cut_and_says_so(model: LatentDiffusion) -> None:
    assert model.encode("a red apple", "").cut == ()
    assert model.encode("a red apple " * 12, "").cut == ("prompt",)
    assert model.encode("a red apple", "a red apple " * 12).cut == ("negative prompt",)


def test_a_decoders_infinity_is_no_black_pixel(model: LatentDiffusion) -> None:
    """Clamped into 0..1 it would pass for one; as NaN the engine refuses the row."""
    spoilt = replace(model, decode_latents=lambda x0: torch.full((len(x0), 3, 8, 8), -torch.inf))
    assert spoilt.decode(torch.zeros(1, *SHAPE), preview=False).isnan().all()
