"""The judge `clip`: cosine of picture and prompt in a CLIP model (Radford et al. 2021, arXiv 2103.00020). It knows no scenario."""

from ..base import Environment
from .clip_judges import check_clip, clip_loader, tokenizer_place
from .judge import RewardJudge, reward_judge
from .places import Place
from .settings import TextSettings, read_reward_settings

NAME, PUBLISHED = "clip", "openai/clip-vit-large-patch14"


def judge(environment: Environment) -> RewardJudge:
    """The judge `clip`; no weights are read yet. Raises JudgeSetupError and JudgeNotConfigured."""
    settings = read_reward_settings(TextSettings, NAME, PUBLISHED, environment)
    place = Place.of(NAME, "MODEL", settings.model, settings.revision)
    check_clip(place)
    return reward_judge(
        NAME,
        "How well a picture shows the prompt, by CLIP.",
        "cosine of picture and prompt, -1 to 1",
        settings,
        clip_loader(place, tokenizer_place(place, settings, None), settings),
    )
