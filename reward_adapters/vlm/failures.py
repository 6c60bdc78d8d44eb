"""What the openai SDK raises, as our typed errors: what may pass, what was refused, what somebody has to mend. It knows no judge.

The details reach users: they name neither the server's address nor anything that is the key's.
"""

import email.utils
import math
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import openai

from contracts.errors import (
    JudgeError,
    JudgeMisconfigured,
    JudgeQuotaExhausted,
    JudgeRateLimited,
    JudgeRefused,
    JudgeUnavailable,
)

PASSING = (408, 409, 425)
QUOTA = ("insufficient_quota", "billing_hard_limit_reached", "billing_not_active")
REFUSED = ("content_filter", "content_policy_violation", "responsibleaipolicyviolation")
NO_KEY = "none"  # what servers without keys are sent
_QUOTED = 200  # characters of what a server said


def typed(error: openai.OpenAIError, judge: str, prefix: str, key: str) -> JudgeError:
    """The error as one of ours. `prefix` is that of the judge's settings, `key` what no sentence may show."""
    if isinstance(error, openai.APITimeoutError):
        return JudgeUnavailable(f"the model of the judge {judge!r} gave no answer in time")
    if isinstance(error, openai.APIStatusError):
        return _of_status(error, judge, prefix, key)
    if isinstance(error, openai.APIConnectionError):
        cause = type(error.__cause__).__name__ if error.__cause__ else "no connection"
        return JudgeUnavailable(f"the server of the judge {judge!r} cannot be reached, or hung up ({cause})")
    return JudgeUnavailable(f"the judge {judge!r} could not ask its model ({type(error).__name__})")


def _of_status(error: openai.APIStatusError, judge: str, prefix: str, key: str) -> JudgeError:
    status, codes = error.status_code, {str(said).lower() for said in (error.code, error.type) if said}
    if status == 402 or codes & set(QUOTA):
        return JudgeQuotaExhausted(
            f"the account of the judge {judge!r} has no quota left ({status}): its owner has to add credit or raise the limit"
        )
    if codes & set(REFUSED):
        return JudgeRefused(
            f"the provider of the judge {judge!r} declined to look at this prompt, scenario or these pictures"
        )
    if status == 429:
        return JudgeRateLimited(
            f"the server of the judge {judge!r} wants fewer requests a minute ({status})",
            retry_after(error.response.headers),
        )
    if status in PASSING or status >= 500:
        return JudgeUnavailable(
            f"the server of the judge {judge!r} is busy or failing just now ({status})",
            retry_after(error.response.headers),
        )
    return JudgeMisconfigured(f"the judge {judge!r} is misconfigured ({status}): {_advice(error, prefix, key)}")


def _advice(error: openai.APIStatusError, prefix: str, key: str) -> str:
    """What to do about a request that will fail again as it is."""
    said = _quoted(error, key)
    if error.status_code == 401:
        return f"the server does not accept its key, check {prefix}API_KEY"  # it may quote the key: not shown
    if error.status_code == 403:
        return f"its key may not use this model, check {prefix}API_KEY and {prefix}MODEL"
    if error.status_code == 404:
        return f"the server does not know the model or the address, check {prefix}MODEL and {prefix}BASE_URL{said}"
    if re.search(
        r"\b(at most|maximum|too many|limit)\b.*\bimages?\b|\bimages?\b.*\b(at most|too many|limit)\b", said, re.I
    ):
        return f"the server takes fewer pictures at once, set {prefix}MAX_IMAGES to what it takes, or {prefix}MODE=grid{said}"
    if error.status_code == 413:
        return f"the request is too large for the server, set {prefix}MODE=grid or ask for fewer candidates"
    return f"the server does not take the request, check {prefix}SCHEMA_MODE, _TOKEN_PARAM, _TEMPERATURE and _EXTRA_BODY{said}"


def _quoted(error: openai.APIStatusError, key: str) -> str:
    """What the server said, in brackets, one line of it, without the key."""
    body = error.body
    said = body.get("message") if isinstance(body, Mapping) else None
    if not isinstance(said, str):
        return ""
    line = " ".join(said.split())
    line = line if key == NO_KEY else line.replace(key, "(key)")
    line = re.sub(r"\bsk-[\w*-]+", "(key)", line)  # servers show parts of it
    line = "".join(one for one in line if one.isprintable())
    return f' (it says: "{line[:_QUOTED]}")' if line else ""


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """When to come back, as `retry-after-ms` or `Retry-After` (seconds, or a date) says; None where nothing sensible is said."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            seconds = float(headers[name]) * unit
        except (KeyError, ValueError):
            continue
        if math.isfinite(seconds) and 0 <= seconds < 1e6:
            return timedelta(seconds=seconds)
    try:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
        return max(timedelta(0), date - datetime.now(UTC))
    except (KeyError, ValueError, TypeError):
        return None
