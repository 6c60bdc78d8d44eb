"""A job between its Redis hash and its pydantic models, and how jobs are named. It knows no command."""

import secrets
import time
from collections.abc import Mapping
from datetime import UTC, datetime

from contracts.errors import Problem
from contracts.jobs import JobRecord, JobSpec, JobState, Progress, Result, Usage


def new_job_id() -> str:
    """`gen_` and 32 hexadecimal digits: 48 bits of time in milliseconds, 80 random bits. Sorts by age, as a UUIDv7 does."""
    return f"gen_{time.time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"


def milliseconds(moment: datetime) -> int:
    """A time as the scripts count it."""
    return int(moment.timestamp() * 1000)


def record_of(fields: Mapping[bytes, bytes]) -> JobRecord:
    """The record from the fields of a job's hash."""
    text = {key.decode(): value.decode() for key, value in fields.items()}
    return JobRecord(
        spec=JobSpec.model_validate_json(text["spec"]),
        state=JobState(text["state"]),
        progress=Progress.model_validate_json(text["progress"]),
        usage=Usage.model_validate_json(text["usage"]) if "usage" in text else Usage(),
        result=Result.model_validate_json(text["result"]) if "result" in text else None,
        error=Problem.model_validate_json(text["error"]) if "error" in text else None,
        version=int(text["version"]),
        epoch=int(text["epoch"]),
        cancel="cancel" in text,
        started_at=_moment(text, "started_at"),
        completed_at=_moment(text, "completed_at"),
        expires_at=_moment(text, "expires_at"),
    )


def _moment(text: Mapping[str, str], name: str) -> datetime | None:
    return datetime.fromtimestamp(int(text[name]) / 1000, UTC) if name in text else None
