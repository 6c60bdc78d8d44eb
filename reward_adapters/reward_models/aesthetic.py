"""The judge `aesthetic`: LAION's aesthetic predictor v2 on CLIP ViT-L/14, taught the 1 to 10 that people gave pictures.

A multilayer perceptron 768-1024-128-64-16-1 without activations, so one affine map of CLIP's unit vector. It knows no prompt.
Source: github.com/christophschuhmann/improved-aesthetic-predictor; used as an objective by DDPO (arXiv 2305.13301) and Demon.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ..base import Environment
from .clip_judges import check_clip
from .clip_network import image_embeds
from .judge import RewardJudge, reward_judge
from .loading import Unfit, affine, pretrained, state_dict, without_prefix
from .places import Place
from .preprocessing import clip_pixels
from .settings import RewardSettings, read_reward_settings

if TYPE_CHECKING:
    from torch import Tensor

    from .judge import Measure

NAME, HEAD = "aesthetic", "aesthetic-model.pth"
PUBLISHED = f"trl-lib/ddpo-aesthetic-predictor/{HEAD}"


class AestheticSettings(RewardSettings):
    """The model is the small head; the tower is another one's."""

    clip: str = Field("openai/clip-vit-large-patch14", min_length=1, description="The CLIP model that the head is for.")


def judge(environment: Environment) -> RewardJudge:
    """The judge `aesthetic`; no weights are read yet. Raises JudgeSetupError and JudgeNotConfigured."""
    settings = read_reward_settings(AestheticSettings, NAME, PUBLISHED, environment)
    place = Place.of(NAME, "MODEL", settings.model, settings.revision)
    tower = Place.of(NAME, "CLIP", settings.clip)
    place.check(place.file or HEAD)
    check_clip(tower)
    return reward_judge(
        NAME,
        "How beautiful people would find the picture, by LAION's aesthetic predictor.",
        "LAION aesthetic score, made for 1 to 10",
        settings,
        _loader(place, tower, settings),
    )


def _loader(place: Place, tower: Place, settings: RewardSettings) -> "Callable[[], AestheticNetwork]":
    def loaded() -> AestheticNetwork:
        import torch  # noqa: PLC0415
        from transformers import CLIPVisionModelWithProjection  # noqa: PLC0415

        w, b = affine(without_prefix(state_dict(place.path(place.file or HEAD)), "0.weight"))
        dtype = getattr(torch, settings.dtype)
        clip = pretrained(CLIPVisionModelWithProjection, tower.source, dtype=dtype).to(settings.device)
        if len(w) != clip.config.projection_dim:
            raise Unfit(
                f"its head is for vectors of {len(w)} numbers and its CLIP model's have {clip.config.projection_dim}"
            )
        return AestheticNetwork(clip, w.float().to(settings.device), float(b))

    return loaded


@dataclass(frozen=True)
class AestheticNetwork:
    """A CLIP vision tower, and the affine map w [width], b of its unit vectors."""

    clip: Any
    w: "Tensor"
    b: float

    def measure(self, prompt: str) -> "Measure":
        """The score, whatever the prompt."""
        side = self.clip.config.image_size
        return lambda pictures: image_embeds(self.clip, clip_pixels(pictures, side)) @ self.w + self.b
