"""What the OpenAPI document says beyond the routes' own signatures: problems, headers, examples. It knows no behaviour."""

from http import HTTPStatus
from typing import Any

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
}
ACCEPTED: dict[str, Any] = {
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


def without_default_validation(document: dict[str, Any]) -> dict[str, Any]:
    """The document without the framework's validation errors, which our error table never sends. Changes it in place."""
    for path in document["paths"].values():
        for operation in path.values():
            if "application/json" in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)
    return document


def _problem(status: int) -> dict[str, Any]:
    example = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": _WHY[status],
        "code": "validation_failed"
        if status == HTTPStatus.UNPROCESSABLE_ENTITY
        else "not_found"
        if status == HTTPStatus.NOT_FOUND
        else "…",
        "retryable": status in (429, 503),
    }
    answer: dict[str, Any] = {
        "description": _WHY[status],
        "content": {
            "application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
        },
    }
    return answer | ({"headers": _RETRY_AFTER} if status in (429, 503) else {})
