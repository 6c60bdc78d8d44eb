"""The model `embedded`: 128 x 128 pictures of common things from the weights in this repository. It knows which files; no job."""

import torch
from torch import Tensor

from contracts.models import ModelCard
from embedded import WEIGHTS

from ..denoisers import Timesteps, V
from .latent_diffusion import EncodedText, LatentDiffusion, best_device, best_dtype
from .loading import loading

SIZE = 128
GUIDANCE = 3.0
_BETAS = (0.00085, 0.021, 1000)  # scaled linear, as weights/scheduler/scheduler_config.json says for other readers


def load_embedded(name: str, device_name: str | None) -> LatentDiffusion:
    """Read the weights. Raises ModelUnavailable where the installation lacks or spoils them, or the device has no room."""
    device = best_device(device_name)
    dtype = best_dtype(device)
    with loading(name, str(WEIGHTS), "install the program again, or leave it out of MAXWELL_MODELS"):
        from embedded.parts import load_autoencoder, load_consistency_unet, load_unet  # noqa: PLC0415 - heavy
        from embedded.text import LENGTH, TextEncoder  # noqa: PLC0415

        unet = load_unet(dtype=dtype).to(device).to(memory_format=torch.channels_last)
        consistency = load_consistency_unet(dtype=dtype).to(device).to(memory_format=torch.channels_last)
        autoencoder = load_autoencoder().to(device).to(memory_format=torch.channels_last)
        texts = TextEncoder(device=str(device))
    factor = float(autoencoder.config.scaling_factor)
    prediction = V(_timesteps())

    def encode_text(text: str) -> EncodedText:
        encoded = texts([text])
        return EncodedText(encoded.states[0].to(dtype), encoded.truncated[0])

    def decode_latents(x0: Tensor) -> Tensor:
        latents = (x0 / factor).to(device, memory_format=torch.channels_last)
        pictures: Tensor = autoencoder.decoder(latents)
        return pictures

    card = ModelCard(
        name=name,
        family="embedded",
        description="A small latent diffusion model that comes with the program: emoji-like pictures of about 500 common things.",
        width=SIZE,
        height=SIZE,
        min_size=SIZE,
        max_size=SIZE,
        size_multiple=SIZE,
        sigma_min=max(0.03, prediction.sigma_min),
        sigma_max=prediction.sigma_max,
        guidance=GUIDANCE,
        consistency_guidance=GUIDANCE,
        max_prompt_tokens=LENGTH - 2,  # beside the two that every text begins and ends with
        device=str(device),
    )
    return LatentDiffusion(card, unet, prediction, encode_text, decode_latents, device, dtype, 4, consistency)


def _timesteps() -> Timesteps:
    first, last, count = _BETAS
    betas = torch.linspace(first**0.5, last**0.5, count, dtype=torch.float64) ** 2
    return Timesteps(torch.cumprod(1 - betas, 0))
