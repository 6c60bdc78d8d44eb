"""All that a checkpoint of a run holds, and the record of its latest step. It knows no file format."""

from dataclasses import dataclass, field

from torch import Tensor

from .asks import Scores


@dataclass(frozen=True, eq=False)
class StepReport:
    """What decided one guided step, for the audit trail; no mathematics reads it."""

    scores: Scores
    weights: list[float]
    taken: str  # "mixed", "candidate:3" or "plain"
    check_score: float | None = None


@dataclass(frozen=True, eq=False)
class State:
    """A run before step i: x at noise level sigmas[i]. After the last step (i = T) x is the clean result.

    x [rows, c, h, w] float64 in variance-exploding coordinates. x0 = D(x; sigmas[i]) where the last step knew it already;
    x0_before = D at the step before, where a multi-step solver can use it.
    """

    i: int
    x: Tensor
    x0: Tensor | None = None
    x0_before: Tensor | None = None
    steered: int = 0  # steps whose noise the judge has moved
    report: StepReport | None = field(default=None, repr=False)

    def tensors(self) -> dict[str, Tensor]:
        """The tensors to save; with `i` and `steered` they are the whole checkpoint."""
        named = {"x": self.x, "x0": self.x0, "x0_before": self.x0_before}
        return {name: tensor for name, tensor in named.items() if tensor is not None}
