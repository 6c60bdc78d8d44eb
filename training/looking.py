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


class Velocity:
    """A v-predicting UNet in variance-exploding coordinates."""

    def __init__(self, unet: Any, device: str) -> None:
        self._unet, self._log_sigmas = unet, SIGMAS.log().float().to(device)

    def __call__(self, x: Tensor, sigma: Tensor, states: Tensor) -> Tensor:
        """The network's answer to x [n, 4, 32, 32] at sigma [n] with text states [n, 24, 384], float32."""
        with torch.autocast(x.device.type, torch.bfloat16, enabled=x.is_cuda):
            answer = self._unet(x / _rows((sigma**2 + 1).sqrt()), self._level(sigma), states, return_dict=False)[0]
        return answer.float()  # type: ignore[no-any-return]

    def _level(self, sigma: Tensor) -> Tensor:
        """Where sigmas lie among the schedule's, as a fraction between two of them."""
        log_sigma = sigma.log()
        k = torch.searchsorted(self._log_sigmas, log_sigma).clamp(1, LEVELS - 1)
        below = self._log_sigmas[k - 1]
        return (k - 1 + (log_sigma - below) / (self._log_sigmas[k] - below)).clamp(min=0)


class GuidedDenoiser:
    """D(x; sigma) with classifier-free guidance; `null` [1, 24, 384] is the state of no text."""

    def __init__(self, velocity: Velocity, null: Tensor, guidance: float) -> None:
        self._v, self._null, self._guidance = velocity, null, guidance

    def __call__(self, x: Tensor, sigma: Tensor, states: Tensor) -> Tensor:
        """x0 [n, 4, 32, 32] of x at one sigma, with text states [n, 24, 384]."""
        both = torch.cat([states, self._null.expand_as(states)])
        v_said, v_null = self._v(torch.cat([x, x]), sigma.expand(2 * len(x)), both).chunk(2)
        return x0_of(x, sigma.expand(len(x)), v_null + self._guidance * (v_said - v_null))


def null_state(device: str) -> Tensor:
    """The text state of no text, [1, 24, 384]."""
    return TextEncoder(device=device)([""]).states


def x0_of(x: Tensor, sigma: Tensor, v: Tensor) -> Tensor:
    """What v at x and sigma [n] says of the picture: x / (sigma² + 1) - v · sigma / sqrt(sigma² + 1)."""
    q = sigma**2 + 1
    return x / _rows(q) - v * _rows(sigma / q.sqrt())


def _rows(number: Tensor) -> Tensor:
    return number.view(-1, 1, 1, 1)


class Sampler:
    """A denoiser with the autoencoder and the text encoder it needs: Heun on Karras levels (EDM, algorithm 1), guided."""

    def __init__(self, unet: Any, device: str) -> None:
        self._velocity, self._device = Velocity(unet, device), device
        self._vae, self.encoder = load_autoencoder().to(device), TextEncoder(device=device)
        self._null = self.encoder([""]).states

    @torch.no_grad()
    def __call__(self, prompts: Sequence[str], noise: Tensor, guidance: float = 3.0, steps: int = 18) -> Tensor:
        """Pictures [n, 3, 128, 128] in -1..1 of n prompts from unit noise [n, 4, 32, 32]."""
        states, denoised = self.encoder(prompts).states, self.guided(guidance)
        ramp = torch.linspace(0, 1, steps, device=self._device)
        sigmas = (HIGHEST ** (1 / RHO) + ramp * (LOWEST ** (1 / RHO) - HIGHEST ** (1 / RHO))) ** RHO
        x = noise.to(self._device) * sigmas[0]
        for here, to in pairwise([*sigmas, sigmas.new_zeros(())]):
            slope = (x - denoised(x, here, states)) / here
            euler = x + (to - here) * slope
            x = euler if to == 0 else x + (to - here) * (slope + (euler - denoised(euler, to, states)) / to) / 2
        return self.decode(x)

    def guided(self, guidance: float) -> GuidedDenoiser:
        """The denoiser with this guidance."""
        return GuidedDenoiser(self._velocity, self._null, guidance)

    def decode(self, x0: Tensor) -> Tensor:
        """Pictures [n, 3, 128, 128] in -1..1 of latents."""
        pictures: Tensor = self._vae.decoder(x0 / float(self._vae.config.scaling_factor))
        return pictures


def sample(
    unet: Any, prompts: Sequence[str], device: str, *, each: int = 1, guidance: float = 3.0, steps: int = 18
) -> Tensor:
    """Pictures [len(prompts)·each, 3, 128, 128] in -1..1, always from the same noise."""
    asked = [prompt for prompt in prompts for _ in range(each)]
    noise = torch.randn(len(asked), 4, 32, 32, generator=torch.Generator().manual_seed(0))
    return Sampler(unet, device)(asked, noise, guidance, steps)


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
