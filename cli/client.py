"""A small synchronous client of the HTTP API, for the command line. It knows no Rich and no process."""

import threading
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, TypeVar

import httpx
from pydantic import BaseModel, TypeAdapter

from contracts.errors import Problem
from contracts.jobs import JobView

from .errors import Failure, Unavailable

POLL_SECONDS = 0.2
PATIENCE_SECONDS = 30.0  # a gateway that died is back sooner, and its jobs go on meanwhile

Model = TypeVar("Model", bound=BaseModel)


class Client:
    """One gateway. Every call raises Failure with the problem's sentence where the API answers one."""

    def __init__(self, url: str, token: str | None = None) -> None:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        self._http = httpx.Client(base_url=url, headers=headers, timeout=httpx.Timeout(30.0, connect=5.0))

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def submit(self, body: dict[str, Any], idempotency_key: str | None = None) -> JobView:
        """POST a request; the accepted job."""
        headers = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        return _read(JobView, self._send("POST", "/v1/generations", json=body, headers=headers))

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
        """The body of /readyz, or None while nothing answers."""
        try:
            answer = self._http.get("/readyz")
        except httpx.TransportError:
            return None
        return TypeAdapter(dict[str, Any]).validate_json(answer.content)

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
