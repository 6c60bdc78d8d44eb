"""The client names the server it cannot reach, hides its password, and loses no cancellation."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from bus.connection import WORKER_PATIENCE, Patient, check, connect
from bus.jobs import Jobs
from bus.queue import Queue
from bus.server import EmbeddedServer
from contracts.errors import BusUnavailable

from ..conftest import wait_until
from .builders import submitted

LONG = "long" * 30  # too long for a socket file: the server listens on a port, behind a password


@pytest.mark.parametrize("passes", range(1, 40))
async def test_a_cancel_is_heeded_wherever_it_comes(redis_url: str, passes: int) -> None:
    """redis-py swallows a cancel that comes while it connects; a task that goes on for ever would then never end."""
    async with connect(redis_url) as client:
        reading = asyncio.create_task(client.execute_command("XREAD", "BLOCK", 50, "STREAMS", "stream", "0-0"))
        for _ in range(passes):
            await asyncio.sleep(0)
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://user:secret@127.0.0.1:1/0", "redis://user:***@127.0.0.1:1/0"),
        ("redis://:secret@127.0.0.1:1/0", "redis://:***@127.0.0.1:1/0"),
        ("redis://user:secret@secret@127.0.0.1:1/0", "redis://user:***@127.0.0.1:1/0"),
        ("redis://user:%2Fsecret%2F@127.0.0.1:1/0", "redis://user:***@127.0.0.1:1/0"),
        ("unix:///nowhere.sock?db=0&password=secret", "unix:///nowhere.sock?db=0&password=***"),
        ("unix:///nowhere.sock?password=se@cret/&secret&db=0", "unix:///nowhere.sock?password=***&db=0"),
    ],
)
async def test_an_unreachable_server_is_named_without_its_password(url: str, shown: str) -> None:
    async with connect(url, patience=timedelta(seconds=0.1)) as client:
        for call in (lambda: check(client), lambda: client.exists("key")):
            with pytest.raises(BusUnavailable) as caught:
                await call()
            assert shown in str(caught.value)
            assert "secret" not in str(caught.value)


async def test_a_wrong_password_is_told_from_a_wrong_address(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / LONG) as running:
        wrong = running.url.replace(running._password, "wrong")
        async with connect(wrong, patience=timedelta(seconds=0.1)) as client:
            with pytest.raises(BusUnavailable, match="refuses us"):
                await check(client)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(BusUnavailable, match=r"'http://example\.org' is no Redis URL"):
        connect("http://example.org")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:12secret/34secret@127.0.0.1:1/0",
        "redis://:12/34secret@127.0.0.1:1/0",
        "redis://user:secret?a#b@127.0.0.1:1/0",
        "redis://user:secret\u2100@127.0.0.1",  # Python quotes it whole where it refuses it
    ],
)
def test_a_password_that_breaks_its_url_is_not_quoted(url: str) -> None:
    with pytest.raises(BusUnavailable, match=r"\*\*\*@127\.0\.0\.1.*is no Redis URL") as caught:
        connect(url)
    assert "secret" not in str(caught.value)
    assert "12" not in str(caught.value).replace("127.0.0.1", "")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_patience_is_what_it_says_also_with_connections_that_were_good(
    tmp_path: Path, how: signal.Signals
) -> None:
    """redis-py's own retries multiply: within connect(), and around each command."""
    with EmbeddedServer(tmp_path) as running:
        async with connect(running.url, patience=timedelta(seconds=1)) as client:
            await asyncio.gather(*(client.ping() for _ in range(5)))
            os.kill(running.pid, how)
            started = time.monotonic()
            try:
                for _ in range(2):
                    with pytest.raises(BusUnavailable, match="cannot be reached"):
                        await client.get("key")
            finally:
                os.kill(running.pid, signal.SIGKILL)
            assert time.monotonic() - started < 2 * 6.0
            assert how is signal.SIGSTOP or time.monotonic() - started >= 2 * 1.0


async def test_a_restart_within_the_patience_is_not_noticed(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as running:
        async with connect(running.url, patience=WORKER_PATIENCE) as client:
            await client.set("key", "value")
            os.kill(running.pid, signal.SIGKILL)
            reading = asyncio.create_task(client.execute_command("GET", "key"))
            await wait_until(lambda: not running.alive, "the server is gone")
            running.__exit__(None, None, None)
            running.__enter__()
            assert await reading == b"value"


async def test_a_cancel_during_an_outage_is_heeded_at_once(tmp_path: Path) -> None:
    async with connect(f"unix://{tmp_path}/nowhere.sock", patience=WORKER_PATIENCE) as client:
        reading = asyncio.create_task(client.execute_command("GET", "key"))
        await asyncio.wait([reading], timeout=0.3)
        started = time.monotonic()
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        assert time.monotonic() - started < 2.0


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
async def test_the_queue_engines_connections_have_no_more_patience_than_ours(
    tmp_path: Path, how: signal.Signals
) -> None:
    with EmbeddedServer(tmp_path) as running:
        async with connect(running.url, patience=timedelta(seconds=1)) as client, Queue(client, "judge-x") as queue:
            await queue.add("warm")
            os.kill(running.pid, how)
            started = time.monotonic()
            try:
                with pytest.raises(BusUnavailable, match="cannot be reached"):
                    await queue.add("name")
                with pytest.raises(BusUnavailable, match="cannot be reached"):
                    await queue.remove("warm")
            finally:
                os.kill(running.pid, signal.SIGCONT)
            assert time.monotonic() - started < 2 * 5.0


async def test_patience_with_others_connections_does_not_multiply() -> None:
    tries = []

    async def refused() -> None:
        tries.append(time.monotonic())
        raise ConnectionRefusedError

    async def note(error: Exception) -> None:
        assert isinstance(error, ConnectionRefusedError)

    policy = Patient(timedelta(seconds=0.5))
    with pytest.raises(ConnectionRefusedError):
        await policy.call_with_retry(lambda: policy.call_with_retry(refused, note), note)
    assert 0.5 <= tries[-1] - tries[0] < 2.0


async def test_a_full_redis_is_said_to_be_full(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as running:
        async with connect(running.url, patience=timedelta(seconds=0.2)) as client, Queue(client, "judge-x") as queue:
            jobs = Jobs(client)
            await client.config_set("maxmemory", 1)
            calls: list[Callable[[], Awaitable[Any]]] = [
                lambda: client.set("key", "value"),
                lambda: submitted(jobs),
                lambda: queue.add("name"),
            ]
            for call in calls:
                with pytest.raises(BusUnavailable, match=r"is full \(.*maxmemory.*\): raise its maxmemory"):
                    await call()
            assert await client.get("key") is None, "reading goes on"
            await client.config_set("maxmemory", 0)


async def test_a_replica_is_said_to_be_one(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as running:
        async with connect(running.url, patience=timedelta(seconds=0.2)) as client:
            await client.execute_command("REPLICAOF", "127.0.0.1", "1")
            with pytest.raises(BusUnavailable, match="is a read-only replica"):
                await submitted(Jobs(client))


async def test_reads_have_the_same_shape_whatever_protocol_the_url_asks_for(server: EmbeddedServer) -> None:
    async with connect(f"{server.url}&protocol=3&decode_responses=true&max_connections=1") as client:
        assert await client.execute_command("HGETALL", "nothing") in ({}, [])
        await client.xadd("stream", {"name": "x"})
        answer: Any = await client.xread({"stream": "0-0"})
        assert [(name, [fields for _, fields in rings]) for name, rings in answer] == [(b"stream", [{b"name": b"x"}])]
        await client.delete("stream")
