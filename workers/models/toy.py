"""The model `toy`: coloured discs whose denoiser is known exactly. It draws within milliseconds and proves a set-up.

Its latents are pictures 3 x 32 x 32 in -1..1. A prompt that names one of its colours draws discs of that colour, any other
prompt draws any. It knows no file, no device and no network.
"""

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor

from contracts.errors import ModelUnavailable, RequestRefused
from contracts.models import ModelCard

from ..denoisers import guided
from .base import Condition, Network
from .mixture import GaussianMixture

SIZE = 32
COLOURS = {
    "red": (0.85, 0.15, 0.15),
    "green": (0.2, 0.65, 0.25),
    "blue": (0.15, 0.3, 0.85),
    "yellow": (0.95, 0.85, 0.2),
    "purple": (0.55, 0.2, 0.7),
    "orange": (0.95, 0.55, 0.1),
}
_GROUNDS = ((0.97, 0.97, 0.97), (0.75, 0.85, 0.95), (0.2, 0.2, 0.25))
_RADII = (6.0, 11.0)
_STD = 0.12  # of every pixel around its disc: what a judge can choose among


class Toy:
    """Satisfies `base.Model`."""

    def __init__(self, name: str = "toy") -> None:
        discs = list(product(COLOURS, _GROUNDS, _RADII))
        self._colours = [colour for colour, _, _ in discs]
        means = torch.stack([_disc(COLOURS[colour], ground, radius) for colour, ground, radius in discs])
        self._means, self._stds = means, torch.full((len(means),), _STD, dtype=torch.float64)
        self.card = ModelCard(
            name=name,
            family="toy",
            description="Coloured discs with an exact denoiser: to try the service out, and for tests.",
            width=SIZE,
            height=SIZE,
            min_size=SIZE,
            max_size=SIZE,
            size_multiple=SIZE,
            sigma_min=0.02,
            sigma_max=80.0,
            guidance=1.0,
        )

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        if (width, height) != (SIZE, SIZE):
            raise RequestRefused(f"the model {self.card.name!r} draws {SIZE} x {SIZE} pixels only", "/width")
        return 3, SIZE, SIZE

    def encode(self, prompt: str, negative_prompt: str) -> Condition:
        return Condition(self._weights(prompt), self._weights(negative_prompt))

    def denoise(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition], guidance: Tensor, network: Network
    ) -> Tensor:
        if network == "consistency":
            raise ModelUnavailable(f"the model {self.card.name!r} has no consistency network: use another lookahead")
        # Row by row: then an answer does not depend, not even in its last bit, on the company it was computed in.
        return torch.cat([self._row(*row) for row in zip(x, sigma, conditions, guidance, strict=True)])

    def decode(self, x0: Tensor, preview: bool) -> Tensor:
        return ((x0 + 1) / 2).clamp(0, 1).float()

    def close(self) -> None:
        """Nothing to free."""

    def _row(self, x: Tensor, sigma: Tensor, condition: Condition, scale: Tensor) -> Tensor:
        x, sigma, scale = x[None], sigma[None], scale[None]
        conditional = GaussianMixture(condition.text, self._means, self._stds).denoise(x, sigma)
        if float(scale) == 1.0:
            return conditional
        return guided(
            conditional, GaussianMixture(condition.negative, self._means, self._stds).denoise(x, sigma), scale
        )

    def _weights(self, prompt: str) -> Tensor:
        """One weight a disc, [M]."""
        named = set(prompt.lower().split()) & COLOURS.keys()
        weights = [float(not named or colour in named) for colour in self._colours]
        return torch.tensor(weights, dtype=torch.float64) / sum(weights)


def _disc(colour: tuple[float, ...], ground: tuple[float, ...], radius: float) -> Tensor:
    """A disc with a soft edge in the middle of its ground, [3, 32, 32] in -1..1."""
    axis = torch.arange(SIZE, dtype=torch.float64) - (SIZE - 1) / 2
    inside = torch.sigmoid(2 * (radius - (axis[:, None] ** 2 + axis[None] ** 2).sqrt()))
    inner, outer = (torch.tensor(c, dtype=torch.float64).view(3, 1, 1) for c in (colour, ground))
    return 2 * (inside * inner + (1 - inside) * outer) - 1
