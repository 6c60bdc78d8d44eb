"""examples/http_scorer in a process of its own, started by the command that docs/http-judge.md gives. It knows no judge."""

import os
import shlex
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "http-judge.md").read_text(encoding="utf-8")
SECONDS = 30.0  # until it has to be there


@contextmanager
def running(token: str = "") -> Iterator[int]:
    """The port at which it listens while the block runs; with a token it answers nobody who has another."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    start = PAGE.split("```sh\n")[1].partition("```")[0]
    command = shlex.split(start.replace(".venv/bin/python", shlex.quote(sys.executable)))
    told = os.environ | {"SCORER_PORT": str(port), "SCORER_TOKEN": token}
    with subprocess.Popen(command, cwd=ROOT, env=told, stdout=subprocess.DEVNULL) as process:
        try:
            _wait_for(port, process)
            yield port
        finally:
            process.terminate()
            process.wait(SECONDS)


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + SECONDS
    while True:
        assert process.poll() is None, "the example ended: see above why"
        assert time.monotonic() < end, "the example did not start"
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
