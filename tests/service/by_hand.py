"""A gateway on a port of its own, and what workers do, by hand: cards, steps, the end. It knows no test."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import httpx
import uvicorn

from bus.jobs import Claim, Jobs
from contracts.jobs import JobState, JudgeTotal, Progress, Result, StepAudit, Usage
from contracts.judging import JudgeCard
from contracts.models import ModelCard
from service.app import create_app
from service.settings import GatewaySettings

MODEL = ModelCard(
    name="embedded",
    family="embedded",
    description="small",
    width=128,
    height=96,
    min_size=64,
    max_size=256,
    size_multiple=32,
    sigma_min=0.02,
    sigma_max=80.0,
    guidance=5.0,
    seconds_per_row=0.01,
)
SELECTING = JudgeCard(name="local", kind="selecting", description="selects", objective="what fits the prompt")
SCORING = JudgeCard(name="colorfulness", kind="scoring", description="scores", objective="colour", max_pictures=16)
NO_JOB = "gen_" + "0" * 32
STEPS = 16


class _Server(uvicorn.Server):
    """Says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()


@contextmanager
def running(settings: GatewaySettings) -> Iterator[str]:
    """The URL of a gateway that uvicorn serves in a thread."""
    server = _Server(uvicorn.Config(create_app(settings), port=0, log_config=None, ws="none", access_log=False))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        assert server.listening.wait(20), "the gateway did not start"
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


async def submit(client: httpx.AsyncClient, **body: Any) -> str:
    """The id of an accepted job."""
    answer = await client.post("/v1/generations", json={"prompt": "a red apple"} | body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["id"]
    return job_id


async def claim(jobs: Jobs, job_id: str) -> Claim:
    """The job, taken by a worker."""
    claimed = await jobs.claim(job_id, "worker-1")
    assert claimed is not None
    return claimed


async def step(jobs: Jobs, claimed: Claim, number: int, **audit: Any) -> None:
    """One step of a claimed job."""
    row = {"scores": (5.0, -5.0), "weights": (1.0, -1.0), "taken": "mixed"} | audit
    await jobs.commit(
        claimed.record.spec.id,
        claimed.epoch,
        progress=Progress(step=number, steps=STEPS, reward=0.0, sigma=80.0 / number),
        usage=Usage(judge=JudgeTotal(calls=number)),
        checkpoint=b"state",
        audit=StepAudit.model_validate({"step": number, "sigma": 80.0 / number, "at": datetime.now(UTC)} | row),
    )


async def finish(jobs: Jobs, job_id: str, state: JobState = JobState.SUCCEEDED) -> None:
    """A waiting job, taken and brought to its end after one step."""
    claimed = await claim(jobs, job_id)
    await step(jobs, claimed, 1)
    await jobs.finish(job_id, claimed.epoch, state, result=Result(score=0.5, baseline_score=0.25))
