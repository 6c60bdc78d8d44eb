"""Every network as one denoiser D(x; sigma) in variance-exploding coordinates: epsilon, v and rectified flow. Guidance.

It knows how a network's answer becomes x0 (Karras et al. 2022, section 5: c_skip, c_out, c_in, c_noise); it knows no network,
no prompt and no device. The network's own dtype begins and ends in `denoise`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

Network = Callable[[Tensor, Tensor], Tensor]
"""(c_in·x [rows, c, h, w], c_noise [rows]) to its prediction [rows, c, h, w]."""


@dataclass(frozen=True, eq=False)
class Scalings:
    """D(x; sigma) = c_skip·x + c_out·F(c_in·x; c_noise), one number a row each, [rows]."""

    c_skip: Tensor
    c_out: Tensor
    c_in: Tensor
    c_noise: Tensor


class Prediction(Protocol):
    """What a network was trained to predict, and the noise levels it knows."""

    @property
    def sigma_min(self) -> float:
        """The lowest noise level the network was trained at."""

    @property
    def sigma_max(self) -> float:
        """The highest one."""

    def scalings(self, sigma: Tensor) -> Scalings:
        """The scalings at sigma [rows] float64."""


def denoise(prediction: Prediction, network: Network, x: Tensor, sigma: Tensor) -> Tensor:
    """D(x; sigma), x0 [rows, c, h, w] in x's dtype, for x [rows, c, h, w] at noise levels sigma [rows], float64."""
    s = prediction.scalings(sigma)
    answer = network(_rows(s.c_in, x) * x, s.c_noise).to(x.dtype)
    return _rows(s.c_skip, x) * x + _rows(s.c_out, x) * answer


def guided(conditional: Tensor, unconditional: Tensor, scale: Tensor) -> Tensor:
    """Classifier-free guidance (Ho and Salimans 2022), one scale [rows] a row; 1 is the conditional answer alone.

    The same for a network's answers and for its x0, for one is an affine function of the other.
    """
    return unconditional + _rows(scale.to(conditional), conditional) * (conditional - unconditional)


class Timesteps:
    """The noise levels of a discrete variance-preserving chain, and fractional time steps between them.

    alphas_cumprod [n] float64: x_t = sqrt(a_t)·x0 + sqrt(1 - a_t)·z, hence sigma_t = sqrt((1 - a_t) / a_t).
    """

    def __init__(self, alphas_cumprod: Tensor) -> None:
        a = alphas_cumprod.double()
        self._log_sigmas = ((1 - a) / a).log() / 2
        self.sigma_min, self.sigma_max = (float(self._log_sigmas[i].exp()) for i in (0, -1))

    def at(self, sigma: Tensor) -> Tensor:
        """The time step t [rows], float64, of sigma [rows]: linear in log sigma between two steps, the ends beyond them."""
        log_sigma = sigma.double().log()
        upper = torch.searchsorted(self._log_sigmas, log_sigma).clamp(1, len(self._log_sigmas) - 1)
        low, high = self._log_sigmas[upper - 1], self._log_sigmas[upper]
        return upper - 1 + ((log_sigma - low) / (high - low)).clamp(0, 1)


class _OnTimesteps:
    def __init__(self, timesteps: Timesteps) -> None:
        self._timesteps = timesteps
        self.sigma_min, self.sigma_max = timesteps.sigma_min, timesteps.sigma_max


class Eps(_OnTimesteps):
    """The network predicts the noise: x0 = x - sigma·eps (DDPM, Stable Diffusion 1, SDXL)."""

    def scalings(self, sigma: Tensor) -> Scalings:
        return Scalings(torch.ones_like(sigma), -sigma, 1 / (sigma**2 + 1).sqrt(), self._timesteps.at(sigma))


class V(_OnTimesteps):
    """The network predicts v = alpha·eps - sigma·x0 (Salimans and Ho 2022; Stable Diffusion 2, the embedded model)."""

    def scalings(self, sigma: Tensor) -> Scalings:
        q = sigma**2 + 1
        return Scalings(1 / q, -sigma / q.sqrt(), 1 / q.sqrt(), self._timesteps.at(sigma))


@dataclass(frozen=True)
class Flow:
    """The network predicts z - x0 on the straight line x_t = (1 - t)·x0 + t·z (rectified flow: SD 3, Flux).

    Divided by 1 - t the line is x0 + sigma·z with sigma = t / (1 - t). At t = 1 there is no sigma, so t ends below it.
    `time_scale`: what the network calls t = 1, e.g. 1000.
    """

    t_min: float = 1e-3
    t_max: float = 0.999
    time_scale: float = 1.0

    @property
    def sigma_min(self) -> float:
        return self.t_min / (1 - self.t_min)

    @property
    def sigma_max(self) -> float:
        return self.t_max / (1 - self.t_max)

    def scalings(self, sigma: Tensor) -> Scalings:
        q = 1 + sigma
        return Scalings(1 / q, -sigma / q, 1 / q, self.time_scale * sigma / q)


def _rows(number: Tensor, like: Tensor) -> Tensor:
    return number.view(-1, *[1] * (like.dim() - 1))
