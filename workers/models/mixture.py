"""A Gaussian mixture whose denoiser is known in closed form: the test bed of every sampler, and the mathematics of `toy`.

It knows exact answers; it knows no wrapper, no sampler and no picture.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class GaussianMixture:
    """p(x0) = sum_m weights_m N(means_m, stds_m² I): weights [M] sum to 1, means [M, c, h, w], stds [M]; float64."""

    weights: Tensor
    means: Tensor
    stds: Tensor

    def denoise(self, x: Tensor, sigma: Tensor) -> Tensor:
        """D(x; sigma) = E[x0 | x], exactly: [rows, c, h, w] for x = x0 + sigma·z at noise levels sigma [rows]."""
        s2 = self.stds[None] ** 2  # [1, M]
        total = s2 + sigma[:, None] ** 2  # [rows, M]: the variance of x under component m
        offsets = x[:, None] - self.means[None]  # [rows, M, c, h, w]
        shrink = (s2 / total)[..., None, None, None]
        by_component = self.means[None] + shrink * offsets
        return (self.responsibilities(x, sigma)[..., None, None, None] * by_component).sum(1)

    def responsibilities(self, x: Tensor, sigma: Tensor) -> Tensor:
        """p(m | x), [rows, M]."""
        total = self.stds[None] ** 2 + sigma[:, None] ** 2
        distance = ((x[:, None] - self.means[None]) ** 2).flatten(2).sum(2)
        n = self.means[0].numel()
        return torch.softmax(self.weights.log()[None] - distance / (2 * total) - n / 2 * total.log(), 1)

    def eps(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What a perfect epsilon network answers."""
        return (x - self.denoise(x, sigma)) / sigma.view(-1, 1, 1, 1)

    def v(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What a perfect v network answers: alpha·eps - sigma_vp·x0 with alpha² + sigma_vp² = 1, sigma_vp / alpha = sigma."""
        s = sigma.view(-1, 1, 1, 1)
        return (self.eps(x, sigma) - s * self.denoise(x, sigma)) / (1 + s**2).sqrt()

    def flow(self, x: Tensor, sigma: Tensor) -> Tensor:
        """What a perfect rectified-flow network answers: z - x0."""
        return self.eps(x, sigma) - self.denoise(x, sigma)

    def mean(self) -> Tensor:
        """E[x0], [c, h, w]."""
        return (self.weights.view(-1, 1, 1, 1) * self.means).sum(0)
