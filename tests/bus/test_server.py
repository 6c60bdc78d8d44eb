"""The embedded server keeps what it confirmed, dies with its parent, and says in one sentence why it cannot start."""

import asyncio
import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import redis as sync_redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from bus import server as server_module
from bus.server import EmbeddedServer
from contracts.errors import BusUnavailable

from ..conftest import wait_until


def test_data_is_there_after_a_stop_and_after_a_kill(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as first, sync_redis.Redis.from_url(first.url) as client:
        client.set("stopped", 1)
    with EmbeddedServer(tmp_path) as second, sync_redis.Redis.from_url(second.url) as client:
        client.set("killed", 1)
        os.kill(second.pid, signal.SIGKILL)
    with EmbeddedServer(tmp_path) as third, sync_redis.Redis.from_url(third.url) as client:
        assert client.mget("stopped", "killed") == [b"1", b"1"]
        assert client.config_get("appendfsync")["appendfsync"] == "always"
        assert client.config_get("maxmemory-policy")["maxmemory-policy"] == "noeviction"


def test_only_we_can_reach_it(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / "state") as running:
        assert stat.S_IMODE((tmp_path / "state").stat().st_mode) == 0o700
        assert running.url == f"unix://{tmp_path}/state/redis.sock?db=0"


@pytest.mark.parametrize("name", ["with spaces", 'a "quoted" name', "100% why? #1 \\ päth"])
def test_any_folder_name_will_do(tmp_path: Path, name: str) -> None:
    with EmbeddedServer(tmp_path / name) as running, sync_redis.Redis.from_url(running.url) as client:
        client.set("key", "value")
    assert list((tmp_path / name / "appendonlydir").glob("*.incr.aof"))


def test_a_long_path_is_served_on_a_loopback_port_behind_a_password(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path / ("long" * 30)) as running, sync_redis.Redis.from_url(running.url) as client:
        assert client.ping()
        host, port = running.url.rpartition("@")[2].removesuffix("/0").split(":")
        assert host == "127.0.0.1"
        with (
            sync_redis.Redis(port=int(port), retry=Retry(NoBackoff(), 0)) as stranger,
            pytest.raises(sync_redis.AuthenticationError),
        ):
            stranger.ping()


def test_a_second_server_on_the_folder_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "LOCK_SECONDS", 0.1)
    with EmbeddedServer(tmp_path) as running:
        with (
            pytest.raises(BusUnavailable, match=r"another server is running on the data folder .* already"),
            EmbeddedServer(tmp_path),
        ):
            pass
        with sync_redis.Redis.from_url(running.url) as client:
            assert client.ping(), "the first one is not disturbed"


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(BusUnavailable, match=r"state folder .*file/state cannot be used \(Not a directory\)"),
        EmbeddedServer(tmp_path / "file" / "state"),
    ):
        pass


def test_a_full_disk_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MIN_FREE_BYTES", 2**60)
    with pytest.raises(BusUnavailable, match=r"only \d+ MB are free for the state folder"), EmbeddedServer(tmp_path):
        pass


def test_data_that_cannot_be_read_back_is_not_thrown_away(tmp_path: Path) -> None:
    with EmbeddedServer(tmp_path) as running, sync_redis.Redis.from_url(running.url) as client:
        client.set("key", "value")
    (log,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
    log.write_bytes(b"*1\r\n$9\r\nNONSENSE!" + log.read_bytes())
    with pytest.raises(BusUnavailable, match=r"could not start: .* \(see .*valkey\.log\)"), EmbeddedServer(tmp_path):
        pass
    assert b"value" in log.read_bytes()


def test_a_start_can_be_called_off(tmp_path: Path) -> None:
    """Reading back a large data set takes its time; whoever presses Ctrl-C does not wait for it."""
    stopping = threading.Event()
    stopping.set()
    server = EmbeddedServer(tmp_path, stopping)
    with pytest.raises(BusUnavailable, match="not ready before it was to stop"), server:
        pass
    stopping.clear()
    with server, sync_redis.Redis.from_url(server.url) as client:
        assert client.ping(), "nothing of the first start is left"


def test_it_dies_with_its_parent_and_a_new_one_goes_on(tmp_path: Path) -> None:
    code = (
        "import sys, pathlib; from bus.server import EmbeddedServer\n"
        "with EmbeddedServer(pathlib.Path(sys.argv[1])) as server: print(server.pid, flush=True); sys.stdin.read()"
    )
    arguments = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        parent.kill()
    asyncio.run(wait_until(lambda: not Path(f"/proc/{pid}").exists(), "the server is gone"))
    with EmbeddedServer(tmp_path) as again, sync_redis.Redis.from_url(again.url) as client:
        assert client.ping()


def test_ctrl_c_in_a_terminal_does_not_reach_it(tmp_path: Path) -> None:
    """It goes to the whole foreground process group; the server is to be stopped last, by its parent."""
    with EmbeddedServer(tmp_path) as server:
        assert os.getpgid(server.pid) != os.getpgid(0)
