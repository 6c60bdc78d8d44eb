"""Eight-bit storage of weights: rows of int8 with one float32 scale each. It knows tensors by name, no network.

A stored matrix row is round(w / scale) in -127..127 with scale = max|w| / 127; small and one-dimensional tensors stay as they are.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

SCALE = "::scale"
REPAIR = "in a checkout, git checkout -- embedded/weights restores it"
_SMALL = 4096  # elements; below this nothing is gained


def quantize(weights: dict[str, Tensor], small: int = _SMALL) -> dict[str, Tensor]:
    """The state dict as it is stored: int8 rows with `name::scale` beside them, float16 or float32 for the rest.

    Matrices of at most `small` elements are part of the rest.
    """
    stored: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        w = tensor.detach().float().cpu()
        if w.dim() < 2 or w.numel() <= small:
            stored[name] = w.half() if w.numel() > _SMALL else w.contiguous()
            continue
        scale = w.flatten(1).abs().amax(1).clamp_min(1e-8) / 127
        stored[name] = (w / _per_row(scale, w)).round().clamp(-127, 127).to(torch.int8).contiguous()
        stored[name + SCALE] = scale
    return stored


def dequantize(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state dict in float32."""
    weights: dict[str, Tensor] = {}
    for name, tensor in stored.items():
        if not name.endswith(SCALE):
            scale = stored.get(name + SCALE)
            weights[name] = tensor.float() if scale is None else tensor.float() * _per_row(scale, tensor)
    return weights


def load(folder: Path) -> dict[str, Tensor]:
    """All `*.safetensors` of a folder as one float32 state dict.

    FileNotFoundError names the folder where there is none, RuntimeError the file that is cut off or damaged.
    """
    from safetensors import SafetensorError  # noqa: PLC0415 - heavy, and only loaders need it
    from safetensors.torch import load_file  # noqa: PLC0415

    files = sorted(folder.glob("*.safetensors"))
    if not files:
        raise FileNotFoundError(
            f"no *.safetensors in {folder}, so the checkout or the installed package lacks its weights: {REPAIR}"
        )
    stored: dict[str, Tensor] = {}
    for file in files:
        try:
            stored.update(load_file(file))
        except SafetensorError as error:
            raise RuntimeError(f"{file} is cut off or damaged ({error}): {REPAIR}") from error
    return dequantize(stored)


def fill(network: nn.Module, folder: Path, dtype: torch.dtype = torch.float32) -> None:
    """Give a network the weights of a folder, in `dtype`. Raises as `load`; RuntimeError where they are not all of its own."""
    weights = {name: weight.to(dtype) for name, weight in load(folder).items()}
    try:
        network.load_state_dict(weights, strict=True, assign=True)
    except RuntimeError as error:
        wanted = network.state_dict()
        lacking, foreign = wanted.keys() - weights.keys(), weights.keys() - wanted.keys()
        raise RuntimeError(
            f"the files in {folder} are not the weights of the network that its config.json describes "
            f"({len(lacking)} tensors are missing, {len(foreign)} unknown, or their shapes differ): {REPAIR}"
        ) from error


def _per_row(scale: Tensor, tensor: Tensor) -> Tensor:
    return scale.view(-1, *[1] * (tensor.dim() - 1))
