"""The provider's server: chat.completions and generateContent over real HTTP on a free port. What it does is chosen by the model's name.

`truthful` chooses the redder pictures, `first` those shown first, `slow` never answers, `stalled` begins an answer and never goes on,
`late:SECONDS` is truthful after so long, `without:PARAMETER` where the request has no such one, and every fault is a model of its name;
`once:FAULT` does it once and is truthful when corrected, `flaky` does any of them at three requests in ten, `flaky-slow` also does not
answer at all then. Any other model does not exist.
"""

import asyncio
import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from .faults import TOKENS, Stalled
from .limits import Limits
from .sight import look
from .wires import GEMINI, OPENAI, Wire

KEY = "sk-conformance-0123456789"
START_SECONDS = 20.0
KEPT_ALIVE = 120  # seconds; a server that hangs up on an idle connection races with the next request on it
FLAKY = 0.3
SLOW = ("slow", "stalled")


@dataclass
class Provider:
    """A running server, its settings, which may be changed while it runs, and what it has seen.

    `latency` is what every answer takes, in seconds, but for those that the limits refuse. `received` are the requests with a known
    key, in the order they came, as long as `recording`, and `paths` where they went; `passed` the times (monotonic clock) at which the
    limits let one through.
    """

    url: str = ""
    latency: float = 0.0
    limits: Limits = field(default_factory=Limits)
    recording: bool = True
    received: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    passed: list[float] = field(default_factory=list)
    refused: int = 0
    under_way: int = 0
    most_under_way: int = 0
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    def reset(self) -> None:
        """No latency, no limits, nothing seen."""
        self.latency, self.limits, self.recording = 0.0, Limits(), True
        self.refused, self.most_under_way = 0, self.under_way
        self.received.clear()
        self.paths.clear()
        self.passed.clear()

    async def answer(self, wire: Wire, request: Request) -> Response:
        """The answer to one request, of either protocol."""
        key = wire.key_of(request)
        if key not in (KEY, "none"):
            return wire.unknown_key(key)
        body = json.loads(await request.body())
        body = {"model": wire.model_of(request, body)} | body
        if self.recording:
            self.received.append(body)
            self.paths.append(request.url.path)
        if said := wire.complaint(body):
            return wire.error(400, said)
        if refusal := self.limits.admit(TOKENS, self.under_way):
            self.refused += 1
            return self._with_limits(wire, wire.refused(refusal))
        self.passed.append(time.monotonic())
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.latency)
            return self._with_limits(wire, await self._said(wire, body, request))
        finally:
            self.under_way -= 1

    async def _said(self, wire: Wire, body: dict[str, Any], request: Request) -> Response:
        model = self._model(body["model"], wire.corrected(body), list(wire.faults))
        if model.startswith("late:"):
            await asyncio.sleep(float(model.removeprefix("late:")))
            model = "truthful"
        if model.startswith("without:"):
            refused = model.removeprefix("without:")
            model = f"no-{refused}" if refused in body else "truthful"
        match model:
            case "truthful":
                return wire.choice(look(body).redder)
            case "first":
                return wire.choice(look(body).first)
            case "slow":
                await request.receive()  # that the client hung up
                return Response(status_code=499)
            case "stalled":
                return Stalled()
        return wire.faults[model](look(body)) if model in wire.faults else wire.unknown_model(model)

    def _with_limits(self, wire: Wire, response: Response) -> Response:
        if wire.tells_limits:
            response.headers.update(self.limits.headers())
        return response

    def _model(self, name: str, corrected: bool, faults: list[str]) -> str:
        """What the model of this name is this time."""
        if name.startswith("once:"):
            return "truthful" if corrected else name.removeprefix("once:")
        if name in ("flaky", "flaky-slow"):
            wrong = faults if name == "flaky" else [*faults, *SLOW]
            return self.chance.choice(wrong) if self.chance.random() < FLAKY else "truthful"
        return name

    async def counts(self, _: Request) -> Response:
        """GET /counts: what it has seen, for who runs it in another process."""
        return JSONResponse(
            {
                "passed": len(self.passed),
                "refused": self.refused,
                "under_way": self.under_way,
                "most_under_way": self.most_under_way,
            }
        )

    def app(self) -> Starlette:
        """Its routes."""

        async def openai(request: Request) -> Response:
            return await self.answer(OPENAI, request)

        async def gemini(request: Request) -> Response:
            return await self.answer(GEMINI, request)

        return Starlette(
            routes=[
                Route("/counts", self.counts),
                Route(OPENAI.path, openai, methods=["POST"]),
                Route(GEMINI.path, gemini, methods=["POST"]),
            ]
        )


@contextmanager
def running(provider: Provider | None = None) -> Iterator[Provider]:
    """A provider while the block runs, in a thread of its own. `url` is OpenAI's base URL of it, with the version."""
    provider = provider or Provider()
    # With the protocol said: asyncio sends without delay only on sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(
            provider.app(),
            log_config=None,
            lifespan="off",
            ws="none",
            timeout_keep_alive=KEPT_ALIVE,
            timeout_graceful_shutdown=1,
        )
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        deadline = time.monotonic() + START_SECONDS
        while not server.started:
            assert time.monotonic() < deadline, "the provider of the tests did not start"
            time.sleep(0.01)
        try:
            yield provider
        finally:
            server.should_exit = True
            thread.join(START_SECONDS)
