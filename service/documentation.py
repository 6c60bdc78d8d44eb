"""What the OpenAPI document says beyond the routes' own signatures: problems, headers, examples. It knows no behaviour."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any

from contracts.errors import (
    BusUnavailable,
    Conflict,
    MaxwellError,
    NotFound,
    Problem,
    QueueFull,
    RequestRefused,
    Violation,
)
from contracts.jobs import Budget, Estimate, JobRecord, JobSpec, JobState, Progress
from contracts.sampler import SamplerSpec
from contracts.scenarios import SCENARIOS

from .errors import PLAIN_CODES, UNEXPECTED, problem_content
from .views import EXAMPLE_ID, job_view

DESCRIPTION = """\
A diffusion model draws what a judge prefers: at every step candidate pictures are proposed, a judge that cannot be differentiated
chooses, and the step's noise is mixed toward its choice (Demon sampling, Yeh et al., ICLR 2025).

Submit with `POST /v1/generations`, poll `urls.self` or follow `urls.events`, then fetch `urls.image`. Every error is an
[RFC 9457](https://www.rfc-editor.org/rfc/rfc9457) problem document with a stable `code`; `retryable` says whether to try again.
"""
TAGS = [
    {"name": "generations", "description": "Jobs: submit, follow, cancel, delete."},
    {"name": "artifacts", "description": "What a job made: pictures, the reward's trajectory, the audit trail."},
    {"name": "catalog", "description": "What can be asked for now."},
    {"name": "service", "description": "The service itself."},
]
_WHY = {
    400: "The body is not JSON.",
    404: "There is no such job, or it does not have this (yet).",
    409: "The job's state does not allow it.",
    413: "The body is too long.",
    415: "The body is not declared as JSON.",
    422: "The request cannot be accepted; `errors` names the fields.",
    429: "Too many jobs are waiting.",
    500: "The gateway failed unexpectedly.",
    503: "Redis is away, or no worker is running.",
}
_OURS: dict[int, type[MaxwellError]] = {
    404: NotFound, 409: Conflict, 422: RequestRefused, 429: QueueFull, 503: BusUnavailable
}  # fmt: skip
_DETAIL = {
    400: "the body is not JSON (Expecting value at character 0): correct it",
    404: f"there is no job {EXAMPLE_ID}: it never was, or it has been removed",
    409: f"the job {EXAMPLE_ID} is running: cancel it, then delete it",
    413: "the body is longer than 1048576 bytes, the most that is read: shorten it",
    415: "the body comes as text/plain: send JSON with Content-Type: application/json",
    422: "the request is not valid: correct what `errors` names",
    429: "1000 jobs wait already, as many as may: try again later",
    500: UNEXPECTED,
    503: str(BusUnavailable.public),
}
_RETRY_AFTER = {"Retry-After": {"description": "Seconds.", "schema": {"type": "integer", "minimum": 0}}}
SUBMISSION_EXAMPLES: dict[str, Any] = {
    "short": {"summary": "The least", "value": {"prompt": "a red apple", "scenario": "teacher"}},
    "full": {
        "summary": "With a seed, a budget and a sampler",
        "value": {
            "prompt": "a lighthouse at night",
            "scenario_text": "You are a printer who needs few colours.",
            "judge": "colorfulness",
            "sampler": {"candidates": 4, "steps": 16},
            "seed": 7,
            "budget": {"judge_calls": 30, "seconds": 600},
            "metadata": {"order": "4711"},
        },
    },
    "careful": {
        "summary": "With a judge that may fail, or cost",
        "value": {
            "prompt": "a fox in the snow",
            "scenario": "journalist",
            "budget": {"judge_calls": 20},
            "on_judge_failure": "skip",
            "max_skipped_steps": 3,
        },
    },
}
_SPEC = JobSpec(
    id=EXAMPLE_ID, prompt="a red apple", negative_prompt="", scenario="teacher", scenario_text=SCENARIOS["teacher"].text,
    judge="local", model="embedded", sampler=SamplerSpec(guidance=5.0), seed=7, width=128, height=128, budget=Budget(),
    on_judge_failure="skip", max_skipped_steps=8, priority="normal", metadata={}, created_at=datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC),
)  # fmt: skip
JOB_EXAMPLE: dict[str, Any] = job_view(
    JobRecord(spec=_SPEC, state=JobState.QUEUED, progress=Progress(steps=_SPEC.sampler.steps)),
    position=1,
    estimate=Estimate(network_rows=288, judge_calls=15, seconds=9.5),
).model_dump(mode="json")
JOB_ANSWER: dict[str, Any] = {"content": {"application/json": {"example": JOB_EXAMPLE}}}
ACCEPTED: dict[str, Any] = JOB_ANSWER | {
    "description": "Accepted: the job is written down and will end in exactly one terminal state.",
    "headers": {
        "Location": {"description": "Where the job is.", "schema": {"type": "string"}},
        "Retry-After": {
            "description": "When to look again, in seconds; absent where the job has ended.",
            "schema": {"type": "integer", "minimum": 1},
        },
        "Idempotent-Replayed": {
            "description": "`true` where the Idempotency-Key was known: this is the job that it made.",
            "schema": {"type": "string", "enum": ["true"]},
        },
        "Preference-Applied": {"description": "`wait=n`, where it was asked for.", "schema": {"type": "string"}},
    },
}
EVENT_STREAM: dict[str, Any] = {
    "description": "Server-sent events. `event` is `status` (the state changed; also the first one), `progress` or `done` (the last "
    "one, then the stream ends); `id` is the job's version; `data` is the whole job as GET answers it. An idle stream carries "
    "comments. A client that reconnects with `Last-Event-ID` misses nothing.",
    "content": {
        "text/event-stream": {
            "schema": {
                "type": "object",
                "description": "One event.",
                "required": ["id", "event", "data"],
                "properties": {
                    "id": {"type": "string", "pattern": "^[0-9]+$"},
                    "event": {"type": "string", "enum": ["status", "progress", "done"]},
                    "data": {
                        "type": "string",
                        "contentMediaType": "application/json",
                        "contentSchema": {"$ref": "#/components/schemas/JobView"},
                    },
                    "retry": {"type": "integer", "description": "Milliseconds to wait before a reconnect."},
                },
            },
            "example": 'id: 7\r\nevent: progress\r\ndata: {"id":"gen_…","status":"running","version":7}\r\n\r\n',
        }
    },
}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The documented problems of a route; 500 is every route's."""
    return {status: _problem(status) for status in sorted({*statuses, 500})}


def content(media_type: str, description: str) -> dict[str, Any]:
    """A documented answer that is no JSON."""
    text = media_type.startswith(("text/", "image/svg")) or media_type == "application/jsonl"
    schema = {"type": "string"} if text else {"type": "string", "format": "binary"}
    headers = {"Cache-Control": {"schema": {"type": "string"}}}
    return {"description": description, "headers": headers, "content": {media_type: {"schema": schema}}}


def completed(document: dict[str, Any]) -> dict[str, Any]:
    """The framework's document made true, in place.

    It holds no validation errors of the framework's own, which our error table never sends, and the example of a job has the nulls
    that the framework leaves out.
    """
    for path in document["paths"].values():
        for operation in path.values():
            answers = operation["responses"]
            if "application/json" in answers.get("422", {}).get("content", {}):
                del answers["422"]
            for answer in answers.values():
                if "example" in (body := answer.get("content", {}).get("application/json", {})):
                    body["example"] = JOB_EXAMPLE
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _problem(status: int) -> dict[str, Any]:
    """Example and headers come from the class that is answered with this status, or from the table of the framework's own."""
    ours = _OURS.get(status)
    problem = Problem(
        title=ours.title if ours else HTTPStatus(status).phrase,
        status=status,
        detail=_DETAIL[status],
        code=ours.code if ours else PLAIN_CODES[status],
        retryable=ours.retryable if ours else False,
        instance=f"/v1/generations/{EXAMPLE_ID}" if status in (404, 409) else "/v1/generations",
        errors=(Violation(pointer="/prompt", detail="String should have at least 1 character"),)
        if status == 422
        else (),
    )
    answer: dict[str, Any] = {
        "description": _WHY[status],
        "content": {
            "application/problem+json": {
                "schema": {"$ref": "#/components/schemas/Problem"},
                "example": problem_content(problem),
            }
        },
    }
    return answer | ({"headers": _RETRY_AFTER} if problem.retryable else {})
