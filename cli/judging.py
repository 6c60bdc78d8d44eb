"""Trying one judge on two built-in pictures: what it prefers, why, how long it takes, what it costs. It knows no judge and no Redis."""

import asyncio
import logging
import os
import secrets
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from PIL import Image
from rich.columns import Columns
from rich.console import Console, Group
from rich.panel import Panel
from rich.text import Text

from contracts.judging import AskName, JudgeAsk, JudgeCard, JudgeFailure, JudgeUsage, Tokens, Verdict
from reward_adapters import registry
from reward_adapters.base import Judge
from reward_adapters.vlm.pricing import PRICES
from workers.gates import closing
from workers.judging import Bench

from .errors import Failure
from .pictures import PROMPT, apple, encoded, noise

NAMES = ("the apple", "the noise")
THUMBNAIL = 24  # px, side of a picture in the terminal; two rows of pixels a line


@dataclass(frozen=True)
class Trial:
    """What came of it. `loaded`: seconds until the judge was ready; `notes`: what was logged of it meanwhile."""

    card: JudgeCard
    verdict: Verdict
    loaded: float
    notes: tuple[str, ...]

    @property
    def preferred(self) -> int | None:
        """The index of the picture with the higher score; None: neither."""
        one, other = self.verdict.scores
        if one is None or other is None or one == other:
            return None
        return int(other > one)

    def as_json(self) -> dict[str, Any]:
        """For programs; pictures are numbered from 1: the apple, the noise."""
        said = self.verdict.model_dump(mode="json", exclude={"outcome"})
        number = None if self.preferred is None else self.preferred + 1
        return {"judge": self.card.name, "kind": self.card.kind, "prefers": number} | said | {"notes": self.notes}


def examine(name: str, seconds: float) -> Trial:
    """Build the judge from the environment and ask it, as a worker would: with retries, for at most so many seconds.

    Raises JudgeSetupError where it cannot be built, Failure where it gives no verdict, each with what to do about it, and a bug as it is.
    """
    with _listening() as (notes, bugs):
        began = time.monotonic()
        judge = registry.build(name, os.environ)
        ready = time.monotonic()
        answer = asyncio.run(_answer(judge, seconds))
        ended = time.monotonic()
    if bugs:  # whose traceback says more than any sentence
        raise bugs[-1]
    if isinstance(answer, JudgeFailure):
        out_of_time = ended - ready > 0.9 * seconds  # nobody starts again for the last moments
        late = f": it had {seconds:g} s, give it more with --timeout" if out_of_time else ""
        raise Failure(f"{answer.detail}{late}")
    return Trial(judge.card, answer, ready - began, tuple(dict.fromkeys(notes)))


def report(console: Console, trial: Trial) -> None:
    """Say what came of it: lines that can be searched, and in a terminal the pictures above them."""
    card, verdict = trial.card, trial.verdict
    console.print(Text.assemble((card.name, "bold"), f" ({card.kind}): {card.description}"), soft_wrap=True)
    console.print(Text(f'Asked which of two pictures shows "{PROMPT}":'), soft_wrap=True)
    if console.is_terminal:
        frames = ["green" if place == trial.preferred else "dim" for place in range(2)]
        shown = [
            Panel(Group(*_lines(image)), border_style=frame, expand=False)
            for image, frame in zip((apple(), noise()), frames, strict=True)
        ]
        console.print(Columns(shown))
    for place, called in enumerate(NAMES):
        style = "green" if place == trial.preferred else ""
        console.print(Text(f"  {place + 1} {called}: {_score(verdict, place)}", style), soft_wrap=True)
    console.print(Text(_conclusion(trial), "bold"), soft_wrap=True)
    rows = {"Rationale": verdict.rationale or "none given", **_costs(verdict.usage, trial.loaded)}
    for called, said in [*rows.items(), *(("Note", note) for note in trial.notes)]:
        console.print(Text.assemble((f"{called:<11}", "dim"), said), soft_wrap=True)


@contextmanager
def _listening() -> Iterator[tuple[list[str], list[BaseException]]]:
    """Keeps logs off the terminal while the block runs; the lists fill with the judge's own warnings, and with bugs that were logged."""
    heard: list[str] = []
    bugs: list[BaseException] = []

    def hear(_: Any, method: str, event: structlog.typing.EventDict) -> structlog.typing.EventDict:
        if method == "warning" and "judge" in event and "attempts" not in event:
            heard.append(str(event["event"]))
        if event.get("exc_info") and (bug := sys.exception()) is not None:
            bugs.append(bug)
        raise structlog.DropEvent

    before, silent = structlog.get_config(), logging.NullHandler()
    structlog.configure(processors=[hear])
    logging.getLogger().addHandler(silent)  # else Python prints the warnings of libraries
    try:
        yield heard, bugs
    finally:
        logging.getLogger().removeHandler(silent)
        structlog.configure(**before)


async def _answer(judge: Judge, seconds: float) -> Verdict | JudgeFailure:
    name = judge.card.name
    ask = JudgeAsk(
        name=AskName(job="judges-test", step=0),
        kind="candidates",
        judge=name,
        prompt=PROMPT,
        pictures=len(NAMES),
        sigma=0.0,
        seed=secrets.randbelow(2**53),  # judges shuffle by it: one that only likes the first picture shows it in time
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
    )
    pictures = [encoded(image, judge.card) for image in (apple(), noise())]
    async with closing([judge]):
        return await Bench({name: judge}).answer(ask, pictures)


def _score(verdict: Verdict, place: int) -> str:
    score = verdict.scores[place]
    said = "no opinion" if score is None else f"{score:+.4g}"
    return said if verdict.measured is None else f"{said} (measured {verdict.measured[place]:.4g})"


def _conclusion(trial: Trial) -> str:
    if trial.preferred is None:
        return "It prefers neither."
    said = f"It prefers picture {trial.preferred + 1}, {NAMES[trial.preferred]}"
    if trial.preferred == 0:
        return f"{said}."
    return f"{said}: it works, but steers away from the prompt, unless that is its purpose (its objective: {trial.card.objective})."


def _costs(usage: JudgeUsage, loaded: float) -> dict[str, str]:
    calls = "1 call" if usage.calls == 1 else f"{usage.calls} calls"
    counted = "none"
    if usage.tokens != Tokens():
        about = ", estimated" if usage.estimated else ""
        counted = (
            f"{usage.tokens.input} in ({usage.tokens.image} of them for pictures), {usage.tokens.output} out{about}"
        )
    unpriced = "none" if counted == "none" else f"unknown: set its model's price in {PRICES}"
    return {
        "Latency": f"{usage.seconds:.2f} s for {calls}, after {loaded:.2f} s to get ready",
        "Tokens": counted,
        "Cost": unpriced if usage.usd is None else f"${usage.usd:.6f}",
    }


def _lines(image: Image.Image) -> Sequence[Text]:
    """The picture in coloured characters, two pixels each."""
    small = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BOX)
    rows = [[f"rgb{small.getpixel((x, y))}".replace(" ", "") for x in range(THUMBNAIL)] for y in range(THUMBNAIL)]
    return [
        Text.assemble(*(("▀", f"{above} on {below}") for above, below in zip(rows[y], rows[y + 1], strict=True)))
        for y in range(0, THUMBNAIL, 2)
    ]
