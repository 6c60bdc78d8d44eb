"""The whole service on one machine: Redis, gateway, GPU worker, judge worker as child processes, started and stopped together.

It knows how to start, watch and end processes; it knows nothing of what they do.
"""

import contextlib
import os
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import typer

from bus.server import EmbeddedServer, die_with_parent, prepare
from contracts.errors import BusUnavailable

from .checks import refuse_taken_port, refuse_unreachable_redis
from .client import Client
from .errors import Failure, Interrupted

ROLES = ("gateway", "gpu-worker", "judge-worker")
START_SECONDS = 120.0
STOP_SECONDS = 10.0
LOOK_SECONDS = 0.3
RESTARTS = 5  # of one process, one soon after the other: then it is a fault to show, not to hide
STEADY_SECONDS = 60.0  # a process that ran so long had started well
STOPPED = "stopped before the service was ready."
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # to listen on, and how to reach it from here


@dataclass
class Starts:
    """How often in a row a process of ours was started, and when last."""

    number: int = 1
    last: float = field(default_factory=time.monotonic)

    def again(self, role: str, status: int, hint: str) -> None:
        """Say that the process is started again, and count it. Raises Failure where it keeps dying."""
        if time.monotonic() - self.last > STEADY_SECONDS:
            self.number = 0
        if self.number > RESTARTS:
            raise Failure(f"the {role} ended {self.number} times, last with status {status}{hint}.")
        typer.echo(f"maxwell: the {role} ended with status {status}; starting it again.", err=True)
        self.number, self.last = self.number + 1, time.monotonic()


@dataclass
class Child:
    """One process of ours."""

    role: str
    process: subprocess.Popen[bytes]
    starts: Starts = field(default_factory=Starts)


@dataclass
class Stack:
    """`with Stack(...) as stack:` is a running service at `stack.url`; leaving it stops every child.

    Without `redis_url` an embedded server keeps its data under `state`. With `logs`, each process writes there instead of
    to the terminal. Use it from the main thread: the children end with the thread that starts them, however it ends.
    """

    host: str
    port: int
    state: Path
    redis_url: str | None = None
    logs: Path | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    readiness: dict[str, Any] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        here = EVERYWHERE.get(self.host, self.host)
        self.url = f"http://{f'[{here}]' if ':' in here else here}:{self.port}"
        self._server: EmbeddedServer | None = None
        self._server_starts = Starts()
        self._children: dict[str, Child] = {}
        self._resources = contextlib.ExitStack()

    def __enter__(self) -> "Stack":
        refuse_taken_port(self.host, self.port)
        prepare(self.state)
        if self.redis_url:
            refuse_unreachable_redis(self.redis_url)
        try:
            if not self.redis_url:
                self._server = self._resources.enter_context(EmbeddedServer(self.state / "redis", self.stopping))
            self._environment = {
                **os.environ,
                "MAXWELL_REDIS_URL": self._server.url if self._server else str(self.redis_url),
                "MAXWELL_STATE_DIR": str(self.state.resolve()),
                "MAXWELL_HOST": self.host,
                "MAXWELL_PORT": str(self.port),
            }
            for role in ROLES:
                self._children[role] = Child(role, self._start(role))
            self._wait_until_ready()
        except BaseException as error:
            self.stop()
            if self.stopping.is_set() and isinstance(error, BusUnavailable):
                raise Interrupted(STOPPED) from None
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pids(self) -> dict[str, int]:
        """The process ids of the children by role; `redis` where the server is ours."""
        server = {"redis": self._server.pid} if self._server else {}
        return server | {role: child.process.pid for role, child in self._children.items()}

    def watch(self) -> None:
        """Until `stopping` is set: start again what died. Raises as `mend` does."""
        while not self.stopping.wait(LOOK_SECONDS):
            self.mend()

    def mend(self) -> None:
        """Start again what died. Raises Failure for a process that keeps dying, BusUnavailable for a server that will not start."""
        if self._server and not self._server.alive:
            self._server_starts.again("Redis server", self._server.status, f" (see {self._server.log})")
            self._server.__exit__(None, None, None)
            try:
                self._server.__enter__()
            except BusUnavailable:
                if not self.stopping.is_set():
                    raise
        for child in self._children.values():
            if (status := child.process.poll()) is not None:
                child.starts.again(child.role, status, self._log_hint(child.role))
                child.process = self._start(child.role)

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
        self._server = None
        self._resources.close()

    def _start(self, role: str) -> subprocess.Popen[bytes]:
        with contextlib.ExitStack() as opened:
            output: IO[bytes] | None = None
            if self.logs is not None:
                self.logs.mkdir(parents=True, exist_ok=True)
                output = opened.enter_context((self.logs / f"{role}.log").open("ab"))
            # -P: no module of the folder that the user is in takes the place of ours.
            # A session of its own keeps the terminal's Ctrl-C away from it: we say when it ends.
            return subprocess.Popen(
                [sys.executable, "-P", "-m", "cli", role],
                env=self._environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, safe beside threads
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
                if answer is not None and answer.get("status") == "ready":
                    self.readiness = answer
                    return
                if time.monotonic() > deadline:
                    raise Failure(f"the service was not ready within {START_SECONDS:.0f} s; it last said {answer}.")
                self.stopping.wait(0.1)
        raise Interrupted(STOPPED)

    def _log_hint(self, role: str) -> str:
        if self.logs is None:
            return " (its own words are above)"
        log = self.logs / f"{role}.log"
        lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
        return f": {lines[-1]} (see {log})" if lines else f" (see {log})"
