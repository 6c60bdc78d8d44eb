"""The judge `hpsv2`: Human Preference Score v2 and v2.1 (Wu et al. 2023, arXiv 2306.09341), a CLIP ViT-H/14 tuned on preferences.

Its score is the cosine of picture and prompt, unscaled. Its checkpoints have open_clip's names; folders of `transformers` serve too.
It knows no scenario.
"""

import html
from typing import Any

from ..base import Environment
from .clip_judges import VIT_H_14, check_clip, clip_loader, load_clip, tokenizer_place
from .judge import RewardJudge, reward_judge
from .loading import pretrained, state_dict, without_prefix
from .open_clip_names import A_KEY, converted
from .places import Place
from .preprocessing import hps_pixels
from .settings import RewardSettings, TextSettings, read_reward_settings

NAME, PUBLISHED = "hpsv2", "xswu/HPSv2/HPS_v2.1_compressed.pt"
# open_clip's ViT-H-14: what its checkpoints do not say themselves, and what they are held against.
ARCHITECTURE: dict[str, Any] = {
    "projection_dim": 1024,
    "vision_config": {
        "hidden_size": 1280, "intermediate_size": 5120, "num_hidden_layers": 32, "num_attention_heads": 16, "image_size": 224,
        "patch_size": 14, "hidden_act": "gelu", "projection_dim": 1024,
    },
    "text_config": {
        "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "vocab_size": 49408,
        "max_position_embeddings": 77, "hidden_act": "gelu", "projection_dim": 1024, "bos_token_id": 49406, "eos_token_id": 49407,
    },
}  # fmt: skip


def judge(environment: Environment) -> RewardJudge:
    """The judge `hpsv2`; no weights are read yet. Raises JudgeSetupError and JudgeNotConfigured."""
    settings = read_reward_settings(TextSettings, NAME, PUBLISHED, environment)
    place = Place.of(NAME, "MODEL", settings.model, settings.revision)
    if place.file is None:
        check_clip(place)
    else:
        place.check(place.file)
    tokenizer = tokenizer_place(place, settings, VIT_H_14)
    load = load_clip if place.file is None else load_open_clip
    return reward_judge(
        NAME,
        "Which picture people would prefer for the prompt, by HPSv2.",
        "cosine of picture and prompt, -1 to 1",
        settings,
        clip_loader(place, tokenizer, settings, load=load, pixels=hps_pixels, cleaned=cleaned),
    )


def load_open_clip(place: Place, settings: RewardSettings) -> Any:
    """The CLIPModel of a file in open_clip's names. Raises what `misconfigured` catches, for another architecture too."""
    import torch  # noqa: PLC0415
    from transformers import CLIPConfig, CLIPModel  # noqa: PLC0415

    assert place.file is not None
    weights = converted(without_prefix(state_dict(place.path(place.file)), A_KEY))
    config, dtype = CLIPConfig(**ARCHITECTURE), getattr(torch, settings.dtype)
    return pretrained(CLIPModel, None, strict=True, config=config, state_dict=weights, dtype=dtype).to(settings.device)


def cleaned(prompt: str) -> str:
    """As open_clip's tokenizer cleans a text, mojibake apart: what HTML wrote as entities is read, twice."""
    return html.unescape(html.unescape(prompt)).strip()
