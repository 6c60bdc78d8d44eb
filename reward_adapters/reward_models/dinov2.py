"""What DINOv2 (Oquab et al. 2023, arXiv 2304.07193) sees in pictures, for likeness to a reference. It knows no judge and no reference yet:
a judge of it needs a picture that a request carries.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .clip_network import unit
from .loading import pretrained
from .preprocessing import dino_pixels

if TYPE_CHECKING:
    from torch import Tensor

PUBLISHED = "facebook/dinov2-base"


@dataclass(frozen=True)
class DinoFeatures:
    """The class token of the last layer, normalised: what `pooler_output` is."""

    model: Any

    @classmethod
    def load(cls, source: str, device: str = "cpu", dtype: str = "float32") -> "DinoFeatures":
        """Read the Dinov2Model there. Raises what `misconfigured` catches."""
        import torch  # noqa: PLC0415
        from transformers import Dinov2Model  # noqa: PLC0415

        return cls(pretrained(Dinov2Model, source, dtype=getattr(torch, dtype)).to(device))

    def of(self, pictures: "Tensor") -> "Tensor":
        """Unit vectors [n, width] of pictures [n, 3, h, w] of bytes; the product of two is their cosine."""
        return unit(self.model(pixel_values=dino_pixels(pictures).to(self.model.dtype)).pooler_output)
