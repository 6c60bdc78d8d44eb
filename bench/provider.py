"""What a judge worker needs around it to be measured: Redis, a provider, the worker, each a process of its own; and running jobs."""

import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from bus.cards import Cards
from bus.connection import WORKER_PATIENCE, Client, connect
from bus.jobs import Jobs
from bus.server import EmbeddedServer
from tests.bus.builders import claimed
from tests.conformance.provider import KEY
from tests.conftest import wait_until

JUDGE = "openai"


@dataclass(frozen=True)
class Setting:
    """One worker with the judge `openai`, its Redis, and the ids of jobs that run."""

    redis: Client
    worker: int
    jobs: list[str]

    def resident(self) -> float:
        """The worker's resident memory in MB."""
        status = Path(f"/proc/{self.worker}/status").read_text()
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")) / 1024

    def busy(self) -> float:
        """The processor seconds that the worker has used."""
        fields = Path(f"/proc/{self.worker}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def setting(model: str, latency: float, jobs: int = 64) -> AsyncIterator[Setting]:
    """Everything started, the provider answering as `model` of tests/conformance after `latency` seconds."""
    with (
        tempfile.TemporaryDirectory(prefix="maxwell-bench-") as folder,
        EmbeddedServer(Path(folder)) as server,
        provider(latency) as url,
        _worker(server.url, url, model) as worker,
    ):
        async with connect(server.url, patience=WORKER_PATIENCE) as redis:
            await wait_until(lambda: _offered(redis, worker), "the judge worker is ready", seconds=60)
            ids = [(await claimed(Jobs(redis))).record.spec.id for _ in range(jobs)]
            yield Setting(redis, worker.pid, ids)


async def _offered(redis: Client, worker: "subprocess.Popen[bytes]") -> bool:
    assert worker.poll() is None, "the judge worker ended: its last words stand above"
    return JUDGE in await Cards(redis).judges()


@contextmanager
def provider(latency: float) -> Iterator[str]:
    """The address of a provider that answers after `latency` seconds."""
    command = [sys.executable, "-m", "tests.conformance", "--latency", str(latency)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.stdin.close()


@contextmanager
def _worker(redis_url: str, provider_url: str, model: str) -> Iterator["subprocess.Popen[bytes]"]:
    prefix = "MAXWELL_JUDGE_OPENAI_"
    environment = {
        "MAXWELL_REDIS_URL": redis_url,
        "MAXWELL_JUDGES": JUDGE,
        prefix + "MODEL": model,
        prefix + "API_KEY": KEY,
        prefix + "BASE_URL": provider_url,
    }
    command = [sys.executable, "-m", "workers.judge_worker"]
    with subprocess.Popen(command, env=os.environ | environment, stdout=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.terminate()
