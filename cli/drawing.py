"""Submitting a request, watching it with a progress bar, saving what it made. It knows the client and Rich; no process."""

import json
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from contracts.jobs import JobRequest, JobState, JobView

from .client import Client
from .errors import Failure, Interrupted

ARTIFACTS = {
    "image.png": "the result",
    "baseline.png": "the plain picture of the same seed",
    "contact-sheet.jpg": "the candidates of every step",
    "trajectory.svg": "the reward, step by step",
    "audit.jsonl": "the audit trail",
}


def curl_line(url: str, models: list[str], judges: list[str]) -> str:
    """A request that this service can draw: the defaults where it offers them."""
    body = {"prompt": "a red apple", "scenario": "teacher"}
    for name, offered in (("model", models), ("judge", judges)):
        if JobRequest.model_fields[name].default not in offered:
            body[name] = offered[0]
    return f"curl {url}/generate -H 'Content-Type: application/json' -d '{json.dumps(body)}'"


def draw(
    client: Client,
    body: dict[str, Any],
    console: Console,
    stop: threading.Event,
    meanwhile: Callable[[], None] = lambda: None,
) -> JobView:
    """Submit and follow to the end; `stop` cancels the job. `meanwhile` is called at every look. Raises Failure unless it succeeded."""
    job = client.submit(body, stop)
    with _bar(console) as progress:
        task = progress.add_task("queued", total=job.progress.steps, reward="", judge=job.judge)
        for job in client.watch(job.id, stop, meanwhile):  # noqa: B020 - the same job, later
            if job.progress.reward is not None:  # a worker that takes over knows none yet: the last one stands
                progress.update(task, reward=f"reward {job.progress.reward:.3g} ")
            progress.update(task, description=job.status.value, completed=job.progress.step)
    if not job.status.terminal:
        job = client.cancel(job.id)
        raise Interrupted(f"canceled the job {job.id} at step {job.progress.step} of {job.progress.steps}.")
    if job.status is not JobState.SUCCEEDED:
        reason = f": {job.error.detail} ({job.error.code})" if job.error else "."
        raise Failure(f"the job {job.id} ended as {job.status.value}{reason}")
    return job


def refuse_unwritable(folder: Path) -> None:
    """Raise Failure where the folder cannot be made or written to: better said before the job than after it."""
    there = next(path for path in (folder.absolute(), *folder.absolute().parents) if path.exists())
    with _words_for(folder), tempfile.TemporaryFile(dir=there):
        pass


def save(client: Client, job: JobView, folder: Path) -> list[Path]:
    """Write every artifact of a finished job into the folder."""
    paths = []
    with _words_for(folder):
        folder.mkdir(parents=True, exist_ok=True)
    for name in ARTIFACTS:
        data, path = client.artifact(job.id, name), folder / name
        with _words_for(folder):
            path.write_bytes(data)
        paths.append(path)
    return paths


def report(console: Console, job: JobView, paths: list[Path]) -> None:
    """Say what was saved and how it compares; lines as long as they are, so that paths can be copied."""
    for path in paths:
        console.print(Text.assemble("  ", str(path), "  ", (ARTIFACTS[path.name], "dim")), soft_wrap=True)
    console.print(Text(f"{verdict(job)} {bill(job)}"), soft_wrap=True)


def verdict(job: JobView) -> str:
    """The outcome in one sentence."""
    result = job.result
    if result is None:
        return "No comparison was made."
    sentences = []
    if result.score is not None and result.baseline_score is not None:
        rise = result.score - result.baseline_score
        sentences.append(f"{job.judge}'s score {'rose' if rise >= 0 else 'fell'} by {abs(rise):.3g}, from {result.baseline_score:.3g} "
                         f"(plain) to {result.score:.3g} (steered).")  # fmt: skip
    if result.preference is not None:
        said = {
            "result": "prefers the steered picture",
            "baseline": "prefers the plain picture",
            "tie": "calls it a tie: it has no preference, or its two answers disagree",
        }
        sentences.append(f"Asked blind in both orders, {job.judge} {said[result.preference]}.")
    if not sentences:
        why = f": {result.failure}" if result.failure else ""
        sentences.append(f"Steered and plain picture were not compared{why}.")
    return " ".join([*sentences, f"{result.steered_steps} of {job.progress.steps} steps were steered."])


def bill(job: JobView) -> str:
    """What the judge took, in one sentence: tokens and dollars where it has any, and what came from the cache in another."""
    used = job.usage.judge
    words = [f"was called {_times(used.calls)}"]
    if used.failures:
        words.append(f"failed {_times(used.failures)}")
    if used.tokens.input or used.tokens.output:
        about = "about " if used.estimated else ""
        words += [f"read {about}{used.tokens.input:,} tokens", f"wrote {about}{used.tokens.output:,}"]
    if used.usd is not None:
        words.append(f"cost {'about ' if used.estimated else ''}${used.usd:.4f}")
    listed = f"{', '.join(words[:-1])} and {words[-1]}" if len(words) > 1 else words[0]
    verdicts = "1 verdict" if used.cached == 1 else f"{used.cached} verdicts"
    return f"The judge {listed}." + (f" {verdicts} came from the cache." if used.cached else "")


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


@contextmanager
def _words_for(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Failure(f"cannot write into {folder} ({error.strerror}): choose another --out.") from None


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
        TextColumn("{task.fields[reward]}judge {task.fields[judge]}", markup=False), TimeElapsedColumn(),
        console=console,
    )  # fmt: skip
