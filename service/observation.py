"""What can be seen of the gateway from outside: a request id, a log line, metrics. It knows no route and no job."""

import re
import secrets
import time
from urllib.parse import quote

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from .errors import unexpected

_METHODS = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
_BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)

log = structlog.get_logger()


class Metrics:
    """The gateway's metrics, in a registry of their own. Labels are few-valued: no ids, no paths as sent."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "maxwell_http_requests", "Requests answered.", ["method", "route", "status"], registry=self.registry
        )
        self.seconds = Histogram(
            "maxwell_http_request_duration_seconds",
            "From a request to the beginning of its answer.",
            ["method", "route"],
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self.submitted = Counter(
            "maxwell_jobs_submitted", "Jobs accepted.", ["scenario", "judge", "model"], registry=self.registry
        )
        self.waiting = Gauge(
            "maxwell_jobs_waiting", "Jobs that no worker has begun; NaN while Redis is away.", registry=self.registry
        )

    def exposition(self) -> bytes:
        """The text that Prometheus reads."""
        return generate_latest(self.registry)


class Observed:
    """Gives each request its id (the client's own `X-Request-Id`, or a new one), counts it and logs it.

    A failure that nobody foresaw is logged here with its traceback and answered without it.
    """

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        sent = Headers(scope=scope).get("x-request-id", "")
        request_id = sent if _REQUEST_ID.fullmatch(sent) else secrets.token_hex(16)
        started = time.perf_counter()
        answered = False

        async def observed_send(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                answered = True
                MutableHeaders(scope=message)["X-Request-Id"] = request_id
                self._note(scope, message["status"], time.perf_counter() - started)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self._app(scope, receive, observed_send)
            except Exception:
                if answered:  # the server cuts the connection: half an answer must not look like a whole one
                    raise
                log.exception("request failed unexpectedly", method=scope["method"], path=_path(scope))
                await unexpected(scope["path"])(scope, receive, observed_send)

    def _note(self, scope: Scope, status: int, seconds: float) -> None:
        method = scope["method"] if scope["method"] in _METHODS else "other"
        route = getattr(scope.get("route"), "path", "unmatched")
        self._metrics.requests.labels(method, route, status).inc()
        self._metrics.seconds.labels(method, route).observe(seconds)
        note = log.debug if method == "GET" and status < 400 else log.info  # polls would drown everything else
        note("request", method=scope["method"], path=_path(scope), status=status, seconds=round(seconds, 4))


def _path(scope: Scope) -> str:
    """The path as it was sent, in plain ASCII: what it stands for may hold a terminal's control characters."""
    return quote(scope.get("raw_path") or scope["path"], safe="/%:@!$&'()*+,;=")
