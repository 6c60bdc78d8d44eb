"""The error tree, and the problem document (RFC 9457) by which an error reaches a user. It knows no HTTP framework.

MaxwellError                    code                      retryable
├── RequestRefused              validation_failed         no      the request asks for something that cannot be
├── NotFound                    not_found                 no
├── Conflict                    conflict                  no      e.g. the job has ended already
│   └── IdempotencyReused       idempotency_key_reused    no      same key, other body
├── QueueFull                   queue_full                yes
├── BusUnavailable              bus_unavailable           yes     Redis cannot be reached
├── StoreUnavailable            store_unavailable         yes     the object store of the pictures fails
├── Fenced                      fenced                    no      another worker owns the job now; never shown to users
├── WorkerError                 internal                  no      the rows, the job or the engine failed
│   ├── ModelUnavailable        model_unavailable         yes     no worker serves it now
│   ├── OutOfMemory             out_of_memory             no
│   └── EngineStopped           engine_stopped            yes
└── JudgeError                  judge_failed              no
    ├── JudgeUnavailable        judge_unavailable         yes     time-outs, connections, 5xx
    ├── JudgeRateLimited        judge_rate_limited        yes     asked too often, by its provider's limits or ours
    ├── JudgeQuotaExhausted     judge_quota_exhausted     no      its account is empty
    ├── JudgeMisconfigured      judge_misconfigured       no      its key, address, model or settings are wrong
    ├── JudgeRefused            judge_refused             no      the judge declined to look
    └── JudgeMalformed          judge_malformed           yes     it answered, but not what was asked
"""

from datetime import timedelta
from typing import ClassVar

from pydantic import Field

from ._base import Contract
from .judging import ONE_CALL, JudgeUsage


class Violation(Contract):
    """One thing wrong with a request. `pointer` is a JSON pointer (RFC 6901) into the body, or names a query parameter."""

    pointer: str
    detail: str


class Problem(Contract):
    """An error as users see it: in HTTP as `application/problem+json`, in a failed job as its `error`."""

    type: str = "about:blank"
    title: str
    status: int = Field(ge=400, le=599)
    detail: str
    code: str
    retryable: bool = False
    instance: str | None = None
    errors: tuple[Violation, ...] = ()


class MaxwellError(Exception):
    """Base of every error we raise on purpose. `str(error)` is a sentence for people: what happened, which input, what to do.

    `status` and `title` are what its problem document says; `public` is its detail where str(error) names addresses or folders,
    which are for the operator's log only.
    """

    code = "internal"
    status = 500
    title = "Internal error"
    retryable = False
    public: ClassVar[str | None] = None


class RequestRefused(MaxwellError):
    code = "validation_failed"
    status = 422
    title = "The request cannot be accepted"

    def __init__(self, detail: str, pointer: str = "") -> None:
        super().__init__(detail)
        self.violations = (Violation(pointer=pointer, detail=detail),)


class NotFound(MaxwellError):
    code = "not_found"
    status = 404
    title = "Not found"


class Conflict(MaxwellError):
    code = "conflict"
    status = 409
    title = "Conflict"


class IdempotencyReused(Conflict):
    code = "idempotency_key_reused"
    status = 422
    title = "Idempotency key reused"


class QueueFull(MaxwellError):
    code = "queue_full"
    status = 429
    title = "Too many jobs are waiting"
    retryable = True

    def __init__(self, detail: str, retry_after: timedelta) -> None:
        super().__init__(detail)
        self.retry_after = retry_after


class BusUnavailable(MaxwellError):
    code = "bus_unavailable"
    status = 503
    title = "Redis is unavailable"
    retryable = True
    public = "the service cannot reach its Redis, or cannot write there, just now: try again; its log says why"


class StoreUnavailable(MaxwellError):
    code = "store_unavailable"
    status = 503
    title = "The picture store is unavailable"
    retryable = True
    public = "the service cannot reach its picture store just now: try again; its log says why"


class Fenced(MaxwellError):
    code = "fenced"


class WorkerError(MaxwellError):
    code = "internal"


class ModelUnavailable(WorkerError):
    code = "model_unavailable"
    status = 503
    title = "The model is unavailable"
    retryable = True


class OutOfMemory(WorkerError):
    code = "out_of_memory"
    status = 500
    title = "The device ran out of memory"


class EngineStopped(WorkerError):
    code = "engine_stopped"
    status = 503
    title = "The engine has stopped"
    retryable = True


class JudgeError(MaxwellError):
    """A judgement that did not come about. Never replaced by an invented verdict: the job's policy decides.

    `usage` is what the attempt cost all the same: one call unless the judge knows better.
    """

    code = "judge_failed"
    status = 502
    title = "The judge failed"

    def __init__(self, detail: str, retry_after: timedelta | None = None, usage: JudgeUsage = ONE_CALL) -> None:
        super().__init__(detail)
        self.retry_after = retry_after
        self.usage = usage


class JudgeUnavailable(JudgeError):
    """Nobody answered, or in time, or the server said that something is wrong with it just now."""

    code = "judge_unavailable"
    status = 503
    title = "The judge is unavailable"
    retryable = True


class JudgeRateLimited(JudgeError):
    """The judge, or our own limit on asking it, wants fewer calls a minute."""

    code = "judge_rate_limited"
    status = 503
    title = "The judge is asked too often"
    retryable = True


class JudgeQuotaExhausted(JudgeError):
    code = "judge_quota_exhausted"
    status = 502
    title = "The judge's account is empty"


class JudgeMisconfigured(JudgeError):
    """The same request will fail again until somebody changes a setting."""

    code = "judge_misconfigured"
    status = 502
    title = "The judge is misconfigured"


class JudgeRefused(JudgeError):
    code = "judge_refused"
    status = 502
    title = "The judge refused"


class JudgeMalformed(JudgeError):
    code = "judge_malformed"
    status = 502
    title = "The judge's answer is malformed"
    retryable = True


def judge_error(code: str, detail: str) -> JudgeError:
    """A judge's failure that crossed a process border, as the typed error it was there; JudgeError for a code of none of them."""
    kinds = {kind.code: kind for kind in JudgeError.__subclasses__()}
    return kinds.get(code, JudgeError)(detail)


def first_line(error: BaseException) -> str:
    """What a foreign error says, short enough for a sentence of ours: its first line, or its type where it says nothing."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def problem_of(error: MaxwellError, instance: str | None = None) -> Problem:
    """The error as users see it."""
    return Problem(
        title=error.title,
        status=error.status,
        detail=error.public or str(error),
        code=error.code,
        retryable=error.retryable,
        instance=instance,
        errors=error.violations if isinstance(error, RequestRefused) else (),
    )
