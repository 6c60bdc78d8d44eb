"""Stable Diffusion 1 and 2 checkpoints in diffusers format, epsilon or v, from a folder or a hub id. It knows the format; no job."""

from typing import Any

import torch
from torch import Tensor

from contracts.errors import ModelUnavailable
from contracts.models import ModelCard

from ..denoisers import Eps, Timesteps, V
from .latent_diffusion import EncodedText, LatentDiffusion, best_device, best_dtype
from .loading import loading

GUIDANCE = 7.5
_PREDICTIONS: dict[str, type[Eps] | type[V]] = {"epsilon": Eps, "v_prediction": V}


def load_stable_diffusion(name: str, source: str, device_name: str | None) -> LatentDiffusion:
    """Load `source`, e.g. `stable-diffusion-v1-5/stable-diffusion-v1-5`. Raises ModelUnavailable, naming it, where that fails."""
    device = best_device(device_name)
    dtype = best_dtype(device)
    wanted = f"{source!r} as a Stable Diffusion pipeline in diffusers format"
    with loading(name, wanted, "check that the folder or hub id holds one, whole, or leave it out of MAXWELL_MODELS"):
        from diffusers import StableDiffusionPipeline  # noqa: PLC0415 - heavy

        # The safety checker is a part of its own, later; a pipeline is only a way to read all parts here.
        pipeline: Any = StableDiffusionPipeline.from_pretrained(
            source, dtype=dtype, safety_checker=None, requires_safety_checker=False
        )
        return _assemble(name, source, pipeline, device, dtype)


def _assemble(name: str, source: str, pipeline: Any, device: torch.device, dtype: torch.dtype) -> LatentDiffusion:
    kind = pipeline.scheduler.config.prediction_type
    if kind not in _PREDICTIONS:
        known = ", ".join(_PREDICTIONS)
        raise ModelUnavailable(f"the model {name!r} ({source}) predicts {kind!r}; this family reads {known}")
    unet = pipeline.unet.to(device).to(memory_format=torch.channels_last).eval().requires_grad_(False)
    vae = pipeline.vae.to(device).eval().requires_grad_(False)
    tokenizer, text_encoder = pipeline.tokenizer, pipeline.text_encoder.to(device).eval().requires_grad_(False)
    prediction = _PREDICTIONS[kind](Timesteps(pipeline.scheduler.alphas_cumprod))
    scale = 2 ** (len(vae.config.block_out_channels) - 1)
    side = int(unet.config.sample_size) * scale

    def encode_text(text: str) -> EncodedText:
        length = tokenizer.model_max_length
        ids = tokenizer(text, padding="max_length", truncation=True, max_length=length, return_tensors="pt").input_ids
        whole = tokenizer(text).input_ids
        return EncodedText(text_encoder(ids.to(device))[0][0], len(whole) > length)

    def decode_latents(x0: Tensor) -> Tensor:
        latents = (x0 / vae.config.scaling_factor).to(device, dtype)
        pictures: Tensor = vae.decode(latents, return_dict=False)[0]
        return pictures

    multiple = scale * 2 ** (len(unet.config.block_out_channels) - 1)
    card = ModelCard(
        name=name,
        family="stable_diffusion",
        description=f"Stable Diffusion from {source}.",
        width=side,
        height=side,
        min_size=min(side, multiple),
        max_size=2 * side,
        size_multiple=multiple,
        sigma_min=prediction.sigma_min,
        sigma_max=prediction.sigma_max,
        guidance=GUIDANCE,
        max_prompt_tokens=tokenizer.model_max_length - 2,
        device=str(device),
    )
    return LatentDiffusion(card, unet, prediction, encode_text, decode_latents, device, dtype, scale)
