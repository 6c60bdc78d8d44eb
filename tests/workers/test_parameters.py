"""What a request leaves open is the preset's, the model's or the judge's choice; what it says is done."""

from typing import Any, get_args

import pytest
import torch

from contracts.judging import JudgeKind
from contracts.sampler import Method, SamplerSpec
from workers.models.toy import Toy
from workers.parameters import params_for
from workers.sampling import METHODS, Params
from workers.sampling.params import Check

from ..bus.builders import spec

CARD = Toy().card


def params(judge: JudgeKind = "selecting", *, consistency: bool = False, **sampler: Any) -> Params:
    """The numbers of a run with these fields in its request."""
    card = CARD.model_copy(update={"consistency_guidance": CARD.guidance if consistency else None})
    return params_for(spec(sampler=SamplerSpec(**sampler), seed=11), card, (3, 32, 32), judge)


def test_the_usual_job_takes_the_presets_numbers() -> None:
    p = params()
    assert (p.preset, p.candidates, p.steps, p.seed, p.shape) == ("fast", 8, 16, 11, (3, 32, 32))
    assert (p.stop_sigma, p.solver, p.lookahead, p.weights, p.eta, p.tau) == (
        0.3,
        "dpmpp_2m",
        "denoise",
        "tanh",
        1,
        None,
    )
    assert (float(p.sigmas[0]), float(p.sigmas[-2]), float(p.sigmas[-1])) == pytest.approx((80.0, 0.02, 0.0))
    assert p.sigmas.dtype == torch.float64


def test_the_paper_preset_takes_the_papers() -> None:
    p = params(preset="paper")
    assert (p.stop_sigma, p.solver, p.lookahead, p.weights, p.beta) == (0.11, "heun", "ode:4", "tanh", 0.1)


@pytest.mark.parametrize(
    ("sampler", "lookahead"),
    [
        ({"preset": "paper"}, "consistency"),
        ({"preset": "paper", "lookahead": "ode:2"}, "ode:2"),
        ({"preset": "paper", "guidance": 7.0}, "ode:4"),
        ({"preset": "fast"}, "consistency"),
        ({"preset": "fast", "lookahead": "denoise"}, "denoise"),
        ({"preset": "fast", "guidance": 7.0}, "denoise"),
    ],
)
def test_the_look_ahead_is_the_consistency_network_where_it_ends_where_the_job_does(
    sampler: dict[str, Any], lookahead: str
) -> None:
    assert params(consistency=True, **sampler).lookahead == lookahead


@pytest.mark.parametrize(
    ("judge", "asked", "check"),
    [
        ("scoring", None, "score"),
        ("scoring", True, "score"),
        ("scoring", False, None),
        ("selecting", None, None),
        ("selecting", False, None),
        ("selecting", True, "choice"),
    ],
)
def test_the_mixture_is_checked_as_the_judge_can_and_by_a_selecting_one_only_where_that_is_asked_for(
    judge: JudgeKind, asked: bool | None, check: Check | None
) -> None:
    assert params(judge, check=asked).check == check


@pytest.mark.parametrize(("asked", "tau"), [(None, None), ("adaptive", None), (0.25, 0.25)])
def test_adaptive_is_no_number(asked: Any, tau: float | None) -> None:
    assert params(tau=asked).tau == tau


@pytest.mark.parametrize(
    ("sampler", "name", "value"),
    [
        ({"eta": 0.0}, "eta", 0.0),
        ({"stop_sigma": 0.0}, "stop_sigma", 0.0),
        ({"preset": "paper", "beta": 0.0}, "beta", 0.0),
        ({"weights": "rank"}, "weights", "rank"),
        ({"solver": "heun"}, "solver", "heun"),
        ({"candidates": 2}, "candidates", 2),
        ({"steps": 4}, "steps", 4),
    ],
)
def test_what_a_request_says_is_done_zero_too(sampler: dict[str, Any], name: str, value: object) -> None:
    assert getattr(params(**sampler), name) == value


def test_every_method_can_be_asked_for() -> None:
    assert set(get_args(Method)) == set(METHODS)
