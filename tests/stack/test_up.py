"""`maxwell up` on signals: nothing of it is left, however it ends, and the next one on the same folder finishes its jobs."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from bus.server import EmbeddedServer, free_port
from cli.drawing import curl_line
from cli.stack import RESTARTS, Stack

from .running import Running, Witness, children, environment, gone, until


class Up:
    """`maxwell up` as a process, ready, with what it says."""

    def __init__(self, state: Path, variables: dict[str, str]) -> None:
        self.port = free_port()
        self._words = state.parent / f"up-{self.port}.log"
        command = [sys.executable, "-m", "cli", "up", "--port", str(self.port), "--state", str(state)]
        with self._words.open("wb") as words:
            self.process = subprocess.Popen(command, env=os.environ | variables, stdout=words, stderr=words)
        until(lambda: "Maxwell is ready" in self.words or self.process.poll() is not None, "up is ready")
        self.family = children(self.process.pid)

    @property
    def words(self) -> str:
        return self._words.read_text()

    def end(self, how: signal.Signals) -> int:
        """Send the signal; the exit status once nothing of it is left."""
        self.process.send_signal(how)
        status = self.process.wait(timeout=30)
        until(lambda: gone(self.family), "every child is gone", seconds=30)
        return status


@pytest.fixture
def witness(tmp_path: Path) -> Witness:
    return Witness(tmp_path)


@contextmanager
def up(witness: Witness, variables: dict[str, str]) -> Iterator[tuple[Up, Running]]:
    """A service that `maxwell up` runs."""
    running = Up(witness.folder / "state", variables)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{running.port}", timeout=30) as http:
            yield running, Running(Stack("127.0.0.1", running.port, witness.folder), http, witness)
    finally:
        running.process.kill()
        running.process.wait()
        until(lambda: gone(running.family), "every child is gone")


def test_jobs_survive_every_end_of_up_and_no_process_does(witness: Witness) -> None:
    """SIGTERM in a job's middle, then kill -9 in its middle, then Ctrl-C with the job done."""
    variables = environment(witness.folder)
    witness.hold()
    with up(witness, variables) as (first, service):
        job_id = service.submit()
        witness.wait_for_step_2(job_id)
        assert len(first.family) == 4, "Redis, gateway, GPU worker, judge worker"
        ready = (
            f"Maxwell is ready at http://127.0.0.1:{first.port} (documentation: http://127.0.0.1:{first.port}/docs). "
        )
        assert ready in first.words
        curl = curl_line(f"http://127.0.0.1:{first.port}", ["toy"], ["colorfulness"])
        assert f"\n  {curl}\n" in first.words, "in one line, to be copied"
        assert first.end(signal.SIGTERM) == 0
        assert "Traceback" not in first.words
        assert "Maxwell has stopped." in first.words
    asked = len(witness.asks(job_id))
    with up(witness, variables) as (second, service):
        until(lambda: len(witness.asks(job_id)) > asked, "the job is in its middle again")
        assert service.job(job_id)["progress"]["step"] == 1, "step 1 was drawn before"
        assert second.end(signal.SIGKILL) == -signal.SIGKILL
    witness.release()
    with up(witness, variables) as (third, service):
        job = service.until_ended(job_id, lambda: None)
        assert (job["status"], job["error"]) == ("succeeded", None)
        assert third.end(signal.SIGINT) == 0
        assert "Traceback" not in third.words


@pytest.mark.parametrize(
    ("role", "name", "hint"),
    [
        (b"cli\0gateway\0", "gateway", "(its own words are above)"),
        (b"valkey-server", "Redis server", "(see {folder}/state/redis/valkey.log)"),
    ],
    ids=["gateway", "redis"],
)
def test_up_says_what_it_starts_again_and_gives_up_on_what_keeps_dying(
    witness: Witness, role: bytes, name: str, hint: str
) -> None:
    with up(witness, environment(witness.folder)) as (running, service):
        for _ in range(RESTARTS + 1):
            until(lambda: answers(service), "it is whole")
            (pid,) = [pid for pid in children(running.process.pid) if role in cmdline(pid)]
            os.kill(pid, signal.SIGKILL)
            until(lambda pid=pid: replaced(running.process, pid, role), f"the {name} is started again, or up has ended")  # type: ignore[misc]
        assert running.process.wait(timeout=30) == 1
        until(lambda: gone(running.family), "every child is gone")
        lines = running.words.splitlines()
        assert lines.count(f"maxwell: the {name} ended with status -9; starting it again.") == RESTARTS
        ending = hint.format(folder=witness.folder)
        assert lines[-1] == f"maxwell: the {name} ended 6 times, last with status -9 {ending}."


def test_ctrl_c_is_heeded_while_redis_is_started_again(tmp_path: Path) -> None:
    stack = Stack("127.0.0.1", free_port(), tmp_path)
    with EmbeddedServer(tmp_path / "redis", stack.stopping) as server:
        stack._server = server
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not server.alive, "Redis is dead")
        stack.stopping.set()
        stack.watch()
        stack.mend()
        assert not server.alive


def answers(service: Running) -> bool:
    """Whether the gateway runs, and Redis behind it."""
    with suppress(httpx.TransportError):
        return service.http.get("/readyz").status_code == 200
    return False


def cmdline(pid: int) -> bytes:
    """The process's command, empty once it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b""


def replaced(up: subprocess.Popen[bytes], pid: int, role: bytes) -> bool:
    """Whether the child is no more and another one runs in its place, or `up` has ended."""
    if up.poll() is not None:
        return True
    now = children(up.pid)
    return pid not in now and any(role in cmdline(child) for child in now)
