"""A network whose weights stay and whose low-rank changes are trained. It knows linear and convolution layers, no loss."""

from typing import Any

from torch import Tensor, nn

from embedded.low_rank import DOWN, UP


class LowRank(nn.Module):
    """`base` and beside it B·A with `rank` channels between; nothing at first, for B is zero."""

    def __init__(self, base: nn.Linear | nn.Conv2d, rank: int) -> None:
        super().__init__()
        self.base = base
        if isinstance(base, nn.Linear):
            self.lora_A: nn.Module = nn.Linear(base.in_features, rank, bias=False)
            self.lora_B: nn.Module = nn.Linear(rank, base.out_features, bias=False)
        else:
            size: Any = base.kernel_size
            stride: Any = base.stride
            padding: Any = base.padding
            self.lora_A = nn.Conv2d(base.in_channels, rank, size, stride, padding, bias=False)
            self.lora_B = nn.Conv2d(rank, base.out_channels, 1, bias=False)
        nn.init.zeros_(self.lora_B.weight)

    def forward(self, x: Tensor) -> Tensor:
        changed: Tensor = self.base(x) + self.lora_B(self.lora_A(x))
        return changed


def adapted(network: nn.Module, rank: int) -> nn.Module:
    """The network with all its linear and convolution layers made LowRank, in place; only the changes can be trained."""
    network.requires_grad_(False)
    for parent in list(network.modules()):
        if isinstance(parent, LowRank):
            continue
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.Linear | nn.Conv2d):
                setattr(parent, name, LowRank(child, rank))
    return network


def change_of(network: nn.Module) -> dict[str, Tensor]:
    """The changes alone, by the names of the network without them."""
    return {name: tensor for name, tensor in network.state_dict().items() if name.endswith((DOWN, UP))}
