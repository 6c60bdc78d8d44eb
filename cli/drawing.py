"""Submitting a request, watching it with a progress bar, saving what it made. It knows the client and Rich; no process."""

import threading
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from contracts.jobs import JobState, JobView

from .client import Client
from .errors import Failure

ARTIFACTS = {
    "image.png": "the result",
    "baseline.png": "the plain picture of the same seed",
    "contact-sheet.jpg": "the candidates of every step",
    "trajectory.svg": "the reward, step by step",
    "audit.jsonl": "the audit trail",
}


def draw(client: Client, body: dict[str, Any], console: Console, stop: threading.Event | None = None) -> JobView:
    """Submit and follow to the end. Ctrl-C or `stop` cancels the job. Raises Failure unless it succeeded."""
    job = client.submit(body)
    try:
        with _bar(console) as progress:
            task = progress.add_task("queued", total=job.progress.steps, reward="", judge=job.judge)
            for job in client.watch(job.id, stop or threading.Event()):  # noqa: B020 - the same job, later
                progress.update(task, description=job.status.value, completed=job.progress.step, reward=_reward(job))
    except KeyboardInterrupt:
        client.cancel(job.id)
        raise Failure(f"canceled the job {job.id}.") from None
    if job.status is not JobState.SUCCEEDED:
        reason = f": {job.error.detail} ({job.error.code})" if job.error else "."
        raise Failure(f"the job {job.id} ended as {job.status.value}{reason}")
    return job


def save(client: Client, job: JobView, folder: Path) -> list[Path]:
    """Write every artifact of a finished job into the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        paths = []
        for name in ARTIFACTS:
            path = folder / name
            path.write_bytes(client.artifact(job.id, name))
            paths.append(path)
    except OSError as error:
        raise Failure(f"cannot write into {folder} ({error.strerror}): choose another --out.") from None
    return paths


def verdict(job: JobView) -> str:
    """The outcome in one sentence."""
    result = job.result
    if result is None:
        return "No comparison was made."
    words = []
    if result.score is not None and result.baseline_score is not None:
        rise = result.score - result.baseline_score
        words.append(f"{job.judge}'s score {'rose' if rise >= 0 else 'fell'} by {abs(rise):.3g}, from {result.baseline_score:.3g} "
                     f"(plain) to {result.score:.3g} (steered)")  # fmt: skip
    if result.preference is not None:
        said = {
            "result": "prefers the steered picture",
            "baseline": "prefers the plain picture",
            "tie": "contradicts itself: a tie",
        }
        words.append(f"asked blind in both orders, it {said[result.preference]}")
    return (
        "; ".join(words) or "the judge gave no score"
    ) + f". {result.steered_steps} of {job.progress.steps} steps were steered."


def _bar(console: Console) -> Progress:
    return Progress(
        SpinnerColumn(), TextColumn("{task.description:>9}"), BarColumn(), MofNCompleteColumn(), TextColumn("steps"),
        TextColumn("reward {task.fields[reward]}"), TextColumn("judge {task.fields[judge]}"), TimeElapsedColumn(), console=console,
    )  # fmt: skip


def _reward(job: JobView) -> str:
    return "" if job.progress.reward is None else f"{job.progress.reward:.3g}"
