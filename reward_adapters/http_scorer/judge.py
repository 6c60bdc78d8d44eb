"""The judge `http`: sends pictures and prompt to the operator's own scorer and reads its scores. It knows HTTP; retries are the worker's.

By httpcore2 itself and not by a client above it: nothing here follows redirects, reads proxies or keys from the environment, keeps
cookies or unpacks what is compressed.
"""

import asyncio
import hashlib
import ssl
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import urlsplit

import structlog
from httpcore2 import AsyncConnectionPool, NetworkError, ProtocolError, TimeoutException, default_ssl_context

from contracts.errors import JudgeError, JudgeMalformed, JudgeMisconfigured, JudgeUnavailable
from contracts.judging import NO_CALL, JudgeAsk, JudgeCard, Verdict
from contracts.limits import JudgeLimits

from ..base import Environment
from ..gate import Gate, OpenGate
from .addresses import AddressRefused, GuardedBackend
from .contract import MOST_BYTES, request, verdict
from .failures import SCORER, Reply, of_connection, of_status
from .settings import PREFIX, HttpSettings, read_http_settings, refusal

ASKS_AT_ONCE = 32  # of one worker: they wait for the scorer
KEPT_ALIVE = 3.0  # seconds without a request; servers hang up after five, often, and a request must not meet that
CONNECTING = 5.0  # seconds at most

log = structlog.get_logger()


def judge(environment: Environment) -> "HttpJudge":
    """The judge `http`. Raises JudgeSetupError, and JudgeNotConfigured where none of its settings is set."""
    settings = read_http_settings(environment)
    card = JudgeCard(
        name="http",
        kind=settings.kind,
        description="Asks a scorer of the operator's own over HTTP.",
        objective=settings.objective,
        picture_size=settings.picture_size or None,
        encoding=settings.encoding,
        max_pictures=settings.max_pictures,
        seconds_per_ask=1.0,
        asks_at_once=ASKS_AT_ONCE,
    )
    pool = AsyncConnectionPool(
        ssl_context=default_ssl_context(),
        max_connections=ASKS_AT_ONCE,
        keepalive_expiry=KEPT_ALIVE,
        network_backend=GuardedBackend(settings.private_allowed),
    )
    return HttpJudge(card, settings, pool)


@dataclass(frozen=True)
class HttpJudge:
    """One request an ask, about all of its pictures."""

    card: JudgeCard
    settings: HttpSettings
    pool: AsyncConnectionPool
    gate: Gate = field(default_factory=OpenGate)

    @property
    def limits(self) -> JudgeLimits:
        """What its gate has to keep to."""
        return self.settings.limits

    @property
    def fingerprint(self) -> str:
        """Of all that is set; the token is masked by its type and so no part of it."""
        return hashlib.sha256(self.settings.model_dump_json().encode()).hexdigest()

    def behind(self, gate: Gate) -> "HttpJudge":
        """The same judge, its requests let through by this gate."""
        return replace(self, gate=gate)

    async def close(self) -> None:
        """End its connections."""
        await self.pool.aclose()

    async def score(self, ask: JudgeAsk, pictures: Sequence[bytes]) -> Verdict:
        """The scorer's scores, or its choice by them. Raises JudgeError, typed as docs/http-judge.md says."""
        if len(pictures) > self.settings.max_pictures:
            raise JudgeMisconfigured(
                f"the judge 'http' is misconfigured for this job: it may show {self.settings.max_pictures} pictures at once and was "
                f"asked about {len(pictures)}. Ask for fewer candidates, or raise {PREFIX}MAX_PICTURES",
                usage=NO_CALL,
            )
        body = await asyncio.to_thread(request, ask, pictures, self.settings.encoding)
        expected = self.card.cost(len(pictures))
        async with self.gate.call(ask, expected) as permit:
            used = expected
            try:
                answer = await self._answer(ask, body)
                used = answer.usage
            except JudgeError as error:
                used = error.usage
                raise
            finally:
                permit.used(used)
            return answer

    async def _answer(self, ask: JudgeAsk, body: bytes) -> Verdict:
        left = (ask.deadline - datetime.now(UTC)).total_seconds()
        if left <= 0:
            raise JudgeUnavailable("the judge 'http' has no time left to ask its scorer", usage=NO_CALL)
        seconds = min(left, self.settings.timeout)
        try:
            async with asyncio.timeout(seconds):
                reply = await self._reply(body, seconds)
        except TimeoutError:
            # From None, here and below: the token is in what the connection was doing.
            raise JudgeUnavailable(
                f"{SCORER} gave no answer in time: it had {seconds:.3g} s, of {PREFIX}TIMEOUT={self.settings.timeout:g}"
            ) from None
        except AddressRefused as error:
            log.warning("the scorer's address is not asked", judge="http", address=str(error))
            why = refusal(error)
            raise JudgeMisconfigured(f"the judge 'http' is misconfigured: {PREFIX}URL: {why}", usage=NO_CALL) from None
        except (NetworkError, ProtocolError, TimeoutException, ssl.SSLError) as error:  # TLS's, once connected
            raise of_connection(error) from None
        return self._read(reply, ask)

    async def _reply(self, body: bytes, seconds: float) -> Reply:
        connecting = min(CONNECTING, seconds / 2)
        headers = [
            ("Host", urlsplit(self.settings.url).netloc),
            ("Content-Type", "application/json"),
            ("Accept", "application/json"),
            ("Accept-Encoding", "identity"),
        ]
        if self.settings.secret:
            headers.append(("Authorization", f"Bearer {self.settings.secret}"))
        async with self.pool.stream(
            "POST",
            self.settings.url,
            headers=headers,
            content=body,
            extensions={"timeout": {"connect": connecting}},
        ) as response:
            said = bytearray()
            async with aclosing(response.aiter_stream()) as parts:
                async for part in parts:
                    said += part
                    if len(said) > MOST_BYTES:
                        break
            names = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.headers}
            return Reply(response.status, names, bytes(said))

    def _read(self, reply: Reply, ask: JudgeAsk) -> Verdict:
        if error := of_status(reply, self.settings):
            raise error
        if (packed := reply.headers.get("content-encoding", "identity")) != "identity":
            raise self._malformed(f"is packed ({packed[:20]}), which it was asked not to be")
        if len(reply.body) > MOST_BYTES:
            raise self._malformed(f"is longer than {MOST_BYTES} bytes")
        try:
            return verdict(reply.body, ask.pictures, self.settings.kind)
        except JudgeMalformed as error:
            raise self._malformed(str(error)) from error

    @staticmethod
    def _malformed(why: str) -> JudgeMalformed:
        return JudgeMalformed(f"{SCORER} gave no verdict: its answer {why}")
