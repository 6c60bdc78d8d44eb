"""Tiny checkpoints with random weights, in the names and layouts of the published ones, and the settings that name them."""

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reward_adapters.reward_models import hpsv2, imagereward

from .tokenizers import BERT_WORDS, CLIP_TOKENS, END, START, bert_tokenizer, clip_tokenizer

Weights = dict[str, Tensor]
NAMES = ("aesthetic", "clip", "hpsv2", "imagereward", "pickscore")
PROJECTION = 24
HEADS = 4
CLIP_TEXT = {
    "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": HEADS, "vocab_size": CLIP_TOKENS,
    "max_position_embeddings": 77, "projection_dim": PROJECTION, "bos_token_id": START, "eos_token_id": END,
}  # fmt: skip
CLIP_VISION = {
    "hidden_size": 48, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": HEADS, "image_size": 56,
    "patch_size": 14, "projection_dim": PROJECTION,
}  # fmt: skip
HPS: dict[str, Any] = {
    "projection_dim": PROJECTION,
    "vision_config": CLIP_VISION | {"hidden_act": "gelu"},
    "text_config": CLIP_TEXT | {"hidden_act": "gelu"},
}
BLIP: dict[str, Any] = {
    "hidden_size": 48, "intermediate_size": 192, "num_hidden_layers": 2, "num_attention_heads": HEADS, "image_size": 64,
    "patch_size": 16, "layer_norm_eps": 1e-6, "hidden_act": "gelu",
}  # fmt: skip
MED: dict[str, Any] = {  # as med_config.json has it, with small numbers
    "architectures": ["BertModel"], "attention_probs_dropout_prob": 0.1, "hidden_act": "gelu", "hidden_dropout_prob": 0.1,
    "hidden_size": 32, "initializer_range": 0.02, "intermediate_size": 64, "layer_norm_eps": 1e-12, "max_position_embeddings": 64,
    "model_type": "bert", "num_attention_heads": 2, "num_hidden_layers": 2, "pad_token_id": 0, "add_type_embeddings": False,
    "vocab_size": len(BERT_WORDS) + 2, "encoder_width": 48, "add_cross_attention": True,
}  # fmt: skip


@contextmanager
def tiny_checkpoints(root: Path) -> Iterator[dict[str, dict[str, str]]]:
    """The settings of each judge, its checkpoint under the folder. Inside, HPSv2's and ImageReward's fixed sizes are the tiny ones."""
    torch.manual_seed(0)
    tower = clip_folder(root / "clip")
    torch.save(hps_weights(), root / "HPS_v2.1_compressed.pt")
    torch.save(head_weights(PROJECTION, "layers."), root / "head.pth")
    reward = root / "imagereward"
    bert_tokenizer(reward)
    torch.save(reward_weights(), reward / "ImageReward.pt")
    (reward / "med_config.json").write_text(json.dumps(MED))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(hpsv2, "ARCHITECTURE", HPS)
        patch.setattr(imagereward, "VISION", BLIP)
        yield {
            "aesthetic": settings("aesthetic", model=root / "head.pth", clip=tower),
            "clip": settings("clip", model=tower),
            "hpsv2": settings("hpsv2", model=root / "HPS_v2.1_compressed.pt", tokenizer=tower),
            "imagereward": settings("imagereward", model=reward),
            "pickscore": settings("pickscore", model=tower),
        }


def settings(name: str, **given: object) -> dict[str, str]:
    """The environment that sets these of a judge."""
    return {f"MAXWELL_JUDGE_{name.upper()}_{key.upper()}": str(value) for key, value in given.items()}


def clip_folder(folder: Path) -> Path:
    """A CLIPModel and its tokenizer as `transformers` keep them."""
    from transformers import CLIPConfig, CLIPModel  # noqa: PLC0415 - takes seconds

    model = CLIPModel(CLIPConfig(text_config=CLIP_TEXT, vision_config=CLIP_VISION, projection_dim=PROJECTION))
    for weight in model.parameters():  # as the library draws them, all pictures would look alike
        if weight.ndim > 1:
            torch.nn.init.normal_(weight, std=1 / math.sqrt(weight[0].numel()))
    model.save_pretrained(folder)
    return clip_tokenizer(folder)


def hps_weights() -> dict[str, Weights]:
    """Of a CLIP in open_clip's names, wrapped as HPSv2's files are."""
    vision, text = HPS["vision_config"], HPS["text_config"]
    weights = {
        "logit_scale": torch.tensor(4.6),
        "token_embedding.weight": _drawn(CLIP_TOKENS, text["hidden_size"]),
        "positional_embedding": _drawn(77, text["hidden_size"]),
        "text_projection": _drawn(text["hidden_size"], PROJECTION),
        "visual.class_embedding": _drawn(vision["hidden_size"]),
        "visual.positional_embedding": _drawn(
            1 + (vision["image_size"] // vision["patch_size"]) ** 2, vision["hidden_size"]
        ),
        "visual.conv1.weight": _drawn(vision["hidden_size"], 3, vision["patch_size"], vision["patch_size"]),
        "visual.proj": _drawn(vision["hidden_size"], PROJECTION),
    }
    for name in ("ln_final", "visual.ln_pre", "visual.ln_post"):
        weights |= _norm(name, (text if name == "ln_final" else vision)["hidden_size"])
    for prefix, tower in (("visual.transformer.", vision), ("transformer.", text)):
        for place in range(tower["num_hidden_layers"]):
            weights |= _open_clip_block(f"{prefix}resblocks.{place}.", tower["hidden_size"], tower["intermediate_size"])
    return {"state_dict": weights}


def _open_clip_block(at: str, width: int, wide: int) -> Weights:
    return {
        at + "attn.in_proj_weight": _drawn(3 * width, width),
        at + "attn.in_proj_bias": _drawn(3 * width),
        **_linear(at + "attn.out_proj", width, width),
        **_linear(at + "mlp.c_fc", width, wide),
        **_linear(at + "mlp.c_proj", wide, width),
        **_norm(at + "ln_1", width),
        **_norm(at + "ln_2", width),
    }


def head_weights(width: int, prefix: str) -> Weights:
    """LAION's perceptron, and ImageReward's: five layers with dropouts between them, which have numbers too."""
    sizes = [(0, width, 1024), (2, 1024, 128), (4, 128, 64), (6, 64, 16), (7, 16, 1)]
    return {name: one for place, a, b in sizes for name, one in _linear(f"{prefix}{place}", a, b).items()}


def reward_weights() -> Weights:
    """ImageReward.pt in small, the projections that its reward does not use included."""
    see, read = "blip.visual_encoder.", "blip.text_encoder."
    width, wide, text = BLIP["hidden_size"], BLIP["intermediate_size"], MED["hidden_size"]
    weights = {
        see + "cls_token": _drawn(1, 1, width),
        see + "pos_embed": _drawn(1, 17, width),
        see + "patch_embed.proj.weight": _drawn(width, 3, 16, 16),
        see + "patch_embed.proj.bias": _drawn(width),
        **_norm(see + "norm", width),
        read + "embeddings.position_ids": torch.arange(64)[None],
        read + "embeddings.word_embeddings.weight": _drawn(len(BERT_WORDS) + 2, text),
        read + "embeddings.position_embeddings.weight": _drawn(64, text),
        **_norm(read + "embeddings.LayerNorm", text),
        **_linear("blip.vision_proj", width, 256),
        **_linear("blip.text_proj", text, 256),
        **head_weights(text, "mlp.layers."),
    }
    for place in range(2):
        at = f"{see}blocks.{place}."
        layers = {
            "attn.qkv": (width, 3 * width),
            "attn.proj": (width, width),
            "mlp.fc1": (width, wide),
            "mlp.fc2": (wide, width),
        }
        weights |= _norm(at + "norm1", width) | _norm(at + "norm2", width) | _layers(at, layers)
        weights |= _bert_layer(f"{read}encoder.layer.{place}.", text, width)
    return weights


def _bert_layer(at: str, text: int, seen: int) -> Weights:
    weights = _layers(at, {"intermediate.dense": (text, 64), "output.dense": (64, text)}) | _norm(
        at + "output.LayerNorm", text
    )
    for part, width in (("attention.", text), ("crossattention.", seen)):
        asked = {
            "self.query": (text, text),
            "self.key": (width, text),
            "self.value": (width, text),
            "output.dense": (text, text),
        }
        weights |= _layers(at + part, asked) | _norm(at + part + "output.LayerNorm", text)
    return weights


def _layers(at: str, sizes: Mapping[str, tuple[int, int]]) -> Weights:
    return {name: one for layer, size in sizes.items() for name, one in _linear(at + layer, *size).items()}


def _linear(name: str, into: int, out: int) -> Weights:
    return {name + ".weight": _drawn(out, into), name + ".bias": 0.1 * torch.randn(out)}


def _norm(name: str, width: int) -> Weights:
    return {name + ".weight": 1 + 0.1 * torch.randn(width), name + ".bias": 0.1 * torch.randn(width)}


def _drawn(*shape: int) -> Tensor:
    return torch.randn(shape) / math.sqrt(math.prod(shape[1:]))
