"""Promise: the shipped weights are small, hold numbers only, and fit the networks that their configurations describe."""

import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import Tensor

from embedded import WEIGHTS
from embedded.parts import load_autoencoder, load_unet
from embedded.text import TextEncoder

FILES = sorted(path for path in WEIGHTS.rglob("*") if path.is_file())
TENSORS = [path for path in FILES if path.suffix == ".safetensors"]


def test_they_are_at_most_40_megabytes() -> None:
    assert sum(path.stat().st_size for path in FILES) <= 40e6


def test_nothing_in_them_can_run() -> None:
    assert {path.suffix for path in FILES} <= {".safetensors", ".json"}


def test_every_network_is_there() -> None:
    assert {path.parent.name for path in TENSORS} == {"consistency", "scorer", "text_encoder", "unet", "vae"}


@pytest.mark.parametrize("path", TENSORS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_they_are_finite(path: Path) -> None:
    with safe_open(path, framework="pt") as stored:
        for name in stored.keys():  # noqa: SIM118 - not a dict
            tensor = stored.get_tensor(name)
            assert tensor.dtype in {torch.int8, torch.float16, torch.float32}, name
            assert torch.isfinite(tensor.float()).all(), name


def test_configurations_name_no_code() -> None:
    for path in FILES:
        if path.suffix == ".json":
            assert "auto_map" not in json.loads(path.read_text()), path


def alphas() -> Tensor:
    """The schedule's share of the picture's variance at each of its levels."""
    config = json.loads((WEIGHTS / "scheduler" / "scheduler_config.json").read_text())
    assert (config["beta_schedule"], config["prediction_type"]) == ("scaled_linear", "v_prediction")
    first, last, count = config["beta_start"], config["beta_end"], config["num_train_timesteps"]
    return torch.cumprod(1 - torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64) ** 2, 0)


def test_the_schedule_hides_a_picture_at_its_end() -> None:
    alpha = float(alphas()[-1])
    assert ((1 - alpha) / alpha) ** 0.5 == pytest.approx(79.42, abs=0.01)


@torch.inference_mode()
def test_the_autoencoder_gives_back_a_picture() -> None:
    axis = torch.linspace(-1, 1, 128)
    disc = (axis[None] ** 2 + axis[:, None] ** 2 < 0.4)[None]
    picture = torch.where(
        disc, torch.tensor([0.7, -0.6, -0.6])[:, None, None], torch.tensor([0.9, 0.9, 0.9])[:, None, None]
    )
    autoencoder = load_autoencoder()
    latents = autoencoder.encoder(picture[None])
    assert latents.shape == (1, 4, 32, 32)
    error = (autoencoder.decoder(latents).clamp(-1, 1) - picture).square().mean() / 4
    assert -10 * torch.log10(error) > 28  # dB; 35.7 on average over the scenes it was trained on


@torch.inference_mode()
def test_the_denoiser_takes_most_of_the_noise_away(encoder: TextEncoder) -> None:
    """With v = sqrt(a)·eps - sqrt(1-a)·z, the clean latents are z = sqrt(a)·x - sqrt(1-a)·v."""
    autoencoder, level = load_autoencoder(), 300
    z = autoencoder.encoder(torch.full((1, 3, 128, 128), 0.9)) * autoencoder.config.scaling_factor
    a = alphas()[level].float()
    x = a.sqrt() * z + (1 - a).sqrt() * torch.randn(z.shape, generator=torch.Generator().manual_seed(0))
    states = encoder(["on a white background"]).states
    v = load_unet()(x, torch.tensor([float(level)]), states, return_dict=False)[0]
    denoised = a.sqrt() * x - (1 - a).sqrt() * v
    assert (denoised - z).square().mean() < 0.2 * (x / a.sqrt() - z).square().mean()
