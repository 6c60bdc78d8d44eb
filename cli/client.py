"""A small synchronous client of the HTTP API, for the command line. It knows no Rich and no process."""

import threading
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import httpx

from contracts.errors import Problem
from contracts.jobs import JobView

from .errors import Failure

POLL_SECONDS = 0.2


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
        return JobView.model_validate(self._json("POST", "/v1/generations", json=body, headers=headers))

    def job(self, job_id: str) -> JobView:
        """The job as it is now."""
        return JobView.model_validate(self._json("GET", f"/v1/generations/{job_id}"))

    def watch(self, job_id: str, stop: threading.Event) -> Iterator[JobView]:
        """The job each time it changes, the last time in its terminal state. KeyboardInterrupt once `stop` is set."""
        seen = 0
        while True:
            job = self.job(job_id)
            if job.version > seen:
                seen = job.version
                yield job
            if job.status.terminal:
                return
            if stop.wait(POLL_SECONDS):
                raise KeyboardInterrupt

    def cancel(self, job_id: str) -> JobView:
        """Ask for the job's end."""
        return JobView.model_validate(self._json("POST", f"/v1/generations/{job_id}/cancel"))

    def artifact(self, job_id: str, name: str) -> bytes:
        """Bytes of image.png, baseline.png, contact-sheet.jpg, trajectory.svg, audit.jsonl, steps/3/grid.jpg."""
        return self._send("GET", f"/v1/generations/{job_id}/{name}").content

    def list(self, path: str, **query: str | int) -> list[dict[str, Any]]:
        """The `data` of a listing such as /v1/judges."""
        data: list[dict[str, Any]] = self._json("GET", path, params=query)["data"]
        return data

    def ready(self) -> dict[str, Any] | None:
        """The body of /readyz, or None while nothing answers."""
        try:
            answer = self._http.get("/readyz")
        except httpx.TransportError:
            return None
        body: dict[str, Any] = answer.json()
        return body

    def _json(self, method: str, path: str, **options: Any) -> Any:
        return self._send(method, path, **options).json()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        answer = self._http.request(method, path, **options)
        if answer.is_success:
            return answer
        if answer.headers.get("content-type", "").startswith("application/problem+json"):
            problem = Problem.model_validate(answer.json())
            where = "; ".join(f"{v.pointer}: {v.detail}" for v in problem.errors if v.detail != problem.detail)
            raise Failure(f"{problem.detail} ({problem.code}{'; ' + where if where else ''})")
        raise Failure(f"{method} {answer.request.url} was answered with status {answer.status_code}")
