"""An HTTP client for hundreds of requests under way at once. It knows no protocol and no judge."""

import random
from typing import Any

import httpx2

POOLS = 8
CONNECTIONS = 1000  # at most, of all; how many calls are under way is for the judge's limits


class ManyPools(httpx2.AsyncClient):
    """Sends each request through one of several pools of connections, which share what they trust.

    A pool looks at all of its connections for every request: with hundreds in one, that took a quarter of a worker's time.
    """

    def __init__(self) -> None:
        verify = httpx2.create_ssl_context()  # once: it reads all certificates of the machine
        super().__init__(verify=verify, timeout=None)
        limits = httpx2.Limits(max_connections=CONNECTIONS // POOLS)
        self._pools = [httpx2.AsyncClient(verify=verify, timeout=None, limits=limits) for _ in range(POOLS)]

    async def send(self, request: httpx2.Request, **options: Any) -> httpx2.Response:
        """The response to one request. Raises httpx2.HTTPError."""
        return await random.choice(self._pools).send(request, **options)

    async def aclose(self) -> None:
        """End all connections."""
        for pool in self._pools:
            await pool.aclose()
        await super().aclose()
