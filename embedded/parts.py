"""The parts of the embedded text-to-image model as diffusers modules, ready for inference. It knows files, no sampler and no job."""

import json
from pathlib import Path
from typing import Any

import torch

from . import WEIGHTS
from .low_rank import merge
from .quantization import fill, load


def load_unet(folder: Path = WEIGHTS, dtype: torch.dtype = torch.float32) -> Any:
    """The denoiser, a UNet2DConditionModel on the CPU: latents [n, 4, 32, 32], text states [n, 24, 384], v-prediction."""
    from diffusers import UNet2DConditionModel  # noqa: PLC0415 - heavy

    config = json.loads((folder / "unet" / "config.json").read_text())
    with torch.device("meta"):  # the weights are read, not drawn at random first
        unet: Any = UNet2DConditionModel.from_config(config)
    fill(unet, folder / "unet", dtype)
    return unet.eval().requires_grad_(False)


def load_consistency_unet(folder: Path = WEIGHTS, dtype: torch.dtype = torch.float32) -> Any:
    """The consistency network: the denoiser with a low-rank change of its weights. One call without guidance leaps to the picture
    that the ODE with guidance 3 ends at (Song et al. 2023)."""
    unet = load_unet(folder)
    merge(unet, load(folder / "consistency"), str(folder / "consistency"))
    return unet.to(dtype)


def load_autoencoder(folder: Path = WEIGHTS) -> Any:
    """The autoencoder, an AutoencoderTiny in float32 on the CPU: pictures [n, 3, 128, 128] in -1..1 and latents [n, 4, 32, 32]."""
    from diffusers import AutoencoderTiny  # noqa: PLC0415 - heavy

    with torch.device("meta"):
        autoencoder: Any = AutoencoderTiny.from_config(json.loads((folder / "vae" / "config.json").read_text()))
    fill(autoencoder, folder / "vae")
    return autoencoder.eval().requires_grad_(False)
