"""What servers of any protocol say, read with nothing taken for granted: their JSON, their counts, their wishes. It knows no protocol.

Servers differ, and proxies answer with pages.
"""

import email.utils
import json
import math
import re
from collections.abc import Collection, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.errors import JudgeError, JudgeMalformed, JudgeRateLimited, JudgeUnavailable

NO_KEY = "none"  # what servers without keys are sent
PASSING = (408, 409, 425)
_QUOTED = 200  # characters of what a server said
MOST_TOKENS = 10**9  # of one call; a number beyond that counts something else
_KEYS = re.compile(r"\b(sk-[\w*-]+|AIza[\w*-]+|AQ\.[\w*-]+)")  # OpenAI's and Google's; servers show parts of them
_ADDRESSES = re.compile(r"\b[a-z][a-z0-9+.-]*://\S+|\b\d{1,3}(\.\d{1,3}){3}(:\d+)?\b|\blocalhost:\d+", re.IGNORECASE)


def json_object(body: str | bytes, judge: str, prefix: str) -> dict[str, Any]:
    """The object in a body of the status 200. Raises JudgeMalformed where it holds none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        said = None
    if isinstance(said, dict):
        return said
    page = "a web page" if body.lstrip()[:1] in ("<", b"<") else "no JSON"
    raise JudgeMalformed(
        f"the server of the judge {judge!r} answered {page} instead of a completion: is {prefix}BASE_URL right?"
    )


def count(said: object) -> int:
    """A number of tokens; 0 for what is none."""
    return said if type(said) is int and 0 < said <= MOST_TOKENS else 0


def text(said: object) -> str | None:
    """A text with something in it, or None."""
    return said if isinstance(said, str) and said.strip() else None


def busy(status: int, server: str, delay: timedelta | None, passing: Collection[int] = PASSING) -> JudgeError | None:
    """The error of a status that passes by itself, perhaps after this delay; None for every other one. `server` says who answered."""
    if status == 429:
        return JudgeRateLimited(f"{server} wants fewer requests a minute ({status})", delay)
    if status in passing or status >= 500:
        return JudgeUnavailable(f"{server} is busy or failing just now ({status})", delay)
    return None


def quoted(message: object, key: str) -> str:
    """What a server said, in brackets, one line of it, without keys and addresses; empty where it said nothing."""
    if not isinstance(message, str):
        return ""
    line = " ".join(message.split())
    line = line if key == NO_KEY else line.replace(key, "(key)")
    line = _ADDRESSES.sub("(address)", _KEYS.sub("(key)", line))
    line = "".join(one for one in line if one.isprintable())
    return f' (it says: "{line[:_QUOTED]}")' if line else ""


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """When to come back, as `retry-after-ms` or `Retry-After` (seconds, or a date) says; None where nothing sensible is said."""
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        if (delay := seconds(headers.get(name), unit)) is not None:
            return delay
    try:
        date = email.utils.parsedate_to_datetime(headers["retry-after"])
        return max(timedelta(0), date - datetime.now(UTC))
    except (KeyError, ValueError, TypeError):
        return None


def seconds(said: str | None, unit: float = 1.0) -> timedelta | None:
    """A span of time from 0 to eleven days, in so many seconds; None for everything else."""
    try:
        span = float(said or "") * unit
    except ValueError:
        return None
    return timedelta(seconds=span) if math.isfinite(span) and 0 <= span < 1e6 else None
