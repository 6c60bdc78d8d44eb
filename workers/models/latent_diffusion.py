"""What text-to-image models in a latent space share: a UNet with cross-attention between a text encoder and an autoencoder.

It knows how rows of many jobs go through such a network; it knows no file, no checkpoint and which texts mean what.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from contracts.errors import ModelUnavailable, RequestRefused
from contracts.models import ModelCard

from ..denoisers import Prediction, denoise, guided
from .base import Condition, Network


@dataclass(frozen=True, eq=False)
class EncodedText:
    """One text's states [tokens, width], and whether its end was cut."""

    states: Tensor
    truncated: bool


@dataclass(eq=False)
class LatentDiffusion:
    """Satisfies `base.Model`. `unet` is a UNet2DConditionModel on `device` in `dtype`; latents are `scale` times smaller than pictures.

    consistency: a UNet of the same shape and prediction that leaps to the picture, for the look-ahead; None: there is none.

    encode_text: a text to its states; decode_latents: latents [n, c, h, w] float32 on the CPU to pictures [n, 3, H, W] in -1..1.
    """

    card: ModelCard
    unet: Any
    prediction: Prediction
    encode_text: Callable[[str], EncodedText]
    decode_latents: Callable[[Tensor], Tensor]
    device: torch.device
    dtype: torch.dtype
    scale: int
    consistency: Any | None = None

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        low, high, multiple = self.card.min_size, self.card.max_size, self.card.size_multiple
        for pointer, side in (("/width", width), ("/height", height)):
            if not low <= side <= high or side % multiple:
                raise RequestRefused(
                    f"the model {self.card.name!r} draws sides from {low} to {high} pixels in multiples of {multiple}, not {side}",
                    pointer,
                )
        return self.unet.config.in_channels, height // self.scale, width // self.scale

    def encode(self, prompt: str, negative_prompt: str) -> Condition:
        text, negative = self.encode_text(prompt), self.encode_text(negative_prompt)
        texts: tuple[tuple[Literal["prompt", "negative prompt"], EncodedText], ...]
        texts = (("prompt", text), ("negative prompt", negative))
        return Condition(text.states, negative.states, tuple(name for name, one in texts if one.truncated))

    def denoise(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition], guidance: Tensor, network: Network
    ) -> Tensor:
        unet = self.unet if network == "denoiser" else self.consistency
        if unet is None:
            raise ModelUnavailable(f"the model {self.card.name!r} has no consistency network: use another lookahead")
        led = (guidance != 1).nonzero()[:, 0]  # the rows that also need the answer to the negative prompt
        source = torch.cat([torch.arange(len(x)), led])
        texts = torch.stack([c.text for c in conditions] + [conditions[i].negative for i in led.tolist()])

        def network_of(x_in: Tensor, c_noise: Tensor) -> Tensor:
            answers = self._forward(unet, x_in[source], c_noise[source], texts)
            conditional, unconditional = answers[: len(x)], answers[len(x) :]
            return conditional.index_copy(0, led, guided(conditional[led], unconditional, guidance[led]))

        return denoise(self.prediction, network_of, x, sigma)

    def decode(self, x0: Tensor, preview: bool) -> Tensor:
        pictures = ((self.decode_latents(x0.float()) + 1) / 2).float().cpu()
        # Clamped, an infinity would pass for a black or white pixel.
        return pictures.where(pictures.isfinite(), torch.nan).clamp(0, 1)

    def close(self) -> None:
        self.unet = self.consistency = self.decode_latents = self.encode_text = None  # type: ignore[assignment]
        if self.device.type == "cuda":
            torch.cuda.empty_cache()

    def _forward(self, unet: Any, x_in: Tensor, c_noise: Tensor, texts: Tensor) -> Tensor:
        """The network's answer, float64 on the CPU."""
        rows = x_in.to(self.device, self.dtype, memory_format=torch.channels_last)
        answer: Tensor = unet(rows, c_noise.to(self.device, torch.float32), texts, return_dict=False)[0]
        return answer.to("cpu", torch.float64)


def best_device(name: str | None) -> torch.device:
    """The device of that name; by default CUDA where there is one."""
    return torch.device(name or ("cuda" if torch.cuda.is_available() else "cpu"))


def best_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 where the device computes in it. A CPU without such instructions only imitates it, many times slower than float32.

    CUDA cards before compute capability 8 (Ampere) have float16 alone.
    """
    if device.type == "cuda" and torch.cuda.get_device_capability(device) < (8, 0):
        return torch.float16
    if device.type != "cpu":
        return torch.bfloat16
    able = torch.cpu.get_capabilities()
    return torch.bfloat16 if able.get("avx512_bf16") or able.get("amx_bf16") else torch.float32
