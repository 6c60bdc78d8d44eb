"""A running service for tests: its processes, requests to it, and a judge that bears witness. It knows no test."""

import json
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from bus.server import free_port
from cli.stack import Stack

from ..adapters.packages import install

WITNESS = '''
"""A judge that writes down who was asked what, and holds its answers from step 2 on while a file `hold` is there."""
import asyncio, hashlib, json, os
from pathlib import Path

from contracts.judging import JudgeCard, Verdict


class Witness:
    card = JudgeCard(name="witness", kind="scoring", description="A test's.", objective="larger files")

    def __init__(self, folder):
        self.folder = folder

    async def score(self, ask, pictures):
        seen = [hashlib.sha256(picture).hexdigest() for picture in pictures]
        line = {"pid": os.getpid(), "job": ask.name.job, "step": ask.name.step, "kind": ask.kind, "seen": seen}
        with (self.folder / "asks.jsonl").open("a") as book:
            book.write(json.dumps(line) + chr(10))
        while ask.name.step >= 2 and (self.folder / "hold").exists():
            await asyncio.sleep(0.02)
        return Verdict(scores=[float(len(picture)) for picture in pictures])


def witness(environment):
    return Witness(Path(environment["TEST_FOLDER"]))
'''
STEPS, CANDIDATES = 6, 4


@dataclass(frozen=True)
class Witness:
    """What the judge `witness` was asked."""

    folder: Path

    def hold(self) -> None:
        """Let no verdict out from step 2 on."""
        (self.folder / "hold").touch()

    def release(self) -> None:
        """Let them out."""
        (self.folder / "hold").unlink(missing_ok=True)

    def asks(self, job_id: str, kind: str | None = None) -> list[dict[str, Any]]:
        """What it was asked for the job, in order."""
        book = self.folder / "asks.jsonl"
        lines = map(json.loads, book.read_text().splitlines()) if book.exists() else ()
        return [line for line in lines if line["job"] == job_id and kind in (None, line["kind"])]

    def wait_for_step_2(self, job_id: str) -> None:
        """Until the job is in the middle: a step written down, the judge busy with the next one."""
        until(lambda: any(ask["step"] == 2 for ask in self.asks(job_id)), "the judge is asked about step 2")


@dataclass(frozen=True)
class Running:
    """A service at work."""

    stack: Stack
    http: httpx.Client
    witness: Witness

    def submit(self, **changed: Any) -> str:
        """The id of a new job."""
        answer = self.http.post("/generate", json=body(**changed))
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    def job(self, job_id: str) -> dict[str, Any]:
        """The job as it is now."""
        found: dict[str, Any] = self.http.get(f"/v1/generations/{job_id}").raise_for_status().json()
        return found

    def ended(self, job_id: str) -> dict[str, Any]:
        """The job at its end; what dies meanwhile is started again, as `maxwell up` does."""
        return self.until_ended(job_id, self.stack.mend)

    def until_ended(self, job_id: str, meanwhile: Callable[[], None]) -> dict[str, Any]:
        """The job at its end."""

        def over() -> bool:
            meanwhile()
            with suppress(httpx.TransportError, httpx.HTTPStatusError):
                return self.job(job_id)["completed_at"] is not None
            return False

        until(over, f"the job {job_id} has ended", seconds=60)
        return self.job(job_id)

    def get(self, job_id: str, name: str) -> httpx.Response:
        """What the job made."""
        return self.http.get(f"/v1/generations/{job_id}/{name}")


def body(**changed: Any) -> dict[str, Any]:
    """A request that is drawn in a second."""
    sampler = {"candidates": CANDIDATES, "steps": STEPS}
    return {
        "prompt": "red",
        "scenario": "teacher",
        "model": "toy",
        "judge": "witness",
        "seed": 7,
        "sampler": sampler,
    } | changed


def environment(folder: Path) -> dict[str, str]:
    """What a quick service is started with: the toy model, two judges of ours and the witness."""
    packages = install(folder / "packages", "witness_of_a_test", WITNESS, {"witness": "witness"})
    return {
        "MAXWELL_MODELS": "toy",
        "MAXWELL_JUDGES": "colorfulness,jpeg_compressibility,witness",
        "PYTHONPATH": str(packages),
        "TEST_FOLDER": str(folder),
        "OMP_NUM_THREADS": "1",
    }


def new_stack(state: Path) -> Stack:
    """A service that is not started yet; what its processes say is in the folder `logs`."""
    return Stack("127.0.0.1", free_port(), state, logs=state / "logs")


def until(condition: Callable[[], bool], description: str, seconds: float = 30.0) -> None:
    """Until the condition holds. Fails, with the description, where it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {description}"
        time.sleep(0.02)


def kill_and_mend(service: Running, role: str) -> None:
    """kill -9, and what `maxwell up` does then."""
    pid = service.stack.pids[role]
    os.kill(pid, signal.SIGKILL)

    def another() -> bool:
        service.stack.mend()
        return service.stack.pids[role] != pid

    until(another, f"the {role} is started again")


def alive(pid: int) -> bool:
    """Whether the process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children(pid: int) -> list[int]:
    """The process ids of all that the process has started, and that those have started."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):  # it may end while we look
        for task in Path(f"/proc/{pid}/task").iterdir():
            for child in map(int, (task / "children").read_text().split()):
                found += [child, *children(child)]
    return found


def gone(pids: list[int]) -> bool:
    """Whether none of the processes runs."""
    return not any(alive(pid) for pid in pids if pid != os.getpid())
