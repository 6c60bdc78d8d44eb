"""Sheets of samples to look at while training: a plain Heun sampler and a picture grid. It knows no job and no service."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from embedded.parts import load_autoencoder
from embedded.text import TextEncoder

from .schedule import LEVELS, SIGMAS

SHEET = [
    "a red apple", "a cat", "a dog", "a blue car on a yellow background", "a smiling face", "three strawberries on pink",
    "a rocket in space, 3d style", "a house in the snow", "a purple octopus, flat style", "a pizza", "a robot",
    "a tree in a green meadow", "a lion, cartoon style", "a green heart on black", "a frog under water",
    "a crown on a white background", "a banana and a bicycle", "a fish", "a guitar to the left of a drum", "two birds",
    "an elephant", "a cup of coffee", "a butterfly", "a sunflower at night",
]  # fmt: skip
HIGHEST, LOWEST, RHO = 75.0, 0.04, 7  # sigmas of the sheets' sampler


@torch.no_grad()
def sample(
    unet: Any, prompts: Sequence[str], device: str, *, each: int = 1, guidance: float = 3.0, steps: int = 18
) -> Tensor:
    """Pictures [len(prompts)·each, 3, 128, 128] in -1..1: Heun on Karras levels (EDM, algorithm 1), classifier-free guidance."""
    vae = load_autoencoder().to(device)
    encoder = TextEncoder(device=device)
    said = encoder(prompts).states.repeat_interleave(each, 0)
    states = torch.cat([said, encoder([""]).states.expand_as(said)])
    log_sigmas = SIGMAS.log().float().to(device)

    def denoised(x: Tensor, sigma: Tensor) -> Tensor:
        k = torch.searchsorted(log_sigmas, sigma.log()).clamp(1, LEVELS - 1)
        level = k - 1 + (sigma.log() - log_sigmas[k - 1]) / (log_sigmas[k] - log_sigmas[k - 1])
        norm = (sigma**2 + 1).sqrt()
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=x.is_cuda):
            v = unet(torch.cat([x, x]) / norm, level.clamp(min=0).expand(2 * len(x)), states, return_dict=False)[0]
        v_said, v_null = v.float().chunk(2)
        guided: Tensor = v_null + guidance * (v_said - v_null)
        return x / norm**2 - guided * sigma / norm

    ramp = torch.linspace(0, 1, steps, device=device)
    sigmas = (HIGHEST ** (1 / RHO) + ramp * (LOWEST ** (1 / RHO) - HIGHEST ** (1 / RHO))) ** RHO
    noise = torch.randn(len(said), 4, 32, 32, generator=torch.Generator().manual_seed(0))
    x = noise.to(device) * sigmas[0]
    for here, to in pairwise([*sigmas, sigmas.new_zeros(())]):
        slope = (x - denoised(x, here)) / here
        euler = x + (to - here) * slope
        x = euler if to == 0 else x + (to - here) * (slope + (euler - denoised(euler, to)) / to) / 2
    pictures: Tensor = vae.decoder(x / float(vae.config.scaling_factor))
    return pictures


def sheet(pictures: Tensor, path: Path, columns: int = 8) -> None:
    """Pictures [n, 3, h, w] in -1..1 as one PNG."""
    pixels = ((pictures.float().clamp(-1, 1) + 1) * 127.5).round().byte().cpu()
    n, _, height, width = pixels.shape
    rows = -(-n // columns)
    canvas = torch.full((3, rows * height, columns * width), 255, dtype=torch.uint8)
    for i, one in enumerate(pixels):
        y, x = (i // columns) * height, (i % columns) * width
        canvas[:, y : y + height, x : x + width] = one
    Image.fromarray(canvas.permute(1, 2, 0).numpy()).save(path)
