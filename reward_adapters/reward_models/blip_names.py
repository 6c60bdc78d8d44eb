"""ImageReward's weights by the names in its checkpoint, to those of `transformers`. It knows no file and no judge."""

import re
from typing import TYPE_CHECKING, NamedTuple

from .loading import Unfit

if TYPE_CHECKING:
    from .loading import StateDict

A_KEY = "blip.visual_encoder.cls_token"
_WHOLE = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj": "embeddings.patch_embedding",
    "norm": "post_layernorm",
}
_IN_BLOCK = {
    "norm1": "layer_norm1",
    "norm2": "layer_norm2",
    "attn.qkv": "self_attn.qkv",
    "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1",
    "mlp.fc2": "mlp.fc2",
}
_BLOCK = re.compile(r"blocks\.(\d+)\.(.+)\.(weight|bias)")


class Parts(NamedTuple):
    """For a BlipVisionModel, for a BlipTextModel without pooling, and the head's linear layers as `<place>.weight`, `.bias`."""

    vision: "StateDict"
    text: "StateDict"
    head: "StateDict"


def split(weights: "StateDict") -> Parts:
    """The checkpoint's parts. What BLIP's own training needed besides is left out. Raises Unfit for an unknown vision weight."""
    vision = {_vision(name): one for name, one in _under(weights, "blip.visual_encoder.").items()}
    text = _under(weights, "blip.text_encoder.")
    text.pop("embeddings.position_ids", None)  # 0, 1, 2 ..., which some versions save
    return Parts(vision, text, _under(weights, "mlp.layers."))


def _under(weights: "StateDict", prefix: str) -> "StateDict":
    return {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}


def _vision(name: str) -> str:
    if block := _BLOCK.fullmatch(name):
        place, layer, kind = block.groups()
        if layer in _IN_BLOCK:
            return f"encoder.layers.{place}.{_IN_BLOCK[layer]}.{kind}"
    if name in _WHOLE:
        return _WHOLE[name]
    layer, _, kind = name.rpartition(".")
    if layer in _WHOLE:
        return f"{_WHOLE[layer]}.{kind}"
    raise Unfit(f"{name} is no weight of BLIP's vision tower")
