"""Noise as a function of (seed, step, candidate): counter-based, so there is no generator to save. It knows no schedule.

Philox-4x32-10 (Salmon et al., "Parallel Random Numbers: As Easy as 1, 2, 3", SC 2011) gives the bits, Box-Muller in
float64 the normal numbers. Drawn on the CPU: the same on any machine, at any time, in any order.
"""

import math

import torch
from torch import Tensor

_MULTIPLIERS = (0xD2511F53, 0xCD9E8D57)
_KEY_INCREMENTS = (0x9E3779B9, 0xBB67AE85)
_MASK = 0xFFFFFFFF
_START = _MASK  # the step number reserved for the start noise x_T


def philox(counter: Tensor, key: tuple[int, int]) -> Tensor:
    """Philox-4x32-10: counters [..., 4] and a key, all 32-bit words held in int64, to random words [..., 4]."""
    c0, c1, c2, c3 = counter.unbind(-1)
    k0, k1 = key
    for _ in range(10):
        high0, low0 = _multiply(c0, _MULTIPLIERS[0])
        high1, low1 = _multiply(c2, _MULTIPLIERS[1])
        c0, c1, c2, c3 = high1 ^ c1 ^ k0, low1, high0 ^ c3 ^ k1, low0
        k0, k1 = (k0 + _KEY_INCREMENTS[0]) & _MASK, (k1 + _KEY_INCREMENTS[1]) & _MASK
    return torch.stack([c0, c1, c2, c3], -1)


def noise(seed: int, step: int, candidate: int, shape: tuple[int, ...]) -> Tensor:
    """Standard normal z of this shape, float64: candidate number `candidate` of step number `step`."""
    return _normal(seed, step, torch.tensor([candidate]), shape)[0]


def noises(seed: int, step: int, candidates: int, shape: tuple[int, ...]) -> Tensor:
    """The noises z^(1..K) of one step, [K, *shape]."""
    return _normal(seed, step, torch.arange(candidates), shape)


def start_noise(seed: int, candidates: int, shape: tuple[int, ...]) -> Tensor:
    """The noises that a job starts from, [K, *shape]. The first is shared by every method: steered and plain picture start alike."""
    return noises(seed, _START, candidates, shape)


def coin(seed: int, step: int) -> bool:
    """Heads or tails of one step, from a word that no noise uses."""
    counter = torch.tensor([0, _START, step & _MASK, 0])
    return bool(philox(counter, (seed & _MASK, (seed >> 32) & _MASK))[0] & 1)


def _normal(seed: int, step: int, candidates: Tensor, shape: tuple[int, ...]) -> Tensor:
    n = math.prod(shape)
    blocks = (n + 1) // 2  # 4 words make 2 uniforms make 2 normals
    counter = torch.zeros(len(candidates), blocks, 4, dtype=torch.int64)
    counter[..., 0] = torch.arange(blocks)
    counter[..., 1] = candidates[:, None]
    counter[..., 2] = step & _MASK
    words = philox(counter, (seed & _MASK, (seed >> 32) & _MASK))
    u = ((words[..., 0::2] << 20 | words[..., 1::2] >> 12).double() + 0.5) / 2.0**52  # 52 bits: exact, never 0 or 1
    radius, angle = (-2 * u[..., 0].log()).sqrt(), 2 * math.pi * u[..., 1]
    z = torch.stack([radius * angle.cos(), radius * angle.sin()], -1)
    return z.flatten(1)[:, :n].reshape(-1, *shape)


def _multiply(a: Tensor, m: int) -> tuple[Tensor, Tensor]:
    """High and low 32 bits of the 64-bit product, in int64 without losing bits: m is split in two halves of 16 bits."""
    by_low, by_high = a * (m & 0xFFFF), a * (m >> 16)
    return (by_high + (by_low >> 16)) >> 16, ((by_high << 16) + by_low) & _MASK
