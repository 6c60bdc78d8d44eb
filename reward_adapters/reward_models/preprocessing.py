"""What each network wants to see: pictures [n, 3, h, w] of bytes to pixels as its authors made them, a batch at a time, on its device.

It knows no network's weights. Resizing rounds like Pillow does, after each direction, where the authors resized with Pillow;
HPSv2's resized tensors, so its overshoots and fractions stay.
"""

import functools
from typing import TYPE_CHECKING

from contracts.errors import JudgeError

if TYPE_CHECKING:
    from torch import Tensor

CLIP_MEAN, CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
DINO_SIDE, DINO_RESIZED = 224, 256
LONGEST = 16384  # px of the longer side once the shorter one is the network's: a line is no picture, and would fill the device


def clip_pixels(pictures: "Tensor", side: int) -> "Tensor":
    """As CLIP's image processor: shorter side to `side`, its middle, CLIP's mean and deviation. [n, 3, side, side] float32."""
    return normalised(middle(shorter_side(pictures, side), side) / 255, CLIP_MEAN, CLIP_STD)


def blip_pixels(pictures: "Tensor", side: int) -> "Tensor":
    """As ImageReward's `_transform`: CLIP's, but for torchvision's way to cut out the middle."""
    return normalised(middle(shorter_side(pictures, side), side, nearest=True) / 255, CLIP_MEAN, CLIP_STD)


def dino_pixels(pictures: "Tensor") -> "Tensor":
    """As DINOv2's image processor: shorter side to 256, the middle 224, ImageNet's mean and deviation."""
    return normalised(middle(shorter_side(pictures, DINO_RESIZED), DINO_SIDE) / 255, IMAGENET_MEAN, IMAGENET_STD)


def hps_pixels(pictures: "Tensor", side: int) -> "Tensor":
    """As HPSv2's `ResizeMaxSize`: longer side to `side`, black around the rest, then CLIP's mean and deviation."""
    from torch.nn import functional  # noqa: PLC0415

    height, width = pictures.shape[-2:]
    scale = side / max(height, width)
    h, w = (max(1, round(one * scale)) for one in (height, width))
    small = pictures.float() / 255
    if scale != 1:
        small = functional.interpolate(small, (h, w), mode="bicubic", antialias=True)
    above, before = (side - h) // 2, (side - w) // 2
    padded = functional.pad(small, (before, side - w - before, above, side - h - above))
    return normalised(padded, CLIP_MEAN, CLIP_STD)


def shorter_side(pictures: "Tensor", side: int) -> "Tensor":
    """Resized so that the shorter side is `side`, as Pillow's bicubic does it: float32, whole numbers from 0 to 255.

    Raises JudgeError for a picture that is much longer than wide.
    """
    height, width = pictures.shape[-2:]
    longer = int(side * max(height, width) / min(height, width))
    if longer > LONGEST:
        raise JudgeError(f"a picture of {width} x {height} pixels is too long and narrow to be judged")
    return resized(pictures, (longer, side) if height > width else (side, longer))


def resized(pictures: "Tensor", size: tuple[int, int]) -> "Tensor":
    """Bicubic and antialiased along the rows, rounded to bytes, then along the columns: Pillow's `resize`, byte for byte.

    Pillow 13 begins with the columns where a picture is more than twice as high as wide; the networks were taught before it did.
    """
    now = pictures.double()
    if size[1] != now.shape[-1]:
        now = _rounded(now @ _pillow_weights(now.shape[-1], size[1]).T.to(now.device))
    if size[0] != now.shape[-2]:
        now = _rounded(_pillow_weights(now.shape[-2], size[0]).to(now.device) @ now)
    return now.float()


def _rounded(values: "Tensor") -> "Tensor":
    return (values + 0.5).floor().clamp(0, 255)


@functools.lru_cache(maxsize=64)
def _pillow_weights(many: int, few: int) -> "Tensor":
    """[few, many] float64: how much of each pixel goes into each new one, in Pillow's steps of 2^-22 (its `Resample.c`).

    torch's own antialiasing is as good and as fast, but off by a byte at one in some thousand.
    """
    import torch  # noqa: PLC0415

    scale = many / few
    wide = max(scale, 1.0)
    center = (torch.arange(few, dtype=torch.float64)[:, None] + 0.5) * scale
    pixel = torch.arange(many, dtype=torch.float64)
    reached = (pixel >= (center - 2 * wide + 0.5).floor()) & (pixel < (center + 2 * wide + 0.5).floor())
    weights = torch.where(reached, _bicubic((pixel - center + 0.5) / wide), 0.0)
    steps = weights / weights.sum(dim=1, keepdim=True) * 2**22
    return (steps.abs() + 0.5).floor() * steps.sign() / 2**22


def _bicubic(x: "Tensor") -> "Tensor":
    """Keys' cubic with a = -0.5."""
    import torch  # noqa: PLC0415

    x = x.abs()
    near, far = (1.5 * x - 2.5) * x * x + 1, ((-0.5 * x + 2.5) * x - 4) * x + 2
    return torch.where(x < 1, near, torch.where(x < 2, far, 0.0))


def middle(pictures: "Tensor", side: int, nearest: bool = False) -> "Tensor":
    """The square in the middle. An odd rest is halved downwards, or, as torchvision does, to the nearest even number."""
    height, width = pictures.shape[-2:]
    top, left = (round(rest / 2) if nearest else rest // 2 for rest in (height - side, width - side))
    return pictures[..., top : top + side, left : left + side]


def normalised(pixels: "Tensor", mean: tuple[float, ...], std: tuple[float, ...]) -> "Tensor":
    """Less the mean, over the deviation, of each channel."""
    return (pixels - pixels.new_tensor(mean)[:, None, None]) / pixels.new_tensor(std)[:, None, None]
