"""What goes wrong between the judge `http` and its scorer, as our typed errors. It knows no connection and no JSON.

The sentences reach users: they name neither the scorer's address nor its token.
"""

import ssl
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from contracts.errors import JudgeError, JudgeMalformed, JudgeMisconfigured, JudgeUnavailable

from ..bodies import NO_KEY, busy, quoted, retry_after
from .settings import PREFIX, HttpSettings

SCORER = "the scorer of the judge 'http'"


@dataclass(frozen=True)
class Reply:
    """What came back: the names of headers in lower case, and at most so much of the body as an answer may have, and a little more."""

    status: int
    headers: Mapping[str, str]
    body: bytes


def of_status(reply: Reply, settings: HttpSettings) -> JudgeError | None:
    """The error that a status stands for; None for 200, where the body says more."""
    status = reply.status
    if status == 200:
        return None
    if (passing := busy(status, SCORER, retry_after(reply.headers))) is not None:
        return passing
    if status < 300:
        return JudgeMalformed(f"{SCORER} answered {status}, where 200 and its scores were asked for")
    return JudgeMisconfigured(f"the judge 'http' is misconfigured ({status}): {_advice(reply, settings)}")


def of_connection(error: BaseException) -> JudgeError:
    """The error of a request that got no answer, or half of one."""
    if any(isinstance(one, ssl.SSLCertVerificationError) for one in _causes(error)):
        return JudgeMisconfigured(
            f"the judge 'http' is misconfigured: the certificate of its scorer is not trusted: set SSL_CERT_FILE to that of who "
            f"signed it, and {PREFIX}URL to the name it is for"
        )
    return JudgeUnavailable(
        f"{SCORER} cannot be reached, or hung up ({type(error).__name__}): is it running, and {PREFIX}URL its address?"
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what it came of, each library's own."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__


def _advice(reply: Reply, settings: HttpSettings) -> str:
    """What to do about a request that will fail again as it is."""
    if reply.status < 400:
        return f"its scorer sends requests on to another address, which is not followed: set {PREFIX}URL to where it takes them"
    if reply.status in (401, 403):
        return f"its scorer does not accept the token, check {PREFIX}TOKEN"  # it may quote the token: not shown
    if reply.status in (404, 405, 410):
        return f"its scorer takes no requests there, check the path in {PREFIX}URL"
    if reply.status == 413:
        return f"the request is too large for its scorer, lower {PREFIX}PICTURE_SIZE, or ask for fewer candidates"
    said = " ".join(reply.body.decode(errors="replace").split()).replace(settings.host, "(host)")
    return (
        "its scorer does not take the request: it has to understand what docs/http-judge.md says"
        f"{quoted(said, settings.secret or NO_KEY)}"
    )
