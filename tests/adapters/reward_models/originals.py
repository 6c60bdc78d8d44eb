"""The originals' own arithmetic, in plain torch functions on their checkpoints: open_clip's CLIP, and ImageReward's ViT, BERT and head.

Written from their sources (open_clip 3.3 `transformer.py`; image-reward 1.5 `vit.py`, `med.py`, `ImageReward.py`) and from
nothing of ours or of `transformers`; they take pixels and token ids, padded as the originals pad.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as f

Weights = dict[str, Tensor]


def open_clip_cosine(weights: Weights, pixels: Tensor, ids: Tensor, heads: int) -> Tensor:
    """Cosine of each picture [n, 3, side, side] with the text whose ids [77] are padded with 0."""
    seen, words = open_clip_image(weights, pixels, heads), open_clip_text(weights, ids[None], heads)
    return f.normalize(seen, dim=-1) @ f.normalize(words, dim=-1)[0]


def open_clip_image(weights: Weights, pixels: Tensor, heads: int) -> Tensor:
    """`VisionTransformer.forward` of open_clip."""
    kernel = weights["visual.conv1.weight"]
    x = f.conv2d(pixels, kernel, stride=kernel.shape[-1]).flatten(2).transpose(1, 2)
    first = weights["visual.class_embedding"].expand(len(x), 1, -1)
    x = torch.cat([first, x], dim=1) + weights["visual.positional_embedding"]
    x = _norm(x, weights, "visual.ln_pre", 1e-5)
    x = _open_clip_blocks(x, weights, "visual.transformer.resblocks.", heads, None)
    return _norm(x, weights, "visual.ln_post", 1e-5)[:, 0] @ weights["visual.proj"]


def open_clip_text(weights: Weights, ids: Tensor, heads: int) -> Tensor:
    """`encode_text` of open_clip: the last layer at the end token, which has the highest id."""
    x = weights["token_embedding.weight"][ids] + weights["positional_embedding"]
    mask = torch.full((ids.shape[1], ids.shape[1]), -math.inf).triu(1)
    x = _open_clip_blocks(x, weights, "transformer.resblocks.", heads, mask)
    x = _norm(x, weights, "ln_final", 1e-5)
    return x[torch.arange(len(x)), ids.argmax(dim=-1)] @ weights["text_projection"]


def _open_clip_blocks(x: Tensor, weights: Weights, prefix: str, heads: int, mask: Tensor | None) -> Tensor:
    x = x.transpose(0, 1)  # the multi-head attention of torch, tokens first
    for place in range(_depth(weights, prefix)):
        at = f"{prefix}{place}."
        y = _norm(x, weights, at + "ln_1", 1e-5)
        attended, _ = f.multi_head_attention_forward(
            y, y, y, x.shape[-1], heads, weights[at + "attn.in_proj_weight"], weights[at + "attn.in_proj_bias"], None, None,
            False, 0.0, weights[at + "attn.out_proj.weight"], weights[at + "attn.out_proj.bias"], training=False,
            need_weights=False, attn_mask=mask,
        )  # fmt: skip
        x = x + attended
        y = f.gelu(_linear(_norm(x, weights, at + "ln_2", 1e-5), weights, at + "mlp.c_fc"))
        x = x + _linear(y, weights, at + "mlp.c_proj")
    return x.transpose(0, 1)


def image_reward(weights: Weights, pixels: Tensor, ids: Tensor, mask: Tensor, heads: tuple[int, int]) -> Tensor:
    """`ImageReward.score` for each picture; ids and mask [35] are padded, `heads` are the vision's and the text's."""
    tokens = _blip_vision(weights, pixels, heads[0])
    words = _med(weights, ids.expand(len(pixels), -1), mask.expand(len(pixels), -1), tokens, heads[1])
    x = words[:, 0]
    for place in (0, 2, 4, 6, 7):  # between them there were dropouts
        x = _linear(x, weights, f"mlp.layers.{place}")
    return (x[:, 0] - 0.16717362830052426) / 1.0333394966054072


def _blip_vision(weights: Weights, pixels: Tensor, heads: int) -> Tensor:
    under = "blip.visual_encoder."
    kernel = weights[under + "patch_embed.proj.weight"]
    x = f.conv2d(pixels, kernel, weights[under + "patch_embed.proj.bias"], stride=kernel.shape[-1])
    x = x.flatten(2).transpose(1, 2)
    x = torch.cat([weights[under + "cls_token"].expand(len(x), -1, -1), x], dim=1) + weights[under + "pos_embed"]
    for place in range(_depth(weights, under + "blocks.")):
        at = f"{under}blocks.{place}."
        q, k, v = _linear(_norm(x, weights, at + "norm1", 1e-6), weights, at + "attn.qkv").chunk(3, dim=-1)
        x = x + _linear(_attention(q, k, v, heads), weights, at + "attn.proj")
        y = f.gelu(_linear(_norm(x, weights, at + "norm2", 1e-6), weights, at + "mlp.fc1"))
        x = x + _linear(y, weights, at + "mlp.fc2")
    return _norm(x, weights, under + "norm", 1e-6)


def _med(weights: Weights, ids: Tensor, mask: Tensor, tokens: Tensor, heads: int) -> Tensor:
    under, eps = "blip.text_encoder.", 1e-12
    places = weights[under + "embeddings.position_embeddings.weight"][: ids.shape[1]]
    x = weights[under + "embeddings.word_embeddings.weight"][ids] + places
    x = _norm(x, weights, under + "embeddings.LayerNorm", eps)
    hidden = (1.0 - mask[:, None, None, :].float()) * -10000.0
    for place in range(_depth(weights, under + "encoder.layer.")):
        at = f"{under}encoder.layer.{place}."
        x = _med_attention(x, x, weights, at + "attention.", heads, hidden)
        x = _med_attention(x, tokens, weights, at + "crossattention.", heads, None)
        y = f.gelu(_linear(x, weights, at + "intermediate.dense"))
        x = _norm(_linear(y, weights, at + "output.dense") + x, weights, at + "output.LayerNorm", eps)
    return x


def _med_attention(x: Tensor, seen: Tensor, weights: Weights, at: str, heads: int, less: Tensor | None) -> Tensor:
    query = _linear(x, weights, at + "self.query")
    key, value = (_linear(seen, weights, f"{at}self.{one}") for one in ("key", "value"))
    attended = _linear(_attention(query, key, value, heads, less), weights, at + "output.dense")
    return _norm(attended + x, weights, at + "output.LayerNorm", 1e-12)


def _attention(q: Tensor, k: Tensor, v: Tensor, heads: int, less: Tensor | None = None) -> Tensor:
    q, k, v = (one.reshape(*one.shape[:2], heads, -1).transpose(1, 2) for one in (q, k, v))
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    return ((scores if less is None else scores + less).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)


def _norm(x: Tensor, weights: Weights, name: str, eps: float) -> Tensor:
    return f.layer_norm(x, x.shape[-1:], weights[name + ".weight"], weights[name + ".bias"], eps)


def _linear(x: Tensor, weights: Weights, name: str) -> Tensor:
    return f.linear(x, weights[name + ".weight"], weights[name + ".bias"])


def _depth(weights: Weights, prefix: str) -> int:
    return len({name.removeprefix(prefix).split(".")[0] for name in weights if name.startswith(prefix)})
