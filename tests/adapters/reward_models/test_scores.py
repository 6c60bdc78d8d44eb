"""Each reward model's score is that of its authors' own arithmetic, on one checkpoint in the layout they published: to 1e-5."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor

from reward_adapters.reward_models import aesthetic, clip, hpsv2, imagereward, pickscore
from reward_adapters.reward_models.dinov2 import DinoFeatures
from reward_adapters.reward_models.judge import RewardJudge

from ..pictures import ask, encoded
from .originals import image_reward, open_clip_cosine
from .seeing import as_bytes, clip_sees, dino_sees, hps_sees, image_reward_sees, noisy
from .tiny import HEADS, MED, settings
from .tokenizers import END, LETTERS, START

Checkpoints = Mapping[str, dict[str, str]]
CLOSE = 1e-5
REAL_HPS, REAL_BLIP = hpsv2.ARCHITECTURE, imagereward.VISION  # before the fixture puts the tiny ones in their place
IMAGES = [noisy(*size, seed=seed) for seed, size in enumerate([(90, 90)] * 3)] + [
    Image.new("RGB", (90, 90), color) for color in ("red", "white", "navy")
]
WIDE = [noisy(120, 70, seed=seed) for seed in range(3)]
PROMPT = "A RED  apple!"
LETTER_A, LETTER_BANG = LETTERS + ord("a") - ord("!"), LETTERS  # as the last letters of a word
CLIP_IDS = [START, LETTER_A, 2 * LETTERS + 1, 2 * LETTERS + 5, LETTER_BANG, END]  # a, red, apple, !
BERT_IDS = [2, 5, 6, 7, 8, 9, 3]  # [CLS] a red app ##le ! [SEP]


async def scored(judge: RewardJudge, images: list[Image.Image], prompt: str = PROMPT) -> Tensor:
    """What the judge says of these pictures."""
    verdict = await judge.score(ask(judge.card, len(images), prompt=prompt), [encoded(one) for one in images])
    return torch.tensor(verdict.scores)


def same(ours: Tensor, theirs: Tensor) -> None:
    """To 1e-5; and pictures differ by far more than that, so that it means something."""
    torch.testing.assert_close(ours, theirs, atol=CLOSE, rtol=0)
    assert float(theirs.std()) > 1000 * CLOSE


def clip_model(checkpoints: Checkpoints) -> Any:
    """The tiny CLIP, by the library alone."""
    from transformers import CLIPModel  # noqa: PLC0415

    return CLIPModel.from_pretrained(checkpoints["clip"]["MAXWELL_JUDGE_CLIP_MODEL"])


def padded(ids: list[int], pad: int) -> Tensor:
    """To 77, as CLIP's callers do it."""
    return torch.tensor(ids + [pad] * (77 - len(ids)))


@pytest.mark.parametrize("images", [IMAGES, WIDE], ids=["square", "wide"])
async def test_clip_is_the_cosine_and_pickscore_the_librarys_logit(
    checkpoints: Checkpoints, images: list[Image.Image]
) -> None:
    with torch.no_grad():
        seen = clip_model(checkpoints)(input_ids=padded(CLIP_IDS, END)[None], pixel_values=clip_sees(images, 56))
    logits = seen.logits_per_image[:, 0]
    same(await scored(pickscore.judge(checkpoints["pickscore"]), images), logits)
    cosines = torch.nn.functional.cosine_similarity(seen.image_embeds, seen.text_embeds)
    same(await scored(clip.judge(checkpoints["clip"]), images), cosines)
    torch.testing.assert_close(logits / cosines, torch.full_like(logits, math.exp(2.6592)), atol=1e-3, rtol=0)


@pytest.mark.parametrize("images", [IMAGES, WIDE], ids=["square", "wide"])
async def test_hpsv2_is_open_clips_cosine(checkpoints: Checkpoints, images: list[Image.Image]) -> None:
    weights = torch.load(checkpoints["hpsv2"]["MAXWELL_JUDGE_HPSV2_MODEL"], weights_only=True)["state_dict"]
    expected = open_clip_cosine(weights, hps_sees(images, 56), padded(CLIP_IDS, 0), HEADS)
    same(await scored(hpsv2.judge(checkpoints["hpsv2"]), images), expected)
    same(await scored(hpsv2.judge(checkpoints["hpsv2"]), images, "A RED  apple&amp;#33;"), expected)


async def test_hpsv2_takes_ports_of_its_weights_too(checkpoints: Checkpoints, folder: Path, tmp_path: Path) -> None:
    """imscore's file has open_clip's names behind `model.`, others are folders of `transformers`."""
    weights = torch.load(checkpoints["hpsv2"]["MAXWELL_JUDGE_HPSV2_MODEL"], weights_only=True)["state_dict"]
    file = tmp_path / "model.safetensors"
    save_file({f"model.{name}": one for name, one in weights.items()}, file)
    expected = await scored(hpsv2.judge(checkpoints["hpsv2"]), IMAGES)
    same(await scored(hpsv2.judge(settings("hpsv2", model=file, tokenizer=folder / "clip")), IMAGES), expected)
    with torch.no_grad():
        seen = clip_model(checkpoints)(input_ids=padded(CLIP_IDS, END)[None], pixel_values=hps_sees(IMAGES, 56))
    ours = await scored(hpsv2.judge(settings("hpsv2", model=folder / "clip")), IMAGES)
    same(ours, torch.nn.functional.cosine_similarity(seen.image_embeds, seen.text_embeds))


async def test_aesthetic_is_the_perceptron_on_clips_unit_vector(checkpoints: Checkpoints, tmp_path: Path) -> None:
    weights = torch.load(checkpoints["aesthetic"]["MAXWELL_JUDGE_AESTHETIC_MODEL"], weights_only=True)
    with torch.no_grad():
        x = clip_model(checkpoints)(
            input_ids=padded(CLIP_IDS, END)[None], pixel_values=clip_sees(IMAGES, 56)
        ).image_embeds
    torch.testing.assert_close(x.norm(dim=-1), torch.ones(len(x)))
    for place in (0, 2, 4, 6, 7):
        x = torch.nn.functional.linear(x, weights[f"layers.{place}.weight"], weights[f"layers.{place}.bias"])
    same(await scored(aesthetic.judge(checkpoints["aesthetic"]), IMAGES), x[:, 0])
    same(await scored(aesthetic.judge(checkpoints["aesthetic"]), IMAGES, "another prompt"), x[:, 0])
    save_file(weights, tmp_path / "head.safetensors")
    again = checkpoints["aesthetic"] | settings("aesthetic", model=tmp_path / "head.safetensors")
    same(await scored(aesthetic.judge(again), IMAGES), x[:, 0])


@pytest.mark.parametrize("images", [IMAGES, WIDE], ids=["square", "wide"])
async def test_imagereward_is_the_authors_reward(checkpoints: Checkpoints, images: list[Image.Image]) -> None:
    folder = Path(checkpoints["imagereward"]["MAXWELL_JUDGE_IMAGEREWARD_MODEL"])
    weights = torch.load(folder / "ImageReward.pt", weights_only=True)
    ids, mask = (torch.tensor(one + [0] * (35 - len(one))) for one in (BERT_IDS, [1] * len(BERT_IDS)))
    heads = (HEADS, MED["num_attention_heads"])
    expected = image_reward(weights, image_reward_sees(images, 64), ids, mask, heads)
    same(await scored(imagereward.judge(checkpoints["imagereward"]), images), expected)


@pytest.mark.parametrize(
    ("name", "ids", "long"),
    [("clip", CLIP_IDS, [START, *[LETTER_A] * 75, END]), ("imagereward", BERT_IDS, [2, *[5] * 33, 3])],
)
def test_prompts_become_the_tokens_worked_out_by_hand_and_are_cut_at_the_networks_length(
    checkpoints: Checkpoints, monkeypatch: pytest.MonkeyPatch, name: str, ids: list[int], long: list[int]
) -> None:
    judges: dict[str, Callable[[dict[str, str]], RewardJudge]] = {"clip": clip.judge, "imagereward": imagereward.judge}
    network: Any = judges[name](checkpoints[name])._loaded()
    text = network.model.text_model if name == "clip" else network.text
    read: list[list[int]] = []
    forward = text.forward

    def watched(input_ids: Tensor, **more: Any) -> Any:
        read.append(input_ids[0].tolist())
        return forward(input_ids=input_ids, **more)

    monkeypatch.setattr(text, "forward", watched)
    for prompt in (PROMPT, "a " * 300):
        network.measure(prompt)(as_bytes(IMAGES[0]))
    assert read == [ids, long]


def test_dinos_features_are_its_pooled_class_token(tmp_path: Path) -> None:
    from transformers import Dinov2Config, Dinov2Model  # noqa: PLC0415

    model = Dinov2Model(
        Dinov2Config(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, image_size=224, patch_size=14)
    ).eval()
    model.save_pretrained(tmp_path)
    with torch.no_grad():
        ours, theirs = DinoFeatures.load(str(tmp_path)).of(as_bytes(*IMAGES)), model(dino_sees(IMAGES)).pooler_output
    cosines = torch.nn.functional.cosine_similarity(theirs[:, None], theirs[None], dim=-1)
    torch.testing.assert_close(ours @ ours.T, cosines, atol=CLOSE, rtol=0)
    assert float(cosines.std()) > 100 * CLOSE


def test_the_fixed_sizes_are_those_of_the_published_networks() -> None:
    """open_clip counts 986.11 M parameters of ViT-H-14; timm 303.3 M of ViT-L/16 with 224 px and without its classifier."""
    from transformers import BlipVisionConfig, BlipVisionModel, CLIPConfig, CLIPModel  # noqa: PLC0415

    with torch.device("meta"):
        clip_size = sum(one.numel() for one in CLIPModel(CLIPConfig(**REAL_HPS)).parameters())
        blip_size = sum(one.numel() for one in BlipVisionModel(BlipVisionConfig(**REAL_BLIP)).parameters())
    assert round(clip_size / 1e6, 2) == 986.11
    assert round(blip_size / 1e6, 1) == 303.3
