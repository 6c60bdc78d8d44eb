"""A Stable Diffusion checkpoint in diffusers format draws what diffusers draws with it: our ODE against its DDIM loop.

No published checkpoint can be fetched here: the pipeline is tiny, its weights are random, its files are diffusers' own.
"""

import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from contracts.errors import ModelUnavailable, RequestRefused
from workers.models.latent_diffusion import LatentDiffusion
from workers.models.stable_diffusion import load_stable_diffusion

LETTERS = "abcdefghijklmnopqrstuvwxyz"
STEPS, GUIDANCE = 5, 4.0


def save_pipeline(folder: Path, prediction: str) -> Path:
    """A pipeline of 16 x 16 pictures with weights drawn from a fixed seed."""
    from diffusers import AutoencoderKL, DDIMScheduler, StableDiffusionPipeline, UNet2DConditionModel  # noqa: PLC0415
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer  # noqa: PLC0415

    torch.manual_seed(0)
    words = [*LETTERS, *(letter + "</w>" for letter in LETTERS), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    tokenizer: Any = CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=16)
    text = CLIPTextConfig(
        vocab_size=len(words), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        max_position_embeddings=16, bos_token_id=len(words) - 2, eos_token_id=len(words) - 1, pad_token_id=len(words) - 1,
    )  # fmt: skip
    unet: Any = UNet2DConditionModel(
        sample_size=8, block_out_channels=(32, 64), layers_per_block=1, cross_attention_dim=32, attention_head_dim=8,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        norm_num_groups=8,
    )  # fmt: skip
    vae: Any = AutoencoderKL(
        block_out_channels=(32, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        norm_num_groups=8, latent_channels=4,
    )  # fmt: skip
    scheduler: Any = DDIMScheduler(
        beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False, steps_offset=1,
        prediction_type=prediction,
    )  # fmt: skip
    pipeline: Any = StableDiffusionPipeline(
        vae=vae, text_encoder=CLIPTextModel(text), tokenizer=tokenizer, unet=unet, scheduler=scheduler,
        safety_checker=None, feature_extractor=None, requires_safety_checker=False,
    )  # fmt: skip
    pipeline.save_pretrained(str(folder / "pipeline"))
    return folder / "pipeline"


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_pipeline(tmp_path_factory.mktemp("sd"), request.param)


@pytest.fixture
def model(folder: Path) -> LatentDiffusion:
    return load_stable_diffusion("sd", str(folder), "cpu")


@torch.inference_mode()
def test_the_plain_ode_is_diffusers_own_ddim_loop(folder: Path, model: LatentDiffusion) -> None:
    """DDIM without noise is Euler on the PF-ODE in variance-exploding coordinates, at the same noise levels."""
    from diffusers import StableDiffusionPipeline  # noqa: PLC0415

    theirs: Any = StableDiffusionPipeline.from_pretrained(str(folder), dtype=torch.float32, safety_checker=None)
    theirs.set_progress_bar_config(disable=True)
    start = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(1))
    expected: Tensor = theirs(
        "a red apple", num_inference_steps=STEPS, guidance_scale=GUIDANCE, latents=start, output_type="latent"
    ).images

    alphas = theirs.scheduler.alphas_cumprod.double()
    levels = alphas[theirs.scheduler.timesteps]
    sigmas = torch.cat([((1 - levels) / levels).sqrt(), ((1 - alphas[:1]) / alphas[:1]).sqrt() * 0])
    x = start.double() * (1 + sigmas[0] ** 2).sqrt()  # their latents are divided by sqrt(1 + sigma²)
    condition, scale = model.encode("a red apple", ""), torch.full((1,), GUIDANCE, dtype=torch.float64)
    for here, to in pairwise(sigmas):
        x0 = model.denoise(x, here[None], [condition], scale, "denoiser")
        x = x + (to - here) * (x - x0) / here
    torch.testing.assert_close(x, expected.double(), atol=2e-4, rtol=2e-4)


@torch.inference_mode()
def test_latents_become_pictures_as_in_diffusers(folder: Path, model: LatentDiffusion) -> None:
    from diffusers import StableDiffusionPipeline  # noqa: PLC0415

    theirs: Any = StableDiffusionPipeline.from_pretrained(str(folder), dtype=torch.float32, safety_checker=None)
    latents = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(2))
    decoded = theirs.vae.decode(latents / theirs.vae.config.scaling_factor, return_dict=False)[0]
    expected = theirs.image_processor.postprocess(decoded, output_type="pt")
    torch.testing.assert_close(model.decode(latents.double(), False), expected)


def test_the_card_says_what_the_checkpoint_can(model: LatentDiffusion) -> None:
    assert (model.card.width, model.card.height, model.card.size_multiple, model.card.guidance) == (16, 16, 4, 7.5)
    assert model.card.sigma_max == pytest.approx(14.6146, abs=1e-3)  # of Stable Diffusion's schedule
    assert model.latent_shape(16, 24) == (4, 12, 8)
    with pytest.raises(RequestRefused, match="multiples of 4, not 17"):
        model.latent_shape(17, 16)
    assert model.encode("abcdefghijklmn", "").cut == ()
    assert model.encode("abcdefghijklmno", "").cut == ("prompt",)
    assert model.encode("", "abcdefghijklmno").cut == ("negative prompt",)


def test_an_unknown_prediction_is_refused(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path, "sample")
    with pytest.raises(ModelUnavailable, match=r"predicts 'sample'; this family reads epsilon, v_prediction"):
        load_stable_diffusion("sd", str(folder), "cpu")


@pytest.mark.parametrize("part", ["unet", "vae", "text_encoder"])
def test_a_spoilt_file_of_a_pipeline_is_a_sentence(tmp_path: Path, part: str) -> None:
    folder = save_pipeline(tmp_path, "epsilon")
    for file in (folder / part).glob("*.safetensors"):
        file.write_bytes(b"cut short")
    with pytest.raises(
        ModelUnavailable, match=rf"the model 'sd' cannot be loaded from '{folder}' as a Stable .*check that"
    ):
        load_stable_diffusion("sd", str(folder), "cpu")


def test_weights_that_do_not_fit_their_config_are_a_sentence(tmp_path: Path) -> None:
    folder = save_pipeline(tmp_path, "epsilon")
    config = json.loads((folder / "unet" / "config.json").read_text())
    (folder / "unet" / "config.json").write_text(json.dumps(config | {"cross_attention_dim": 64}))
    with pytest.raises(ModelUnavailable, match=rf"the model 'sd' cannot be loaded from '{folder}'"):
        load_stable_diffusion("sd", str(folder), "cpu")


def test_a_pipeline_of_another_make_is_a_sentence(tmp_path: Path) -> None:
    """One whose scheduler has no noise levels of a discrete chain, as SDXL's Euler or a flow's has others."""
    folder = save_pipeline(tmp_path, "epsilon")
    index = json.loads((folder / "model_index.json").read_text())
    index["scheduler"] = ["diffusers", "FlowMatchEulerDiscreteScheduler"]
    (folder / "model_index.json").write_text(json.dumps(index))
    (folder / "scheduler" / "scheduler_config.json").write_text(
        json.dumps({"_class_name": "FlowMatchEulerDiscreteScheduler", "prediction_type": "epsilon"})
    )
    with pytest.raises(ModelUnavailable, match=rf"the model 'sd' cannot be loaded from '{folder}'.*check that"):
        load_stable_diffusion("sd", str(folder), "cpu")


def test_a_full_device_is_a_sentence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from diffusers import UNet2DConditionModel  # noqa: PLC0415

    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 MiB.")

    monkeypatch.setattr(UNet2DConditionModel, "to", full)
    with pytest.raises(ModelUnavailable, match=r"does not fit into the device's memory: .*MAXWELL_DEVICE"):
        load_stable_diffusion("sd", str(folder), "cpu")
