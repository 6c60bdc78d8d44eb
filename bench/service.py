"""The service under measurement, and jobs sent to it. It knows the command line's stack and client; it measures nothing."""

import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bus.server import EmbeddedServer, free_port
from cli.client import Client
from cli.stack import Stack
from contracts.jobs import JobState, JobView


@dataclass(frozen=True)
class Service:
    """A running service with its own Redis and pictures, gone at the end."""

    client: Client
    redis_url: str

    def body(self, prompt: str, judge: str, seed: int, **sampler: Any) -> dict[str, Any]:
        """A request."""
        return {"prompt": prompt, "scenario": "teacher", "judge": judge, "seed": seed, "sampler": sampler}

    def finished(self, jobs: list[JobView]) -> list[JobView]:
        """The jobs at their end. Raises RuntimeError for one that did not succeed."""
        ended = [self._end(job) for job in jobs]
        for job in ended:
            if job.status is not JobState.SUCCEEDED:
                raise RuntimeError(f"{job.id} ended as {job.status}: {job.error}")
        return ended

    def _end(self, job: JobView) -> JobView:
        for latest in self.client.watch(job.id, threading.Event()):
            job = latest
        return job


@contextmanager
def service() -> Iterator[Service]:
    """Start everything with the shipped defaults."""
    with tempfile.TemporaryDirectory(prefix="maxwell-bench-") as folder:
        state = Path(folder)
        with (
            EmbeddedServer(state / "redis") as server,
            Stack("127.0.0.1", free_port(), state, redis_url=server.url, logs=state / "logs") as stack,
            Client(stack.url) as client,
        ):
            yield Service(client, server.url)
