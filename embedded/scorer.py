"""The network of the `local` judge: how well a picture shows a text and suits a scenario, and how alike two look. It knows no job.

A small CLIP: a vision transformer on 96x96 pixels against pooled states of the frozen text encoder, trained by contrast on
the scenes the embedded model was trained on, blurred and noisy ones included, for it looks at half-finished previews. What
suits a scenario it learnt from a published rubric (training/rubric.json), not from people's taste.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import WEIGHTS
from .quantization import fill
from .text import TextEncoder

PATCH = 8


class Seen(NamedTuple):
    """What the picture tower makes of n pictures: unit vectors beside texts [n, dim] and beside pictures [n, 128], form [n, 64]."""

    shown: Tensor
    look: Tensor
    form: Tensor


class ScorerNetwork(nn.Module):
    """Picture tower, and heads for texts, for other pictures and for scenarios."""

    def __init__(self, size: int = 96, width: int = 192, layers: int = 6, heads: int = 3, dim: int = 256) -> None:
        super().__init__()
        from transformers import CLIPVisionConfig, CLIPVisionModelWithProjection  # noqa: PLC0415

        self.size = size
        config = CLIPVisionConfig(
            hidden_size=width, intermediate_size=4 * width, num_hidden_layers=layers, num_attention_heads=heads,
            image_size=size, patch_size=PATCH, projection_dim=dim, hidden_act="gelu",
        )  # fmt: skip
        self.vision: Any = CLIPVisionModelWithProjection(config)
        self.text_head = nn.Sequential(nn.Linear(2 * 384, 512), nn.GELU(), nn.Linear(512, dim))
        self.look_head = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 128))
        self.form_head = nn.Sequential(nn.Linear(width, 256), nn.GELU(), nn.Linear(256, 64))
        self.purpose_head = nn.Sequential(nn.Linear(2 * 384, 256), nn.GELU(), nn.Linear(256, 64))
        self.log_scale = nn.Parameter(torch.tensor(math.log(14.0)))
        self.look_log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def see(self, pictures: Tensor) -> Seen:
        """Look at pictures [n, 3, H, W] in 0..1."""
        if pictures.shape[-1] != self.size or pictures.shape[-2] != self.size:
            pictures = functional.interpolate(
                pictures, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        out = self.vision(pixel_values=pictures * 2 - 1)
        patches = out.last_hidden_state[:, 1:].mean(1)
        return Seen(
            functional.normalize(out.image_embeds.float(), dim=-1),
            functional.normalize(self.look_head(patches).float(), dim=-1),
            self.form_head(patches).float(),
        )

    def read(self, states: Tensor, mask: Tensor) -> Tensor:
        """Text states [n, 24, 384] and mask [n, 24] to unit vectors [n, dim], beside `Seen.shown`."""
        return functional.normalize(self.text_head(_pooled(states, mask)).float(), dim=-1)

    def purpose(self, states: Tensor, mask: Tensor) -> Tensor:
        """Scenarios' text states and mask to [n, 64]; `form @ purpose.T` is how well a picture suits, 0 without opinion."""
        purpose: Tensor = self.purpose_head(_pooled(states, mask)).float() / 8
        return purpose


def _pooled(states: Tensor, mask: Tensor) -> Tensor:
    """Mean and maximum of the states of a text's tokens: [n, 768]."""
    m = mask[..., None].float()
    return torch.cat([(states * m).sum(1) / m.sum(1), (states - 1e4 * (1 - m)).amax(1)], -1)


class Scorer:
    """The trained network with its text encoder, ready to score."""

    def __init__(self, folder: Path = WEIGHTS, device: str = "cpu") -> None:
        shape = json.loads((folder / "scorer" / "config.json").read_text())
        self._network = ScorerNetwork(**shape)
        fill(self._network, folder / "scorer")
        self._network.to(device).eval().requires_grad_(False)
        self._text = TextEncoder(folder, device)
        self._device = device

    @torch.inference_mode()
    def score(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosine of each of the pictures [n, 3, H, W] in 0..1 with each text: [n, len(texts)], in -1..1."""
        encoded = self._text(texts)
        seen = self._network.see(pictures.to(self._device))
        return (seen.shown @ self._network.read(encoded.states, encoded.mask).T).cpu()

    @torch.inference_mode()
    def judge(self, pictures: Tensor, prompt: str, scenario: str) -> tuple[Tensor, Tensor]:
        """Of pictures [n, 3, H, W] in 0..1: cosine with the prompt [n], and points for suiting the scenario [n], about -6..6."""
        encoded = self._text([prompt, scenario])
        seen = self._network.see(pictures.to(self._device))
        shown = seen.shown @ self._network.read(encoded.states[:1], encoded.mask[:1])[0]
        suits = seen.form @ self._network.purpose(encoded.states[1:], encoded.mask[1:])[0]
        return shown.cpu(), suits.cpu()

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> Tensor:
        """Unit look features [n, 128] of pictures [n, 3, H, W] in 0..1: their cosine says how alike two pictures look."""
        return self._network.see(pictures.to(self._device)).look.cpu()
