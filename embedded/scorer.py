"""The network of the `local` judge: how well a picture shows a text, and how alike two pictures look. It knows no job.

A small CLIP: a vision transformer on 96x96 pixels against pooled states of the frozen text encoder, trained by contrast on
the scenes the embedded model was trained on, blurred and noisy ones included, for it looks at half-finished previews.
"""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from . import WEIGHTS
from .quantization import load
from .text import TextEncoder

PATCH = 8


class ScorerNetwork(nn.Module):
    """Picture tower, text head and picture-to-picture head."""

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
        self.log_scale = nn.Parameter(torch.tensor(math.log(14.0)))
        self.look_log_scale = nn.Parameter(torch.tensor(math.log(10.0)))

    def see(self, pictures: Tensor) -> tuple[Tensor, Tensor]:
        """Pictures [n, 3, H, W] in 0..1 to unit vectors: text-aligned [n, dim] and look features [n, 128]."""
        if pictures.shape[-1] != self.size or pictures.shape[-2] != self.size:
            pictures = functional.interpolate(
                pictures, size=(self.size, self.size), mode="bilinear", antialias=True, align_corners=False
            )
        out = self.vision(pixel_values=pictures * 2 - 1)
        look = self.look_head(out.last_hidden_state[:, 1:].mean(1))
        return functional.normalize(out.image_embeds.float(), dim=-1), functional.normalize(look.float(), dim=-1)

    def read(self, states: Tensor, mask: Tensor) -> Tensor:
        """Text states [n, 24, 384] and mask [n, 24] to unit vectors [n, dim]."""
        m = mask[..., None].float()
        mean = (states * m).sum(1) / m.sum(1)
        peak = (states - 1e4 * (1 - m)).amax(1)
        return functional.normalize(self.text_head(torch.cat([mean, peak], -1)).float(), dim=-1)


class Scorer:
    """The trained network with its text encoder, ready to score."""

    def __init__(self, folder: Path = WEIGHTS, device: str = "cpu") -> None:
        shape = json.loads((folder / "scorer" / "config.json").read_text())
        self._network = ScorerNetwork(**shape)
        self._network.load_state_dict(load(folder / "scorer"), strict=True)
        self._network.to(device).eval().requires_grad_(False)
        self._text = TextEncoder(folder, device)
        self._device = device

    @torch.inference_mode()
    def score(self, pictures: Tensor, texts: Sequence[str]) -> Tensor:
        """Cosine of each of the pictures [n, 3, H, W] in 0..1 with each text: [n, len(texts)], in -1..1."""
        encoded = self._text(texts)
        seen, _ = self._network.see(pictures.to(self._device))
        return (seen @ self._network.read(encoded.states, encoded.mask).T).cpu()

    @torch.inference_mode()
    def features(self, pictures: Tensor) -> Tensor:
        """Unit look features [n, 128] of pictures [n, 3, H, W] in 0..1: their cosine says how alike two pictures look."""
        return self._network.see(pictures.to(self._device))[1].cpu()
