"""The provider's server: chat.completions over real HTTP on a free port. What it does is chosen by the model's name.

`truthful` chooses the redder pictures, `first` those shown first, `slow` never answers, and every fault is a model of its name;
`once:FAULT` does it once and is truthful when corrected, `flaky` does any of them at three requests in ten. Any other model does not exist.
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
from starlette.responses import Response
from starlette.routing import Route

from .faults import FAULTS, chosen, completion, error
from .sight import complaint, look

KEY = "sk-conformance-0123456789"
START_SECONDS = 20.0


@dataclass
class Provider:
    """A running server. `received` are the requests with a known key, in the order they came."""

    url: str = ""
    received: list[dict[str, Any]] = field(default_factory=list)
    chance: random.Random = field(default_factory=lambda: random.Random(0))

    async def completions(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        key = request.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in (KEY, "none"):
            return error(401, f"Incorrect API key provided: {key[:8]}***{key[-4:]}.", code="invalid_api_key")
        body = json.loads(await request.body())
        self.received.append(body)
        if said := complaint(body):
            return error(400, said)
        return await self._answer(body)

    async def _answer(self, body: dict[str, Any]) -> Response:
        seen, corrected = look(body), len(body["messages"]) > 2
        model = body["model"]
        if model.startswith("once:"):
            model = "truthful" if corrected else model.removeprefix("once:")
        if model == "flaky":
            model = self.chance.choice(list(FAULTS)) if self.chance.random() < 0.3 else "truthful"
        match model:
            case "truthful":
                return completion(chosen(seen.redder))
            case "first":
                return completion(chosen(seen.first))
            case "slow":
                await asyncio.Event().wait()
        if model not in FAULTS:
            return error(404, f"The model `{model}` does not exist", code="model_not_found")
        return FAULTS[model](seen)


@contextmanager
def running() -> Iterator[Provider]:
    """A provider while the block runs."""
    provider = Provider()
    app = Starlette(routes=[Route("/v1/chat/completions", provider.completions, methods=["POST"])])
    # With the protocol said: asyncio sends without delay only on sockets that say they are TCP.
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP) as listening:
        listening.bind(("127.0.0.1", 0))
        provider.url = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        config = uvicorn.Config(app, log_config=None, lifespan="off", ws="none", timeout_graceful_shutdown=1)
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
