"""CLIP weights by the names that open_clip gives them, to those of `transformers`. It knows no file and no judge."""

import re
from typing import TYPE_CHECKING

from .loading import Unfit

if TYPE_CHECKING:
    from torch import Tensor

    from .loading import StateDict

A_KEY = "visual.conv1.weight"  # in every such checkpoint
_WHOLE = {
    "logit_scale": "logit_scale",
    "token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "positional_embedding": "text_model.embeddings.position_embedding.weight",
    "ln_final.weight": "text_model.final_layer_norm.weight",
    "ln_final.bias": "text_model.final_layer_norm.bias",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.ln_pre.weight": "vision_model.pre_layrnorm.weight",  # sic
    "visual.ln_pre.bias": "vision_model.pre_layrnorm.bias",
    "visual.ln_post.weight": "vision_model.post_layernorm.weight",
    "visual.ln_post.bias": "vision_model.post_layernorm.bias",
}
_TURNED = {"text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}  # x @ p there
_BLOCK = re.compile(r"(visual\.)?transformer\.resblocks\.(\d+)\.(.+)")
_IN_BLOCK = {
    "ln_1": "layer_norm1",
    "ln_2": "layer_norm2",
    "attn.out_proj": "self_attn.out_proj",
    "mlp.c_fc": "mlp.fc1",
    "mlp.c_proj": "mlp.fc2",
}


def converted(weights: "StateDict") -> "StateDict":
    """The same weights for a CLIPModel. Raises Unfit for a name that no CLIP of open_clip has."""
    found: StateDict = {}
    for name, value in weights.items():
        if name in _WHOLE:
            found[_WHOLE[name]] = value
        elif name in _TURNED:
            found[_TURNED[name]] = value.T.contiguous()
        elif block := _BLOCK.fullmatch(name):
            found |= _in_block("vision" if block[1] else "text", block[2], block[3], value)
        elif name != "attn_mask":  # the causal mask, which some versions save
            raise Unfit(f"{name} is no weight of a CLIP model in open_clip's names")
    return found


def _in_block(tower: str, place: str, name: str, value: "Tensor") -> "StateDict":
    into = f"{tower}_model.encoder.layers.{place}."
    if name in ("attn.in_proj_weight", "attn.in_proj_bias"):  # queries, keys and values on top of each other
        kind = name.rpartition("_")[2]
        parts = zip("qkv", value.chunk(3), strict=True)
        return {f"{into}self_attn.{letter}_proj.{kind}": part for letter, part in parts}
    layer, _, kind = name.rpartition(".")
    if layer not in _IN_BLOCK:
        raise Unfit(f"{name} is no weight of a block in open_clip's names")
    return {f"{into}{_IN_BLOCK[layer]}.{kind}": value}
