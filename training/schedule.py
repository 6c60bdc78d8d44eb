"""The noise schedule of the embedded model: 1,000 variance-preserving levels, scaled linear. It knows numbers, no network.

Stable Diffusion's form of betas (Rombach et al. 2022) with a larger end: sigma = sqrt((1 - a) / a) runs from 0.029 to 79.4,
so that the noisiest level hides even a flat background.
"""

import torch

LEVELS = 1000
BETAS = torch.linspace(0.00085**0.5, 0.021**0.5, LEVELS, dtype=torch.float64) ** 2
ALPHAS = torch.cumprod(1 - BETAS, 0)  # the share of the picture's variance in x = sqrt(a)·z + sqrt(1 - a)·eps
SIGMAS = ((1 - ALPHAS) / ALPHAS).sqrt()
