"""All numbers of a run that do not change while it runs. It knows no request and no model."""

from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Preset = Literal["fast", "paper"]
Weights = Literal["tanh", "boltzmann", "rank"]
Solver = Literal["heun", "dpmpp_2m"]
Check = Literal["score", "choice"]


@dataclass(frozen=True, eq=False)
class Params:
    """The settings of one run.

    sigmas [T+1] float64, decreasing, the last one 0; shape (c, h, w) of the latents; tau None means adaptive: the spread
    of the step's own scores; lookahead "denoise", "ode:n" or "consistency"; check: how the judge compares z* with the best
    candidate, by a score of its own or by a blind choice of one of the two; None: not at all. beta belongs to the preset
    paper (few steps take less of it: `solvers.sde_heun`), eta to fast.
    """

    sigmas: Tensor
    shape: tuple[int, int, int]
    seed: int
    candidates: int = 8
    preset: Preset = "fast"
    weights: Weights = "tanh"
    tau: float | None = None
    beta: float = 0.1
    eta: float = 1.0
    lookahead: str = "denoise"
    stop_sigma: float = 0.3
    check: Check | None = None
    solver: Solver = "heun"

    @property
    def steps(self) -> int:
        """T."""
        return len(self.sigmas) - 1
