"""Low-rank changes of a network's weights (LoRA, Hu et al. 2021): W' = W + B·A. It knows tensors by name, no network in particular.

Stored as peft does: of the module `m`, `m.lora_A.weight` [r, in] or [r, in, k, k] and `m.lora_B.weight` [out, r] or [out, r, 1, 1].
"""

import torch
from torch import Tensor, nn

from .quantization import REPAIR

DOWN, UP = ".lora_A.weight", ".lora_B.weight"


def merge(network: nn.Module, change: dict[str, Tensor], source: str) -> None:
    """Add the changes to the network's weights in place. RuntimeError where they are another network's, naming the `source`."""
    modules = dict(network.named_modules())
    names = {name.removesuffix(DOWN).removesuffix(UP) for name in change}
    with torch.no_grad():
        for name in sorted(names):
            weight = getattr(modules.get(name), "weight", None)
            if weight is None or name + DOWN not in change or name + UP not in change:
                raise RuntimeError(
                    f"the low-rank change of {name!r} in {source} is no change of this network: {REPAIR}"
                )
            down, up = change[name + DOWN].float(), change[name + UP].float()
            product = up.flatten(1) @ down.flatten(1)
            if product.numel() != weight.numel():
                raise RuntimeError(
                    f"the low-rank change of {name!r} in {source} has another shape than its weight: {REPAIR}"
                )
            weight += product.view_as(weight).to(weight)
