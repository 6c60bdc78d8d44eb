"""The judge `imagereward`: ImageReward (Xu et al. 2023, arXiv 2304.05977), BLIP tuned on how people ranked pictures for a prompt.

A BERT reads the prompt and looks at a ViT-L/16's tokens by cross attention; an affine map of its [CLS] is the reward, standardised
by the authors' mean and deviation. It knows no scenario.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.errors import first_line

from ..base import Environment, JudgeSetupError
from .blip_names import A_KEY, split
from .judge import RewardJudge, reward_judge
from .loading import Unfit, affine, pretrained, state_dict, without_prefix
from .places import Place
from .preprocessing import blip_pixels
from .settings import RewardSettings, TextSettings, read_reward_settings

if TYPE_CHECKING:
    from torch import Tensor

    from .judge import Measure

NAME, WEIGHTS, MED = "imagereward", "ImageReward.pt", "med_config.json"
PUBLISHED, BERT = f"THUDM/ImageReward/{WEIGHTS}", "google-bert/bert-base-uncased"
MEAN, STD = 0.16717362830052426, 1.0333394966054072
LONGEST = 35  # tokens, [CLS] and [SEP] included
VISION: dict[str, Any] = {  # BLIP's "large"; the text's numbers are in MED
    "hidden_size": 1024, "intermediate_size": 4096, "num_hidden_layers": 24, "num_attention_heads": 16, "image_size": 224,
    "patch_size": 16, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
}  # fmt: skip
FROM_MED = (
    "vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers", "num_attention_heads", "max_position_embeddings",
    "layer_norm_eps", "hidden_act", "pad_token_id",
)  # fmt: skip


def judge(environment: Environment) -> RewardJudge:
    """The judge `imagereward`; no weights are read yet. Raises JudgeSetupError and JudgeNotConfigured."""
    settings = read_reward_settings(TextSettings, NAME, PUBLISHED, environment)
    place = Place.of(NAME, "MODEL", settings.model, settings.revision)
    place.check(place.file or WEIGHTS)
    place.check(MED)
    own = settings.tokenizer is None and place.is_here and place.has("vocab.txt")
    tokenizer = place if own else Place.of(NAME, "TOKENIZER", settings.tokenizer or BERT)
    tokenizer.check("tokenizer.json", "vocab.txt")
    return reward_judge(
        NAME,
        "How much people would like the picture for the prompt, by ImageReward.",
        "ImageReward, standardised: mean 0, deviation 1",
        settings,
        _loader(place, tokenizer, settings, text_config(place)),
    )


def text_config(place: Place) -> dict[str, Any]:
    """What MED says of the BERT. Raises JudgeSetupError where it cannot be read."""
    try:
        told = json.loads(place.path(MED).read_text(encoding="utf-8"))
        return {name: told[name] for name in FROM_MED}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise JudgeSetupError(
            f"the judge {NAME!r} is misconfigured: the {MED} of {place.source!r} cannot be read ({type(error).__name__}: "
            f"{first_line(error)}): set {place.setting}."
        ) from error


def _loader(
    place: Place, tokenizer: Place, settings: RewardSettings, text: dict[str, Any]
) -> "Callable[[], ImageRewardNetwork]":
    def loaded() -> ImageRewardNetwork:
        import torch  # noqa: PLC0415
        from transformers import BertTokenizer, BlipTextConfig, BlipTextModel, BlipVisionConfig, BlipVisionModel  # noqa: PLC0415

        parts = split(without_prefix(state_dict(place.path(place.file or WEIGHTS)), A_KEY))
        told = {"strict": True, "dtype": getattr(torch, settings.dtype)}
        vision = pretrained(BlipVisionModel, None, config=BlipVisionConfig(**VISION), state_dict=parts.vision, **told)
        # As a decoder it has the cross attention; that it then sees no later word is a matter of the call.
        config = BlipTextConfig(**text, is_decoder=True, encoder_hidden_size=VISION["hidden_size"])
        bert = pretrained(BlipTextModel, None, config=config, state_dict=parts.text, add_pooling_layer=False, **told)
        w, b = affine(parts.head)
        words = BertTokenizer.from_pretrained(tokenizer.source, revision=tokenizer.revision)
        # Without files, for one, it loads all the same and knows five tokens.
        if not 100 < len(words) <= config.vocab_size:
            raise Unfit(f"its tokenizer knows {len(words)} tokens and its network {config.vocab_size}")
        device = settings.device
        return ImageRewardNetwork(vision.to(device), bert.to(device), words, w.float().to(device), float(b))

    return loaded


@dataclass(frozen=True)
class ImageRewardNetwork:
    """BLIP's towers, and the affine map w [width], b of what the text makes of a picture."""

    vision: Any
    text: Any
    tokenizer: Any
    w: "Tensor"
    b: float

    def measure(self, prompt: str) -> "Measure":
        """The reward for the prompt, cut after 35 tokens. The authors pad and mask; the mask leaves nothing of the padding."""
        import torch  # noqa: PLC0415

        words = self.tokenizer(prompt, truncation=True, max_length=LONGEST)["input_ids"]
        ids = torch.tensor([words], device=self.text.device)

        def measure(pictures: "Tensor") -> "Tensor":
            pixels = blip_pixels(pictures, self.vision.config.image_size)
            tokens = self.vision(pixel_values=pixels.to(self.vision.dtype)).last_hidden_state
            read = self.text(input_ids=ids.expand(len(pictures), -1), encoder_hidden_states=tokens, is_decoder=False)
            reward: Tensor = (read.last_hidden_state[:, 0].float() @ self.w + self.b - MEAN) / STD
            return reward

        return measure
