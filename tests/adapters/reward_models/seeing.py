"""How the originals see pictures: Pillow and the processors of `transformers` on it, one picture at a time. It knows nothing of ours."""

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def noisy(width: int, height: int, seed: int = 0) -> Image.Image:
    """A picture with every frequency in it: what any other filter or crop would change."""
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def as_bytes(*images: Image.Image) -> Tensor:
    """[n, 3, h, w]"""
    return torch.from_numpy(np.stack([np.asarray(one) for one in images])).permute(0, 3, 1, 2)


def clip_sees(images: list[Image.Image], side: int) -> Tensor:
    """CLIPImageProcessorPil."""
    from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil  # noqa: PLC0415

    kind = CLIPImageProcessorPil(size={"shortest_edge": side}, crop_size={"height": side, "width": side})
    pixels: Tensor = kind(images, return_tensors="pt")["pixel_values"]
    return pixels


def dino_sees(images: list[Image.Image]) -> Tensor:
    """The processor of facebook/dinov2-base, as its preprocessor_config.json sets it."""
    from transformers.models.bit.image_processing_pil_bit import BitImageProcessorPil  # noqa: PLC0415

    kind = BitImageProcessorPil(
        size={"shortest_edge": 256},
        crop_size={"height": 224, "width": 224},
        image_mean=[0.485, 0.456, 0.406],
        image_std=[0.229, 0.224, 0.225],
        resample=3,
    )
    pixels: Tensor = kind(images, return_tensors="pt")["pixel_values"]
    return pixels


def image_reward_sees(images: list[Image.Image], side: int) -> Tensor:
    """`_transform` of ImageReward.py: Resize, CenterCrop (torchvision rounds its corner), ToTensor, Normalize."""
    seen = []
    for image in images:
        width, height = image.size
        long = int(side * max(width, height) / min(width, height))
        small = image.resize((long, side) if width > height else (side, long), Image.Resampling.BICUBIC)
        left, top = (int(round((one - side) / 2.0)) for one in small.size)  # noqa: RUF046 - as torchvision writes it
        seen.append(
            _normal(np.asarray(small.crop((left, top, left + side, top + side)), dtype=np.float32) / np.float32(255))
        )
    return torch.stack(seen)


def hps_sees(images: list[Image.Image], side: int) -> Tensor:
    """ToTensor, `ResizeMaxSize` on the tensor, Normalize: Pillow resizes floats too, channel by channel."""
    seen = []
    for image in images:
        scale = side / float(max(image.size))
        small = (round(image.width * scale), round(image.height * scale))
        pixels = np.asarray(image, dtype=np.float32) / 255
        floats = [
            Image.fromarray(np.ascontiguousarray(pixels[..., k])).resize(small, Image.Resampling.BICUBIC)
            for k in range(3)
        ]
        padded = np.zeros((side, side, 3), dtype=np.float32)
        top, left = (side - small[1]) // 2, (side - small[0]) // 2
        padded[top : top + small[1], left : left + small[0]] = np.stack([np.asarray(one) for one in floats], axis=-1)
        seen.append(_normal(padded))
    return torch.stack(seen)


def _normal(pixels: NDArray[np.float32]) -> Tensor:
    return torch.from_numpy((pixels - np.array(MEAN, np.float32)) / np.array(STD, np.float32)).permute(2, 0, 1)
