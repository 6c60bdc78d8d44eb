"""The client names the server it cannot reach, hides its password, and loses no cancellation."""

import asyncio
from datetime import timedelta
from pathlib import Path

import pytest

from bus import server as server_module
from bus.connection import check, connect
from bus.server import EmbeddedServer
from contracts.errors import BusUnavailable


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
        ("unix:///nowhere.sock?db=0&password=secret", "unix:///nowhere.sock?db=0&password=***"),
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
    with EmbeddedServer(tmp_path, port=server_module._free_port()) as running:
        wrong = running.url.replace(running._password, "wrong")
        async with connect(wrong, patience=timedelta(seconds=0.1)) as client:
            with pytest.raises(BusUnavailable, match="refuses us"):
                await check(client)


def test_what_is_no_url_is_refused() -> None:
    with pytest.raises(BusUnavailable, match=r"'http://example\.org' is no Redis URL"):
        connect("http://example.org")
