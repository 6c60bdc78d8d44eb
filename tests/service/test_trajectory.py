"""The plot shows each judged step's lowest, mean, highest and chosen reward, at round ticks, as well-formed SVG."""

from datetime import UTC, datetime
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from contracts.jobs import StepAudit
from service.trajectory import BOTTOM, HEIGHT, LEFT, RIGHT, TOP, WIDTH, Point, nice_ticks, points, trajectory_svg

SVG = "{http://www.w3.org/2000/svg}"
NUMBERS = st.floats(-1e6, 1e6)
ANY = st.floats(allow_nan=False, allow_infinity=False)
TAKEN = st.sampled_from(["mixed", "candidate:1", "plain"])


def row(step: int = 1, **changed: Any) -> StepAudit:
    """A judged step whose mixture was taken."""
    usual = {"scores": (5.0, 5.0, -5.0), "weights": (0.5, 0.25, -0.75), "taken": "mixed"}
    return StepAudit.model_validate({"step": step, "sigma": 10.0 / step, "at": datetime.now(UTC)} | usual | changed)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, Point(1, 10.0, -5.0, 5 / 3, 5.0, 5.0)),
        ({"measured": (0.25, 0.75, 0.5)}, Point(1, 10.0, 0.25, 0.5, 0.75, 0.5)),
        ({"scores": (1.0, None, 3.0), "taken": "candidate:2"}, Point(1, 10.0, 1.0, 2.0, 3.0, 3.0)),
        ({"scores": (1.0, 2.0, 3.0), "check_score": 4.0}, Point(1, 10.0, 1.0, 2.0, 3.0, 4.0)),
        ({"weights": (-1.0, -1.0, -1.0)}, Point(1, 10.0, -5.0, 5 / 3, 5.0, None)),
        ({"taken": "plain", "weights": ()}, Point(1, 10.0, -5.0, 5 / 3, 5.0, None)),
    ],
)
def test_what_a_step_is_plotted_as(changed: dict[str, Any], expected: Point) -> None:
    assert points([row(**changed)]) == [expected]


def test_steps_without_an_opinion_are_left_out() -> None:
    assert points([row(scores=(), weights=(), taken="plain"), row(scores=(None, None, None), taken="plain")]) == []


def test_ticks_by_hand() -> None:
    assert nice_ticks(0.0, 1.0) == pytest.approx([0.0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert nice_ticks(-5.0, 5.0) == [-6.0, -4.0, -2.0, 0.0, 2.0, 4.0, 6.0]
    assert nice_ticks(3.0, 3.0)[0] < 3.0 < nice_ticks(3.0, 3.0)[-1]


@given(NUMBERS, NUMBERS)
def test_ticks_enclose_the_values_and_are_few(a: float, b: float) -> None:
    ticks = nice_ticks(min(a, b), max(a, b))
    slack = 1e-6 * (ticks[1] - ticks[0])
    assert ticks[0] <= min(a, b) + slack
    assert ticks[-1] >= max(a, b) - slack
    assert 2 <= len(ticks) <= 8


@given(
    st.lists(st.tuples(st.lists(ANY, min_size=3, max_size=3), st.none() | ANY, TAKEN), max_size=30),
    st.text(st.characters(exclude_categories=["C"])),
)
@example([([1e308, -1e308, 1.7e308], -1.7e308, "mixed")], "")
@example([([0.0, 0.0, 1.0], 9.0, "mixed")], "")
def test_every_plot_is_well_formed_and_stays_on_its_paper(
    steps: list[tuple[list[float], float | None, str]], title: str
) -> None:
    rows = [row(i + 1, scores=tuple(s), check_score=check, taken=taken) for i, (s, check, taken) in enumerate(steps)]
    plot = ElementTree.fromstring(trajectory_svg(rows, title))
    assert plot.findtext(f"{SVG}title") == title
    dots = plot.findall(f"{SVG}circle")
    assert len(dots) == sum(1 if taken == "plain" else 2 for _, _, taken in steps)
    for dot in dots:
        assert LEFT <= float(dot.attrib["cx"]) <= WIDTH - RIGHT
        assert TOP - 0.1 <= float(dot.attrib["cy"]) <= HEIGHT - BOTTOM + 0.1
