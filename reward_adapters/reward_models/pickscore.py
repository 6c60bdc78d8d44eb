"""The judge `pickscore`: PickScore (Kirstain et al. 2023, arXiv 2305.01569), CLIP tuned on which of two pictures people picked.

Its score is CLIP's `logits_per_image`, exp(logit_scale) x cosine. It knows no scenario.
"""

from ..base import Environment
from .clip_judges import VIT_H_14, check_clip, clip_loader, tokenizer_place
from .judge import RewardJudge, reward_judge
from .places import Place
from .settings import TextSettings, read_reward_settings

NAME, PUBLISHED = "pickscore", "yuvalkirstain/PickScore_v1"


def judge(environment: Environment) -> RewardJudge:
    """The judge `pickscore`; no weights are read yet. Raises JudgeSetupError and JudgeNotConfigured."""
    settings = read_reward_settings(TextSettings, NAME, PUBLISHED, environment)
    place = Place.of(NAME, "MODEL", settings.model, settings.revision)
    check_clip(place)
    return reward_judge(
        NAME,
        "Which picture people would pick for the prompt, by PickScore.",
        "exp(logit_scale) x cosine of picture and prompt; a difference of 1 is e : 1 in odds",
        settings,
        clip_loader(place, tokenizer_place(place, settings, VIT_H_14), settings, scaled=True),
    )
