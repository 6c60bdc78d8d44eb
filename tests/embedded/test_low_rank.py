"""A low-rank change merged into a network's weights is the two thin layers beside each layer, and no other network's change passes."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from embedded import WEIGHTS
from embedded.low_rank import merge
from embedded.parts import load_consistency_unet, load_unet
from embedded.quantization import load

RANK = 2


def change(name: str, weight: Tensor) -> dict[str, Tensor]:
    """A random change of a weight [out, in] or [out, in, k, k]."""
    up = torch.randn(weight.shape[0], RANK, *[1] * (weight.dim() - 2))
    return {f"{name}.lora_A.weight": torch.randn(RANK, *weight.shape[1:]), f"{name}.lora_B.weight": up}


def test_a_merged_linear_layer_adds_b_of_a() -> None:
    torch.manual_seed(0)
    layer, x = nn.Linear(5, 3), torch.randn(4, 5)
    network, change_ = nn.Sequential(layer), change("0", layer.weight)
    expected = network(x) + x @ change_["0.lora_A.weight"].T @ change_["0.lora_B.weight"].T
    merge(network, change_, "here")
    torch.testing.assert_close(network(x), expected)


def test_a_merged_convolution_adds_b_of_a_with_its_stride_and_padding() -> None:
    torch.manual_seed(0)
    layer, x = nn.Conv2d(2, 3, 3, stride=2, padding=1), torch.randn(1, 2, 8, 8)
    network, change_ = nn.Sequential(layer), change("0", layer.weight)
    thin = functional.conv2d(x, change_["0.lora_A.weight"], stride=2, padding=1)
    expected = network(x) + functional.conv2d(thin, change_["0.lora_B.weight"])
    merge(network, change_, "here")
    torch.testing.assert_close(network(x), expected)


@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("1.lora_A.weight", "1.lora_B.weight"), "of '1' in here is no change of this network"),
        (("0.lora_A.weight",), "of '0' in here is no change of this network"),
    ],
)
def test_another_networks_change_is_refused(names: tuple[str, ...], said: str) -> None:
    with pytest.raises(RuntimeError, match=said):
        merge(nn.Sequential(nn.Linear(5, 3)), {name: torch.zeros(2, 2) for name in names}, "here")


def test_a_change_of_another_shape_is_refused() -> None:
    with pytest.raises(RuntimeError, match="another shape"):
        merge(nn.Sequential(nn.Linear(5, 3)), change("0", torch.zeros(4, 5)), "here")


def test_the_consistency_network_is_the_denoiser_with_its_change() -> None:
    stored, unet, changed = load(WEIGHTS / "consistency"), load_unet(), load_consistency_unet()
    name = "mid_block.attentions.0.transformer_blocks.0.attn2.to_k"
    before, after = (net.get_submodule(name).weight for net in (unet, changed))
    torch.testing.assert_close(
        after - before, stored[f"{name}.lora_B.weight"] @ stored[f"{name}.lora_A.weight"], atol=1e-5, rtol=1e-4
    )
