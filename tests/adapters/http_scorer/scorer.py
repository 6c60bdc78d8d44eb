"""A scorer of the tests: a real HTTP server that answers byte for byte what it is told to, faults included. It knows no judge."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, cast

TOKEN = "token-0123456789-of-the-tests"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


def response(status: int, body: bytes | str = b"", **headers: str) -> bytes:
    """A whole response. Underscores in the names of headers are dashes."""
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + data


def scores(*values: float | None, **more: Any) -> bytes:
    """A response as the contract says."""
    return response(200, json.dumps({"scores": values} | more), Content_Type="application/json")


@dataclass
class Scorer:
    """A running server. `say` is what it answers, to everybody, after `latency` seconds; `after` what it does then: `keep` the
    connection, `close` it, `stall`, or write on `endless`ly.

    `received` are the requests, `connections` how many there were, `most_under_way` how many requests there were at a time, `hung_up`
    is set once a client has gone.
    """

    url: str = ""
    say: bytes = field(default_factory=lambda: scores(1.0, 2.0, 3.0, 4.0))
    after: str = "keep"
    received: list[tuple[dict[str, str], dict[str, Any]]] = field(default_factory=list)
    connections: int = 0
    latency: float = 0.0
    under_way: int = 0
    most_under_way: int = 0
    hung_up: asyncio.Event = field(default_factory=asyncio.Event)
    serving: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def headers(self) -> Mapping[str, str]:
        """Of the last request, names in lower case; its first line is `request`."""
        return self.received[-1][0]

    @property
    def body(self) -> dict[str, Any]:
        """Of the last request."""
        return self.received[-1][1]

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        self.connections += 1
        self.serving.add(cast("asyncio.Task[None]", asyncio.current_task()))
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass  # the client is gone, or the test is over, which asyncio's streams would complain about
        finally:
            self.hung_up.set()
            writer.close()

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        pairs = (line.partition(": ") for line in lines if line)
        headers = {"request": first} | {name.lower(): value for name, _, value in pairs}
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        self.received.append((headers, body))
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        await asyncio.sleep(self.latency)
        self.under_way -= 1
        writer.write(self.say)
        await writer.drain()
        while self.after == "endless":
            writer.write(b"1000\r\n" + b" " * 0x1000 + b"\r\n")
            await writer.drain()
        if self.after == "stall":
            await reader.readexactly(1)  # that the client hangs up
        return self.after == "keep"


@asynccontextmanager
async def running(
    host: str = "127.0.0.1", tls: ssl.SSLContext | None = None, called: str | None = None
) -> AsyncIterator[Scorer]:
    """A scorer while the block runs; its URL says `called` where that is not its address."""
    scorer = Scorer()
    server = await asyncio.start_server(scorer.serve, host, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    scorer.url = f"http{'s' if tls else ''}://{called or host}:{port}/score"
    try:
        yield scorer
    finally:
        server.close()
        for serving in scorer.serving:
            serving.cancel()
        await asyncio.gather(*scorer.serving, return_exceptions=True)
