"""A small synchronous client of the HTTP API, for the command line. It knows no Rich and no process."""

import ipaddress
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from contracts.errors import Problem
from contracts.jobs import JobView

from .errors import Failure, Interrupted, Unavailable

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 30.0  # a gateway that died is back sooner, and its jobs go on meanwhile

# Sent, perhaps, and perhaps accepted.
LOST = (
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
    httpx.ReadTimeout,
    httpx.WriteTimeout,
    httpx.RemoteProtocolError,
)

Model = TypeVar("Model", bound=BaseModel)


class Client:
    """One gateway. Every call raises Failure with the problem's sentence where the API answers one."""

    def __init__(self, url: str) -> None:
        # A proxy of the environment leads away from this machine, where it has no service of ours.
        timeout = httpx.Timeout(30.0, connect=5.0)
        self._http = httpx.Client(base_url=url, timeout=timeout, trust_env=not _is_here(httpx.URL(url).host))

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def submit(self, body: dict[str, Any], stop: threading.Event | None = None) -> JobView:
        """POST a request; the accepted job.

        Where the answer is lost on its way, the request is sent again under the same key, which makes no second job. Raises
        Interrupted where `stop` is set meanwhile.
        """
        headers = {"Idempotency-Key": secrets.token_hex(16)}
        lost: float | None = None
        stop = stop or threading.Event()
        while not stop.is_set():
            try:
                return _read(JobView, self._send("POST", "/v1/generations", json=body, headers=headers))
            except LOST:
                lost = lost or time.monotonic()
                if time.monotonic() - lost > PATIENCE_SECONDS:
                    raise
            except (httpx.TransportError, Unavailable):
                if lost is None or time.monotonic() - lost > PATIENCE_SECONDS:  # nothing was sent, or it was refused
                    raise
            stop.wait(POLL_SECONDS)
        raise Interrupted(
            "stopped before the service had answered; should it have accepted the job, `maxwell jobs` shows it."
        )

    def job(self, job_id: str) -> JobView:
        """The job as it is now."""
        return _read(JobView, self._send("GET", f"/v1/generations/{job_id}"))

    def watch(
        self, job_id: str, stop: threading.Event, meanwhile: Callable[[], None] = lambda: None
    ) -> Iterator[JobView]:
        """The job each time it changes, until it has ended or `stop` is set; `meanwhile` is called at every look.

        A service that is away for a moment is waited for.
        """
        seen, answered = 0, time.monotonic()
        while not stop.is_set():
            meanwhile()
            try:
                job = self.job(job_id)
            except (httpx.TransportError, Unavailable):
                if time.monotonic() - answered > PATIENCE_SECONDS:
                    raise
                stop.wait(POLL_SECONDS)
                continue
            answered = time.monotonic()
            if job.version > seen:
                seen = job.version
                yield job
            if job.status.terminal:
                return
            stop.wait(POLL_SECONDS)

    def cancel(self, job_id: str) -> JobView:
        """Ask for the job's end."""
        return _read(JobView, self._send("POST", f"/v1/generations/{job_id}/cancel"))

    def artifact(self, job_id: str, name: str) -> bytes:
        """Bytes of image.png, baseline.png, contact-sheet.jpg, trajectory.svg, audit.jsonl, steps/3/grid.jpg."""
        return self._send("GET", f"/v1/generations/{job_id}/{name}").content

    def list(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """The `data` of a listing such as /v1/judges."""
        return _read(_Listing, self._send("GET", path, params=query)).data

    def ready(self) -> dict[str, Any] | None:
        """The body of /readyz, ready or not, or None while nothing answers."""
        try:
            answer = self._http.get("/readyz")
        except httpx.TransportError:
            return None
        with suppress(ValueError):
            return TypeAdapter(dict[str, Any]).validate_json(answer.content)
        raise _stranger(answer)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._http.request(method, path, **options)
        if answer.is_success:
            return answer
        if not answer.headers.get("content-type", "").startswith("application/problem+json"):
            raise _stranger(answer)
        problem = _read(Problem, answer)
        fields = "; ".join(f"{v.pointer}: {v.detail}" for v in problem.errors if v.detail != problem.detail)
        sentence = f"{fields or problem.detail} ({problem.code})"
        raise Unavailable(sentence) if problem.retryable else Failure(sentence)


def _is_here(host: str) -> bool:
    """Whether the address is this machine's own."""
    with suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


class _Listing(BaseModel):
    data: list[dict[str, Any]]


def _read(model: type[Model], answer: httpx.Response) -> Model:
    try:
        return model.model_validate_json(answer.content)
    except ValueError:
        raise _stranger(answer) from None


def _stranger(answer: httpx.Response) -> Failure:
    return Failure(
        f"{answer.request.method} {answer.request.url} was answered with status {answer.status_code}, not as Maxwell of this "
        "version answers: check --url."
    )
