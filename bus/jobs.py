"""Jobs from acceptance to removal: every change is one script, so a job is never half of anything.

It knows states, waiting lines and epochs; it knows no queue engine (`bus.queue`), no step's meaning and no HTTP. A job's times come
from the server's clock, except `created_at` and `deadline`, which its spec brings. Every method may raise BusUnavailable.
"""

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from redis.asyncio import Redis

from contracts.errors import Conflict, Fenced, IdempotencyReused, MaxwellError, NotFound, Problem, QueueFull
from contracts.jobs import JobRecord, JobSpec, JobState, Progress, Result, StepAudit, Usage

from . import keys
from .lua import script
from .records import milliseconds, new_job_id, record_of

__all__ = ["Claim", "Idempotency", "Jobs", "Submission", "new_job_id"]

MAX_CRASHES = 3  # starts in a row that ended without a step and without an orderly hand-back
RETRY_AFTER = timedelta(seconds=10)
HAND_OVER_PATIENCE = timedelta(seconds=10)  # admitted, not claimed
SILENCE_PATIENCE = timedelta(seconds=60)  # claimed, no step written; handing it over again does nothing while it runs
DEADLINE_GRACE = timedelta(seconds=5)  # for the worker to end its overdue job itself
SWEEP = 100  # jobs a reconciler's pass looks at of each kind
_PAGE = 100
_MAX_PAGES = 10  # of one listing; a rare state's next jobs are behind the cursor

Ids = list[str]  # named out here: inside Jobs, `list` is the method
Records = list[JobRecord]
Rows = list[StepAudit]

_POISON = Problem(
    title="The job crashed its workers",
    status=500,
    code="poison_job",
    detail=f"{MAX_CRASHES} workers in a row ended while they worked on this job's next step: it will not be tried again. "
    "Look at the workers' logs; fewer candidates or a smaller picture may help.",
)


@dataclass(frozen=True)
class Idempotency:
    """A client's Idempotency-Key and a fingerprint of the body it came with. Scoped to the owner, kept for 24 h."""

    key: str
    fingerprint: str


@dataclass(frozen=True)
class Submission:
    """An accepted job. `replayed`: it was accepted before, under the same idempotency key."""

    job_id: str
    replayed: bool


@dataclass(frozen=True)
class Claim:
    """A job given to a worker: its record, the epoch to write under, and the State of its last step, if any."""

    record: JobRecord
    epoch: int
    checkpoint: bytes | None


class Jobs:
    """The jobs in Redis. `retention`: how long a job is kept after its end."""

    def __init__(self, redis: Redis, *, retention: timedelta = keys.RETENTION) -> None:
        self._redis = redis
        self._retention = int(retention.total_seconds())
        names = (
            "submit position admit claim commit finish hand_back cancel delete expire removable forget silent records"
        )
        self._scripts = {name: script(redis, name) for name in names.split()}

    async def _run(self, name: str, *arguments: str | bytes | int) -> Any:
        return await self._scripts[name](args=arguments)

    # ---- for the gateway

    async def submit(
        self, spec: JobSpec, *, steps: int, idempotency: Idempotency | None, queue_limit: int
    ) -> Submission:
        """Accept a job of `steps` steps. Raises QueueFull where `queue_limit` jobs wait, IdempotencyReused for another body."""
        outcome, job_id = await self._run(
            "submit",
            spec.id,
            spec.owner,
            spec.priority,
            spec.model_dump_json(),
            Progress(steps=steps).model_dump_json(),
            milliseconds(spec.deadline) if spec.deadline else "",
            self._retention,
            queue_limit,
            _digest(spec.owner, idempotency.key) if idempotency else "",
            idempotency.fingerprint if idempotency else "",
        )
        if outcome == b"full":
            raise QueueFull(f"{queue_limit} jobs wait already, as many as may: try again later", RETRY_AFTER)
        if outcome == b"reused":
            raise _reused()
        return Submission(job_id.decode(), replayed=outcome == b"replayed")

    async def accepted_before(self, owner: str, idempotency: Idempotency) -> str | None:
        """The job accepted under this key, whatever workers offer by now; None for a new key. Raises IdempotencyReused."""
        seen: Any = await self._redis.hmget(keys.IDEMPOTENCY % _digest(owner, idempotency.key), "job", "fingerprint")
        if seen[0] is None:
            return None
        if seen[1].decode() != idempotency.fingerprint:
            raise _reused()
        return str(seen[0].decode())

    async def get(self, job_id: str) -> JobRecord:
        """The job's record. Raises NotFound."""
        (fields,) = await self._run("records", job_id)
        if not fields:
            raise _unknown(job_id)
        return record_of(_pairs(fields))

    async def list(
        self, owner: str | None, limit: int, cursor: str | None = None, state: JobState | None = None
    ) -> tuple[Records, str | None]:
        """At most `limit` jobs, newest first, after the job named by `cursor`, and the cursor of the next page, if any.

        With a `state`, a page may hold fewer jobs than `limit` although more follow.
        """
        index = keys.ALL if owner is None else keys.OF_OWNER % owner
        found: Records = []
        for _ in range(_MAX_PAGES):
            start = f"({cursor}" if cursor else "+"
            names: Any = await self._redis.zrange(index, start, "-", desc=True, bylex=True, offset=0, num=_PAGE)
            page = [name.decode() for name in names]
            for job_id, fields in zip(page, await self._run("records", *page) if page else [], strict=True):
                record = record_of(_pairs(fields)) if fields else None
                if record is not None and (state is None or record.state == state):
                    if len(found) == limit:
                        return found, cursor
                    found.append(record)
                cursor = job_id
            if len(page) < _PAGE:
                return found, None
        return found, cursor

    async def position(self, job_id: str) -> int | None:
        """The job's place in the order of admission, 1 being next; None when it does not wait."""
        place: int | None = await self._run("position", job_id)
        return place

    async def waiting(self) -> int:
        """How many jobs wait: in the lines, or handed over and not begun."""
        return int(await self._redis.zcard(keys.WAITING)) + int(await self._redis.zcard(keys.ADMITTED))

    async def cancel(self, job_id: str) -> JobRecord:
        """End a job that no worker holds now, a running one at its next step. Raises NotFound; Conflict where it has ended otherwise."""
        before = await self._run("cancel", job_id)
        if before is None:
            raise _unknown(job_id)
        state = JobState(before.decode())
        if state.terminal and state is not JobState.CANCELED:
            raise Conflict(f"the job {job_id} has {state.value} already: there is nothing to cancel")
        return await self.get(job_id)

    async def delete(self, job_id: str) -> None:
        """Remove every key of an ended job. Raises NotFound; Conflict while the job lives."""
        state = await self._run("delete", job_id)
        if state is None:
            raise _unknown(job_id)
        if not JobState(state.decode()).terminal:
            raise Conflict(f"the job {job_id} is {state.decode()}: cancel it, then delete it")

    async def audit(self, job_id: str) -> Rows:
        """The audit rows of the steps so far, in order; none for an unknown job."""
        return [StepAudit.model_validate_json(row) for row in await self._redis.lrange(keys.AUDIT % job_id, 0, -1)]

    # ---- for whoever keeps order: the queue, the gateway

    async def admit(self, room: int) -> Ids:
        """Take jobs out of the waiting lines until `room` are handed over and not yet claimed; the ids taken, in order."""
        return [job_id.decode() for job_id in await self._run("admit", room)]

    async def expire(self) -> None:
        """End the jobs past their deadline, waiting ones included. To be called every few seconds, by anybody and by several."""
        await self._run("expire", _milliseconds(DEADLINE_GRACE), SWEEP)

    async def remove_old(self, remove: Callable[[str], Awaitable[None]]) -> None:
        """Forget the ended jobs whose retention is over, each after `remove(job_id)` has removed what is kept of it elsewhere.

        A job for which that fails stays known until another call; its error is raised after the others have gone.
        """
        failure: MaxwellError | None = None
        for member in await self._run("removable", SWEEP):
            try:
                await remove(member.decode().partition(" ")[0])
            except MaxwellError as error:
                failure = error
            else:
                await self._run("forget", member)
        if failure:
            raise failure

    async def silent(self) -> Ids:
        """The living jobs without a sign of life, to be handed over again; each is named again only after as long a silence."""
        patience = [_milliseconds(HAND_OVER_PATIENCE), _milliseconds(SILENCE_PATIENCE)]
        return [job_id.decode() for job_id in await self._run("silent", *patience, SWEEP)]

    # ---- for the workers

    async def claim(self, job_id: str, worker: str) -> Claim | None:
        """Take a job under a new epoch. None: there is nothing to run (unknown, ended, or ended just now: canceled, expired, poison)."""
        answer = await self._run("claim", job_id, worker, secrets.token_hex(8), MAX_CRASHES, _POISON.model_dump_json())
        if answer is None:
            return None
        fields, checkpoint = answer
        record = record_of(_pairs(fields))
        return Claim(record, record.epoch, checkpoint)

    async def commit(
        self, job_id: str, epoch: int, *, progress: Progress, usage: Usage, checkpoint: bytes, audit: StepAudit | None
    ) -> bool:
        """Write down a step: State, progress, audit row and event at once. True: the user asked to cancel. Raises Fenced."""
        answer = await self._run(
            "commit",
            job_id,
            epoch,
            progress.model_dump_json(),
            usage.model_dump_json(),
            checkpoint,
            audit.model_dump_json() if audit else "",
        )
        if answer < 0:
            raise _fenced(job_id, epoch)
        return bool(answer)

    async def finish(
        self,
        job_id: str,
        epoch: int,
        state: JobState,
        *,
        result: Result | None = None,
        error: Problem | None = None,
        usage: Usage | None = None,
    ) -> None:
        """End a job in a terminal state, once. A job whose cancellation was asked for ends canceled unless it succeeded. Raises Fenced."""
        documents = [model.model_dump_json() if model else "" for model in (result, error, usage)]
        if await self._run("finish", job_id, epoch, state.value, *documents) < 0:
            raise _fenced(job_id, epoch)

    async def hand_back(self, job_id: str, epoch: int) -> None:
        """Let go of a job in good order, so that its next claim counts no crash; one whose cancellation was asked for ends here.

        Nothing happens where another epoch owns it.
        """
        await self._run("hand_back", job_id, epoch)


def _pairs(flat: list[bytes]) -> Mapping[bytes, bytes]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _digest(owner: str, key: str) -> str:
    return hashlib.sha256(f"{owner}\0{key}".encode()).hexdigest()


def _milliseconds(duration: timedelta) -> int:
    return int(duration.total_seconds() * 1000)


def _reused() -> IdempotencyReused:
    return IdempotencyReused("this Idempotency-Key came with another body before: use a new key for a new request")


def _unknown(job_id: str) -> NotFound:
    return NotFound(f"there is no job {job_id}: it never was, or it has been removed")


def _fenced(job_id: str, epoch: int) -> Fenced:
    return Fenced(f"epoch {epoch} of job {job_id} is over: another worker owns it, or it has ended")
