"""The reward of every step's candidates as an SVG plot, light or dark as the reader's screen is.

It knows audit rows and how to draw them; it knows no job, no store and no plotting library.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape

from contracts.jobs import StepAudit

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 72, 24, 64, 72
X_LABELS = 12  # more would run into one another
LARGEST = 1e300  # what lies beyond is drawn there: differences and sums would overflow

_STYLE = """
text{font:12px system-ui,sans-serif}.title{font-size:16px;font-weight:600}
.mean,.taken{fill:none;stroke-width:2;stroke-linejoin:round}.taken{stroke-dasharray:5 3}.band{opacity:.22}
.paper{fill:#fff}text{fill:#1c2430}.tick{fill:#6b7686}.grid{stroke:#e4e8ee}.axis{stroke:#8792a2}
.band,.meandot{fill:#3b6fd4}.mean{stroke:#3b6fd4}.dot{fill:#d1495b}.taken{stroke:#d1495b}
@media(prefers-color-scheme:dark){
.paper{fill:#14181f}text{fill:#e8ecf2}.tick{fill:#8a95a5}.grid{stroke:#2a313c}.axis{stroke:#8a95a5}
.band,.meandot{fill:#7aa5ff}.mean{stroke:#7aa5ff}.dot{fill:#ff8a98}.taken{stroke:#ff8a98}}
"""  # colours as they are, not as variables: viewers other than browsers know none


@dataclass(frozen=True)
class Point:
    """One judged step, on the judge's own scale where it has one."""

    step: int
    sigma: float
    low: float
    mean: float
    high: float
    taken: float | None


def points(rows: Sequence[StepAudit]) -> list[Point]:
    """What is plotted: the rows at which the judge had an opinion."""
    return [point for row in rows if (point := _point(row)) is not None]


def trajectory_svg(rows: Sequence[StepAudit], title: str) -> str:
    """The plot as a standalone SVG document. Without any judged step it says so."""
    plotted = points(rows)
    if not plotted:
        body = (
            f'<text class="tick" x="{WIDTH / 2}" y="{HEIGHT / 2}" text-anchor="middle">No step has been judged.</text>'
        )
        return _document(title, body)
    values = [v for p in plotted for v in (p.low, p.high, p.taken) if v is not None]
    ticks = nice_ticks(min(values), max(values))  # what was taken may have been scored apart from the candidates
    step_x = (WIDTH - LEFT - RIGHT) / max(1, len(plotted) - 1)
    step_y = (HEIGHT - TOP - BOTTOM) / (ticks[-1] - ticks[0])
    xs = [LEFT + i * step_x for i in range(len(plotted))] if len(plotted) > 1 else [(LEFT + WIDTH - RIGHT) / 2]

    def y(value: float) -> float:
        return TOP + (ticks[-1] - value) * step_y

    parts = [_y_axis(ticks, y), _x_axis(plotted, xs)]
    upper = [(x, y(p.high)) for x, p in zip(xs, plotted, strict=True)]
    lower = [(x, y(p.low)) for x, p in zip(xs, plotted, strict=True)]
    means = [(x, y(p.mean)) for x, p in zip(xs, plotted, strict=True)]
    taken = [(x, y(p.taken)) for x, p in zip(xs, plotted, strict=True) if p.taken is not None]
    parts.append(f'<polygon class="band" points="{_path(upper + lower[::-1])}"/>')
    parts.append(f'<polyline class="mean" points="{_path(means)}"/>{_dots("meandot", means)}')
    parts.append(f'<polyline class="taken" points="{_path(taken)}"/>{_dots("dot", taken)}')
    return _document(title, "\n".join(parts) + _legend())


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers that enclose [low, high], about as many as asked for; an empty range is widened."""
    if high - low < 1e-9 * max(1.0, abs(high)):
        low, high = low - 0.5 * max(1.0, abs(low)), high + 0.5 * max(1.0, abs(high))
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [i * step for i in range(first, last + 1)]


def _point(row: StepAudit) -> Point | None:
    values = row.measured if row.measured is not None else row.scores
    known = _drawable(values)
    if not known:
        return None
    return Point(row.step, row.sigma, min(known), sum(known) / len(known), max(known), _taken(row, values))


def _drawable(values: Iterable[float | None]) -> list[float]:
    return [min(LARGEST, max(-LARGEST, v)) for v in values if v is not None and math.isfinite(v)]


def _taken(row: StepAudit, values: Sequence[float | None]) -> float | None:
    """The reward of what the step went on with: the candidate, z* where it was checked, else the mean of what z* leans to."""
    if row.taken.startswith("candidate:"):
        counted = _drawable([values[int(row.taken.removeprefix("candidate:"))]])
    elif row.taken != "mixed":
        counted = []
    elif row.check_score is not None:
        counted = _drawable([row.check_score]) if row.measured is None else []
    else:
        counted = _drawable(v for v, b in zip(values, row.weights, strict=False) if b > 0)
    return sum(counted) / len(counted) if counted else None


def _y_axis(ticks: list[float], y: Callable[[float], float]) -> str:
    lines = [
        f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y(t):.1f}" y2="{y(t):.1f}"/>'
        f'<text class="tick" x="{LEFT - 8}" y="{y(t) + 4:.1f}" text-anchor="end">{t:.6g}</text>'
        for t in ticks
    ]
    middle = (TOP + HEIGHT - BOTTOM) / 2
    return (
        "\n".join(lines)
        + f'<text x="18" y="{middle}" text-anchor="middle" transform="rotate(-90 18 {middle})">reward</text>'
    )


def _x_axis(plotted: list[Point], xs: list[float]) -> str:
    floor = HEIGHT - BOTTOM
    every = math.ceil(len(plotted) / X_LABELS)
    labels = [
        f'<text x="{x:.1f}" y="{floor + 18}" text-anchor="middle">{p.step}</text>'
        f'<text class="tick" x="{x:.1f}" y="{floor + 33}" text-anchor="middle">{p.sigma:.3g}</text>'
        for i, (x, p) in enumerate(zip(xs, plotted, strict=True))
        if i % every == 0
    ]
    axis = f'<line class="axis" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{floor}" y2="{floor}"/>'
    label = f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 16}" text-anchor="middle">step, and its noise level σ</text>'
    return axis + "\n".join(labels) + label


def _legend() -> str:
    y = TOP - 16

    def line(kind: str, x: int, words: str) -> str:
        return f'<line class="{kind}" x1="{x}" x2="{x + 18}" y1="{y - 4}" y2="{y - 4}"/>{_words(x + 24, y, words)}'

    band = f'<rect class="band" x="{LEFT}" y="{y - 9}" width="18" height="10"/>'
    return (
        band
        + _words(LEFT + 24, y, "candidates, lowest to highest")
        + line("mean", LEFT + 220, "their mean")
        + line("taken", LEFT + 340, "chosen")
    )


def _words(x: int, y: int, words: str) -> str:
    return f'<text x="{x}" y="{y}">{words}</text>'


def _path(pairs: list[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in pairs)


def _dots(kind: str, pairs: list[tuple[float, float]]) -> str:
    return "".join(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in pairs)


def _document(title: str, body: str) -> str:
    name = escape(title)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{name}">'
        f'<style>{_STYLE}</style><title>{name}</title><rect class="paper" width="100%" height="100%"/>'
        f'<text class="title" x="{LEFT}" y="28">{name}</text>\n{body}\n</svg>\n'
    )
