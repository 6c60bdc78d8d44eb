"""What the engine asks of a model, whatever its family. It knows no network and no device.

Tensors that cross this border lie on the CPU: latents in float64 and variance-exploding coordinates, pictures in float32.
What happens between, the device and the network's dtype, begins and ends inside the model.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from torch import Tensor

from contracts.models import ModelCard

Network = Literal["denoiser", "consistency"]


@dataclass(frozen=True, eq=False)
class Condition:
    """What one job's rows are conditioned on: encoded once, kept on the model's device, the same for all its rows.

    text, negative [tokens, width]: the states of the prompt and of the negative prompt (the empty one by default), which
    guidance leads away from. cut: which of them were longer than the text encoder reads, and lost their ends.
    """

    text: Tensor
    negative: Tensor
    cut: tuple[Literal["prompt", "negative prompt"], ...] = ()


class Model(Protocol):
    """A text-to-image model as a denoiser D(x; sigma, condition) with an encoder before it and a decoder behind it.

    All methods but `card` and `latent_shape` are called on the one thread that owns the device, in inference mode.
    """

    @property
    def card(self) -> ModelCard:
        """Sizes, noise range and defaults; the engine adds what it measures at warm-up."""

    def latent_shape(self, width: int, height: int) -> tuple[int, int, int]:
        """(c, h, w) of the latents of a picture of that size in pixels. RequestRefused where the size is not possible."""

    def encode(self, prompt: str, negative_prompt: str) -> Condition:
        """The conditioning of one job."""

    def denoise(
        self, x: Tensor, sigma: Tensor, conditions: Sequence[Condition], guidance: Tensor, network: Network
    ) -> Tensor:
        """x0 [rows, c, h, w] float64 = D(x; sigma) of x [rows, c, h, w] float64, one condition and one scale a row.

        sigma [rows] within the card's range, guidance [rows]: 1 is unguided and costs one network row, any other scale two. The
        network "consistency" has its scale built in and is asked with 1.
        Rows are independent: those of different jobs, noise levels and prompts share one forward. ModelUnavailable where
        the network "consistency" is asked of a model without one.
        """

    def decode(self, x0: Tensor, preview: bool) -> Tensor:
        """Pictures [rows, 3, H, W] float32 in 0..1 of x0 [rows, c, h, w]; `preview` allows a smaller, quicker decoder."""

    def close(self) -> None:
        """Free the device's memory. The model is of no use afterwards."""
