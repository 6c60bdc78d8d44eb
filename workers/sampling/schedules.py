"""Noise levels sigma_0 > … > sigma_T = 0 of a run. It knows no solver."""

import torch
from torch import Tensor


def karras(steps: int, sigma_min: float, sigma_max: float, rho: float = 7.0) -> Tensor:
    """sigmas [steps + 1], float64: Karras et al. 2022 (EDM), eq. 5, from sigma_max to sigma_min, then 0."""
    ramp = torch.linspace(0, 1, steps, dtype=torch.float64)
    high, low = sigma_max ** (1 / rho), sigma_min ** (1 / rho)
    return torch.cat([(high + ramp * (low - high)) ** rho, torch.zeros(1, dtype=torch.float64)])
