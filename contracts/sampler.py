"""How a job samples: the method, its preset and the few numbers a user may set. It knows no mathematics."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from ._base import Contract
from .judging import JudgeKind

Method = Literal["demon", "pf_ode", "best_of_n"]
Preset = Literal["fast", "paper"]
Weights = Literal["tanh", "boltzmann", "rank"]
Solver = Literal["heun", "dpmpp_2m"]
Lookahead = Annotated[str, Field(pattern=r"^(denoise|consistency|ode:[1-9][0-9]?)$")]


class PresetDefaults(Contract):
    """What a preset means where a request says nothing else; the gateway estimates by it, the worker samples by it."""

    stop_sigma: float
    solver: Solver
    lookahead: str
    weights: Weights = "tanh"
    beta: float = 0.1  # the paper's; larger values need more steps
    eta: float = 1.0


PRESETS: dict[Preset, PresetDefaults] = {
    # Below a noise level of 0.3 candidates differ in texture only.
    "fast": PresetDefaults(stop_sigma=0.3, solver="dpmpp_2m", lookahead="denoise"),
    "paper": PresetDefaults(stop_sigma=0.11, solver="heun", lookahead="ode:4"),
}


def usual_lookahead(preset: Preset, leaps: bool) -> str:
    """The look-ahead of a request that names none: the model's consistency network where that leaps to the job's own picture."""
    return "consistency" if leaps else PRESETS[preset].lookahead


class SamplerSpec(Contract):
    """The sampler of one job. A field left out (None) takes the preset's or the model's value."""

    method: Method = Field(
        "demon", description="demon steers; pf_ode is the plain baseline; best_of_n judges finished pictures."
    )
    preset: Preset = Field(
        "fast",
        description="fast: ancestral candidates, previewed in one call each, candidates + 1 calls a step. "
        "paper: Heun SDE candidates with a look-ahead, as published.",
    )
    candidates: int = Field(8, ge=2, le=64, description="K, the candidate pictures proposed at each step.")
    steps: int = Field(16, ge=4, le=256, description="T, the denoising steps.")
    guidance: float | None = Field(
        None, ge=1.0, le=30.0, description="Classifier-free guidance scale; the model's default if left out."
    )
    weights: Weights | None = Field(None, description="How rewards become the weights b_k of the candidates' noises.")
    tau: Annotated[float, Field(gt=0, allow_inf_nan=False)] | Literal["adaptive"] | None = Field(
        None, description="Temperature of the weights; adaptive: the spread of this step's rewards."
    )
    beta: float | None = Field(None, ge=0.0, le=1.0, description="Noise of the reverse SDE (preset paper).")
    eta: float | None = Field(None, ge=0.0, le=1.0, description="Share of ancestral noise (preset fast); 0 is the ODE.")
    lookahead: Lookahead | None = Field(
        None,
        description="How a candidate is previewed: denoise (the network's own x0), ode:n (n network calls) or consistency (one leap "
        "of the model's consistency network, the default where it has one for the job's guidance and no negative prompt is given).",
    )
    stop_sigma: float | None = Field(
        None,
        ge=0.0,
        allow_inf_nan=False,
        description="Below this level the plain ODE finishes without asking the judge.",
    )
    check: bool | None = Field(
        None,
        description="Judge the mixed noise against the best candidate and keep the better, one more ask a step; by default with "
        "scoring judges only, who score its preview. A selecting judge is asked blind which of the two it prefers.",
    )
    solver: Solver | None = Field(None, description="Solver of the plain ODE parts.")

    def checked_by(self, judge: JudgeKind) -> bool:
        """Whether the mixed noise is checked by such a judge."""
        return judge == "scoring" if self.check is None else self.check

    @model_validator(mode="after")
    def _settings_belong_to_the_preset(self) -> "SamplerSpec":
        if self.preset == "fast" and self.beta is not None:
            raise ValueError("beta belongs to the preset paper; the preset fast uses eta")
        if self.preset == "paper" and self.eta is not None:
            raise ValueError("eta belongs to the preset fast; the preset paper uses beta")
        if self.preset == "fast" and self.lookahead not in (None, "denoise", "consistency"):
            raise ValueError(
                "the preset fast previews in one call: lookahead denoise (the network's own x0) or consistency"
            )
        return self
