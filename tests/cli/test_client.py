"""A request is one job, also where its answer is lost on the way; nothing is repeated that was refused."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import httpx
import pytest

from bus.server import free_port
from cli import client as client_module
from cli.client import Client
from cli.errors import Interrupted, Unavailable
from contracts.errors import ModelUnavailable, problem_of
from service.documentation import JOB_EXAMPLE


class Gateway(HTTPServer):
    """Loses its first answers, then answers as `status` and `body` say."""

    def __init__(
        self, lost: int, status: int = 202, body: object = JOB_EXAMPLE, asked: threading.Event | None = None
    ) -> None:
        super().__init__(("127.0.0.1", 0), _Answers)
        self.lost, self.status, self.body = lost, status, json.dumps(body).encode()
        self.keys: list[str | None] = []
        self.asked = asked or threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Answers(BaseHTTPRequestHandler):
    server: Gateway

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.headers["Idempotency-Key"])
        self.server.asked.set()
        if len(self.server.keys) <= self.server.lost:
            return  # the connection is closed
        self.send_response(self.server.status)
        kind = "application/json" if self.server.status < 400 else "application/problem+json"
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def serving(gateway: Gateway) -> Iterator[Gateway]:
    thread = threading.Thread(target=gateway.serve_forever)
    with gateway:
        thread.start()
        try:
            yield gateway
        finally:
            gateway.shutdown()
            thread.join()


def test_a_lost_answer_is_asked_for_again_under_the_same_key() -> None:
    with serving(Gateway(lost=2)) as gateway, Client(gateway.url) as client:
        assert client.submit({"prompt": "red"}).id == JOB_EXAMPLE["id"]
        first = set(gateway.keys)
        assert (len(gateway.keys), len(first)) == (3, 1)
        client.submit({"prompt": "red"})
        assert len(set(gateway.keys)) == 2, "another request has another key"


def test_patience_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client_module, "PATIENCE_SECONDS", 0.5)
    with serving(Gateway(lost=1000)) as gateway, Client(gateway.url) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.submit({"prompt": "red"})
        assert len(gateway.keys) > 1


def test_what_is_refused_or_was_never_sent_is_not_repeated() -> None:
    refusal = problem_of(ModelUnavailable("no GPU worker is running")).model_dump(mode="json")
    with serving(Gateway(lost=0, status=503, body=refusal)) as gateway, Client(gateway.url) as client:
        with pytest.raises(Unavailable, match="no GPU worker"):
            client.submit({"prompt": "red"})
        assert len(gateway.keys) == 1
    with Client(f"http://127.0.0.1:{free_port()}") as client, pytest.raises(httpx.ConnectError):
        client.submit({"prompt": "red"})


def test_ctrl_c_ends_the_repetition() -> None:
    stop = threading.Event()
    with (
        serving(Gateway(lost=1000, asked=stop)) as gateway,
        Client(gateway.url) as client,
        pytest.raises(Interrupted, match="maxwell jobs"),
    ):
        client.submit({"prompt": "red"}, stop)
