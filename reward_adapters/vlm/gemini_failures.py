"""What google-genai raises, as our typed errors: what may pass, what was refused, what somebody has to mend. It knows no judge.

The SDK wraps what a server answers and nothing else: time-outs and lost connections come as its HTTP library's own. The details reach
users: they name neither the server's address nor anything that is the key's.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import httpx2
from google.genai.errors import APIError

from contracts.errors import (
    JudgeError,
    JudgeMisconfigured,
    JudgeQuotaExhausted,
    JudgeUnavailable,
)

from ..bodies import PASSING, busy, quoted, retry_after, seconds

RAISED = (APIError, httpx2.HTTPError, UnicodeDecodeError)  # the last by error pages in older encodings
GOOGLES_PASSING = (*PASSING, 499)
_OF_THE_KEY = (
    "API_KEY_INVALID",
    "API_KEY_SERVICE_BLOCKED",
    "API_KEY_HTTP_REFERRER_BLOCKED",
    "API_KEY_IP_ADDRESS_BLOCKED",
)


def typed(error: Exception, judge: str, prefix: str, key: str) -> JudgeError:
    """One of RAISED as one of ours. `prefix` is that of the judge's settings, `key` what no sentence may show."""
    if isinstance(error, APIError):
        return _of_answer(_Answer.of(error), judge, prefix, key)
    if isinstance(error, httpx2.TimeoutException):
        return JudgeUnavailable(f"the model of the judge {judge!r} gave no answer in time")
    if isinstance(error, UnicodeDecodeError):
        return JudgeUnavailable(f"the server of the judge {judge!r} answered with an error that cannot be read")
    cause = type(error).__name__
    fix = f": is {prefix}BASE_URL its address?" if isinstance(error, httpx2.ConnectError) else ""
    return JudgeUnavailable(f"the server of the judge {judge!r} cannot be reached, or hung up ({cause}){fix}")


@dataclass(frozen=True)
class _Answer:
    """An answer that is an error: its status, what it says, its details (google.rpc), and what its header says of coming back."""

    status: int
    message: str
    details: tuple[Mapping[str, Any], ...]
    header: timedelta | None

    @classmethod
    def of(cls, error: APIError) -> "_Answer":
        body = error.details
        inner = body.get("error") if isinstance(body, Mapping) else None
        details = inner.get("details") if isinstance(inner, Mapping) else None
        headers = getattr(error.response, "headers", {})
        return cls(
            error.code,
            error.message if isinstance(error.message, str) else "",
            tuple(one for one in details if isinstance(one, Mapping)) if isinstance(details, list) else (),
            retry_after(headers),
        )

    def found(self, name: str) -> Iterator[Any]:
        """The values of this name among the details."""
        return (detail[name] for detail in self.details if name in detail)

    @property
    def retry_after(self) -> timedelta | None:
        """When to come back: RetryInfo, which the SDK does not read, or the header."""
        delays = (seconds(delay.removesuffix("s")) for delay in self.found("retryDelay") if isinstance(delay, str))
        return next((delay for delay in delays if delay is not None), self.header)

    @property
    def quota_exhausted(self) -> bool:
        """Whether waiting a minute is no help: a quota of the day is used up, or is nothing, or the account has to be paid for.

        Only the bodies tell this from too many requests a minute, for the status is the same; RetryInfo is in both.
        """
        violations = [one for some in self.found("violations") if isinstance(some, list) for one in some]
        named = [one for one in violations if isinstance(one, Mapping)]
        if not named:
            return self.retry_after is None and bool(re.search(r"\b(billing|credits?)\b", self.message, re.I))
        return any("PerDay" in str(one.get("quotaId")) or str(one.get("quotaValue")) == "0" for one in named)


def _of_answer(answer: _Answer, judge: str, prefix: str, key: str) -> JudgeError:
    status = answer.status
    if status == 402 or (status == 429 and answer.quota_exhausted):
        return JudgeQuotaExhausted(
            f"the account of the judge {judge!r} has no quota left ({status}): its owner has to raise the limit or pay, or wait for the "
            "next day"
        )
    if (passing := busy(status, f"the server of the judge {judge!r}", answer.retry_after, GOOGLES_PASSING)) is not None:
        return passing
    return JudgeMisconfigured(f"the judge {judge!r} is misconfigured ({status}): {_advice(answer, prefix, key)}")


def _advice(answer: _Answer, prefix: str, key: str) -> str:
    """What to do about a request that will fail again as it is."""
    said = quoted(answer.message, key)
    if answer.status == 401 or set(answer.found("reason")) & set(_OF_THE_KEY):
        return f"the server does not accept its key, check {prefix}API_KEY"  # it may quote the key: not shown
    if answer.status == 403:
        return f"its key may not use this model, check {prefix}API_KEY and {prefix}MODEL{said}"
    if answer.status == 404:
        return (
            f"the server does not know the model or the address, check {prefix}MODEL, _API_VERSION and _BASE_URL{said}"
        )
    if answer.status < 400:
        return f"the server sends its clients elsewhere, check {prefix}BASE_URL"
    if answer.status == 413 or "payload size" in answer.message:
        return f"the request is too large for the server, set {prefix}MODE=grid or ask for fewer candidates{said}"
    return (
        f"the server does not take the request, check {prefix}THINKING_LEVEL, _MEDIA_RESOLUTION, _TEMPERATURE and "
        f"_API_VERSION (v1beta knows more){said}"
    )
