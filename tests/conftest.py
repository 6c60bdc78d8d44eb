"""What all tests share: a real Redis-protocol server, a fresh database a test, a check for leaked keys, waiting for conditions."""

import asyncio
import inspect
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from fnmatch import fnmatchcase
from typing import Any

import pytest
import redis as sync_redis
from hypothesis import settings

from bus import keys
from bus.connection import Client, connect
from bus.server import EmbeddedServer
from contracts.jobs import JobState

settings.register_profile("untimed", deadline=None)  # a busy machine is no failure of an example
settings.load_profile("untimed")


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServer]:
    """One embedded server for the whole run."""
    with EmbeddedServer(tmp_path_factory.mktemp("redis")) as running:
        yield running


@pytest.fixture
def redis_url(server: EmbeddedServer) -> str:
    """The URL of an empty database."""
    return server.url


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Client]:
    """A client of an empty database."""
    async with connect(redis_url) as client:
        yield client


@pytest.fixture(autouse=True)
def no_leaked_keys(request: pytest.FixtureRequest) -> Iterator[None]:
    """Empty the database before a test that uses it; after it, every key has a time to live or a reason to have none."""
    if "redis_url" not in request.fixturenames:
        yield
        return
    with sync_redis.Redis.from_url(request.getfixturevalue("server").url) as client:
        client.flushall()
        yield
        assert leaked_keys(client) == [], "keys that will never go away (bus/keys.py names those that may stay)"


def leaked_keys(client: sync_redis.Redis) -> list[str]:
    """The keys without a time to live that are neither named permanent, nor a living job's, nor of a name that waits in a queue."""
    names = [key.decode() for key in client.scan_iter(count=1000) if client.ttl(key) == -1]
    return [
        name
        for name in names
        if not (_permanent(name) or _of_living_job(client, name) or _of_waiting_name(client, name))
    ]


def _permanent(name: str) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in keys.PERMANENT)


def _of_living_job(client: sync_redis.Redis, name: str) -> bool:
    if not name.startswith("job:{"):
        return False
    state: Any = client.hget(name.partition("}")[0] + "}", "state")
    return state is not None and not JobState(state.decode()).terminal


def _of_waiting_name(client: sync_redis.Redis, key: str) -> bool:
    """The queue engine keeps records beside each name until somebody has done its work."""
    queue = key.partition(":")[0]
    if queue != "gpu" and not queue.startswith("judge-"):
        return False
    handed_over: Any = client.xrange(f"{queue}:stream")
    delayed: Any = client.zrange(f"{queue}:queue", 0, -1)
    waiting = [fields[b"key"] for _, fields in handed_over] + delayed
    return any(key.endswith(f":{name.decode()}") for name in waiting)


async def wait_until(
    condition: Callable[[], bool] | Callable[[], Awaitable[bool]], description: str, seconds: float = 20.0
) -> None:
    """Until the condition holds. Fails, with the description, where it does not within `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if await answer if inspect.isawaitable(answer) else answer:
            return
        assert time.monotonic() < deadline, f"not within {seconds:g} s: {description}"
        await asyncio.sleep(0.01)
