"""The whole service on one machine: Redis, gateway, GPU worker, judge worker as child processes, started and stopped together.

It knows how to start, watch and end processes; it knows nothing of what they do.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO

from bus.server import EmbeddedServer, die_with_parent

from .client import Client
from .errors import Failure

ROLES = ("gateway", "gpu-worker", "judge-worker")
START_SECONDS = 120.0
STOP_SECONDS = 10.0
RESTARTS = 5  # of one process; a process that keeps dying is a fault to show, not to hide
MIN_FREE_BYTES = 200 * 2**20


@dataclass
class Child:
    """One process of ours: how it was started, and how often."""

    role: str
    process: subprocess.Popen[bytes]
    starts: int = 1


@dataclass
class Stack:
    """`with Stack(...) as stack:` is a running service at `stack.url`; leaving it stops every child.

    Without `redis_url` an embedded server keeps its data under `state`. With `logs`, each process writes there instead of
    to the terminal.
    """

    host: str
    port: int
    state: Path
    redis_url: str | None = None
    logs: Path | None = None
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.url = f"http://{self.host}:{self.port}"
        self._children: dict[str, Child] = {}
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> "Stack":
        _refuse_taken_port(self.host, self.port)
        _refuse_full_disk(self.state)
        try:
            redis_url = self.redis_url or self._resources.enter_context(EmbeddedServer(self.state / "redis")).url
            self._environment = {
                **os.environ,
                "MAXWELL_REDIS_URL": redis_url,
                "MAXWELL_STATE_DIR": str(self.state.resolve()),
                "MAXWELL_HOST": self.host,
                "MAXWELL_PORT": str(self.port),
            }
            for role in ROLES:
                self._children[role] = Child(role, self._start(role))
            self._wait_until_ready()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def watch(self) -> None:
        """Until `stopping` is set: start again what died. Raises Failure for a process that keeps dying."""
        while not self.stopping.wait(0.3):
            for child in self._children.values():
                status = child.process.poll()
                if status is None:
                    continue
                if child.starts > RESTARTS:
                    raise Failure(
                        f"the {child.role} ended {child.starts} times, last with status {status}{self._log_hint(child.role)}."
                    )
                child.process, child.starts = self._start(child.role), child.starts + 1

    def stop(self) -> None:
        """SIGTERM to all, ten seconds for them to hand over, then SIGKILL; the server last, for they still write to it."""
        for child in self._children.values():
            if child.process.poll() is None:
                child.process.terminate()
        deadline = time.monotonic() + STOP_SECONDS
        for child in self._children.values():
            try:
                child.process.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                child.process.kill()
                child.process.wait()
        self._children.clear()
        self._resources.close()

    def _start(self, role: str) -> subprocess.Popen[bytes]:
        output: IO[bytes] | None = None
        if self.logs is not None:
            self.logs.mkdir(parents=True, exist_ok=True)
            output = self._resources.enter_context((self.logs / f"{role}.log").open("ab"))
        # A session of its own keeps the terminal's Ctrl-C away from it: we say when it ends.
        return subprocess.Popen(
            [sys.executable, "-m", "cli", role],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - two system calls, safe beside threads
        )

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        with Client(self.url) as client:
            while not self.stopping.is_set():
                for child in self._children.values():
                    if (status := child.process.poll()) is not None:
                        raise Failure(
                            f"the {child.role} ended at start with status {status}{self._log_hint(child.role)}."
                        )
                answer = client.ready()
                if answer is not None and answer["status"] == "ready":
                    return
                if time.monotonic() > deadline:
                    raise Failure(f"the service was not ready within {START_SECONDS:.0f} s; it last said {answer}.")
                self.stopping.wait(0.1)
        raise Failure("stopped before the service was ready.")

    def _log_hint(self, role: str) -> str:
        if self.logs is None:
            return " (its own words are above)"
        log = self.logs / f"{role}.log"
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1]} (see {log})" if lines else f" (see {log})"


def stop_on_signals(stack: Stack) -> None:
    """Ctrl-C and SIGTERM end the stack in order, however early they come."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stack.stopping.set())


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _refuse_taken_port(host: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise Failure(
                f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or choose another --port."
            ) from None


def _refuse_full_disk(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(state).free
    except OSError as error:
        raise Failure(
            f"the state folder {state} cannot be used ({error.strerror}): set MAXWELL_STATE_DIR to a writable folder."
        ) from None
    if free < MIN_FREE_BYTES:
        raise Failure(
            f"only {free // 2**20} MB free for the state folder {state}: free some space, or set MAXWELL_STATE_DIR."
        )
