"""From settings to a judge around CLIP weights as `transformers` keeps them: what is checked at once, what is read later."""

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from contracts.errors import first_line

from ..base import JudgeSetupError
from .clip_network import TOKENIZER_FILES, ClipNetwork, clip_tokenizer
from .loading import pretrained
from .places import Place
from .preprocessing import clip_pixels
from .settings import RewardSettings, TextSettings, prefix_of

if TYPE_CHECKING:
    from torch import Tensor

VIT_H_14 = "laion/CLIP-ViT-H-14-laion2B-s32B-b79K"  # what PickScore and HPSv2 began as: their tokenizer is there
WEIGHT_FILES = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def check_clip(place: Place) -> None:
    """Raises JudgeSetupError where there is no CLIP model of `transformers`; reads its config and no weights."""
    from transformers import AutoConfig  # noqa: PLC0415

    if place.file:
        raise JudgeSetupError(
            f"the judge {place.judge!r} is misconfigured: {place.file!r} is one file, and a CLIP model is a folder or a repository: "
            f"set {place.setting}."
        )
    place.check("config.json")
    place.check(*WEIGHT_FILES)
    try:
        kind = AutoConfig.from_pretrained(place.source, revision=place.revision).model_type
    except (OSError, ValueError, KeyError) as error:
        raise JudgeSetupError(
            f"the judge {place.judge!r} is misconfigured: the config.json of {place.source!r} cannot be read ({first_line(error)}): "
            f"set {place.setting}."
        ) from error
    if kind != "clip":
        raise JudgeSetupError(
            f"the judge {place.judge!r} is misconfigured: {place.source!r} is of the kind {kind!r} and no CLIP model: set {place.setting}."
        )


def load_clip(place: Place, settings: RewardSettings) -> Any:
    """The CLIPModel there, on the device. Raises what `misconfigured` catches."""
    import torch  # noqa: PLC0415
    from transformers import CLIPModel  # noqa: PLC0415

    dtype = getattr(torch, settings.dtype)
    return pretrained(CLIPModel, place.source, revision=place.revision, dtype=dtype).to(settings.device)


def tokenizer_place(model: Place, settings: TextSettings, published: str | None) -> Place:
    """Where the tokenizer lies: as set, else beside a model that is here and has one, else where it was published.

    `published` None: with the model. Raises JudgeSetupError where there is none.
    """
    beside = published is None or (model.is_here and any(model.has(file) for file in TOKENIZER_FILES))
    if settings.tokenizer is None and beside:
        place = replace(model, setting=f"{prefix_of(model.judge)}TOKENIZER")
    else:
        place = Place.of(model.judge, "TOKENIZER", settings.tokenizer or published or "")
    place.check(*TOKENIZER_FILES)
    return place


def clip_loader(
    place: Place,
    tokenizer: Place,
    settings: RewardSettings,
    *,
    load: Callable[[Place, RewardSettings], Any] = load_clip,
    scaled: bool = False,
    pixels: "Callable[[Tensor, int], Tensor]" = clip_pixels,
    cleaned: Callable[[str], str] = str,
) -> Callable[[], ClipNetwork]:
    """What reads a CLIP network with its tokenizer, once somebody asks."""

    def loaded() -> ClipNetwork:
        model = load(place, settings)
        words = clip_tokenizer(tokenizer, model.config.text_config.vocab_size)
        return ClipNetwork(model, words, scaled=scaled, pixels=pixels, cleaned=cleaned)

    return loaded
