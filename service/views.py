"""What the API shows: a job's record as users see it, and the shapes of listings and checks. It knows no key and no header."""

from typing import Generic, Literal, TypeVar

from pydantic import BaseModel

from bus.jobs import Jobs
from contracts.jobs import Estimate, JobRecord, JobState, JobView

EXAMPLE_ID = "gen_019ab1f0c2d34e5f60718293a4b5c6d7"

Item = TypeVar("Item")


class Listing(BaseModel, Generic[Item]):
    """Everything there is of a kind."""

    data: list[Item]


class JobPage(BaseModel):
    """Some jobs, newest first. `next_cursor` leads to the older ones."""

    data: list[JobView]
    has_more: bool
    next_cursor: str | None


class Readiness(BaseModel):
    """Whether a job sent now would be drawn: `degraded` names what is `missing`; jobs that wait are kept meanwhile."""

    status: Literal["ready", "degraded"]
    missing: list[str]
    workers: int
    models: list[str]
    judges: list[str]
    waiting: int


class Liveness(BaseModel):
    """The process answers."""

    status: Literal["alive"] = "alive"


class Discovery(BaseModel):
    """What this is and where things are."""

    name: str
    version: str
    description: str
    urls: dict[str, str]


def job_url(job_id: str) -> str:
    """Where the job is."""
    return f"/v1/generations/{job_id}"


async def current_view(jobs: Jobs, record: JobRecord, estimate: Estimate | None = None) -> JobView:
    """The job as users see it, with its place in the line while it waits."""
    position = await jobs.position(record.spec.id) if record.state is JobState.QUEUED else None
    return job_view(record, position, estimate)


def job_view(record: JobRecord, position: int | None = None, estimate: Estimate | None = None) -> JobView:
    """The job as users see it."""
    spec = record.spec
    return JobView(
        id=spec.id,
        status=record.state,
        version=record.version,
        prompt=spec.prompt,
        negative_prompt=spec.negative_prompt,
        scenario=spec.scenario,
        scenario_text=spec.scenario_text,
        judge=spec.judge,
        model=spec.model,
        sampler=spec.sampler,
        seed=spec.seed,
        width=spec.width,
        height=spec.height,
        budget=spec.budget,
        on_judge_failure=spec.on_judge_failure,
        max_skipped_steps=spec.max_skipped_steps,
        priority=spec.priority,
        metadata=spec.metadata,
        progress=record.progress,
        queue_position=position,
        usage=record.usage,
        estimate=estimate,
        result=record.result,
        error=record.error,
        created_at=spec.created_at,
        started_at=record.started_at,
        completed_at=record.completed_at,
        expires_at=record.expires_at,
        urls=_urls(record),
    )


def _urls(record: JobRecord) -> dict[str, str]:
    """What can be fetched now; the pictures once they are there."""
    here = job_url(record.spec.id)
    urls = {
        "self": here,
        "events": f"{here}/events",
        "trajectory": f"{here}/trajectory.svg",
        "audit": f"{here}/audit.jsonl",
    }
    if not record.state.terminal:
        urls["cancel"] = f"{here}/cancel"
    if record.state is JobState.SUCCEEDED:
        urls |= {
            "image": f"{here}/image.png",
            "baseline": f"{here}/baseline.png",
            "contact_sheet": f"{here}/contact-sheet.jpg",
        }
    return urls
