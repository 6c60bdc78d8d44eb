"""What would keep the service from starting, found before any process starts: one sentence each. It starts nothing."""

import asyncio
import socket

from bus.connection import check, connect

from .errors import Failure


def refuse_taken_port(host: str, port: int) -> None:
    """Raise Failure where nobody may listen on host and port now; a name listens on the first address that it stands for."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise Failure(
            f"cannot listen on {host}:{port} ({error.strerror}): stop what uses it, or set another MAXWELL_PORT or "
            "MAXWELL_HOST (--port, --host)."
        ) from None


def refuse_unreachable_redis(url: str) -> None:
    """Raise BusUnavailable unless Redis answers. Once the service runs, Redis may come and go."""

    async def ask() -> None:
        async with connect(url) as redis:
            await check(redis)

    asyncio.run(ask())
