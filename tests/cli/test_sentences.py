"""What hinders a start or a request is said in one sentence on standard error, with a non-zero status and no traceback."""

import ctypes
import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace

import pytest

from bus.server import MIN_FREE_BYTES, free_port
from cli.checks import refuse_taken_port
from cli.client import Client
from cli.errors import Failure
from cli.stack import Stack
from contracts.errors import BusUnavailable, ModelUnavailable
from workers.models import load_models

from .conftest import Maxwell

AWAY = "redis://user:secret@127.0.0.1:1/0"
HIDE = """
from importlib.machinery import PathFinder
find = PathFinder.find_spec
PathFinder.find_spec = lambda name, *rest: None if name.partition(".")[0] == "{package}" else find(name, *rest)
"""
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE = 24, 1


def said(ended: subprocess.CompletedProcess[str]) -> tuple[int, str]:
    """Status and the one sentence; standard output stays empty."""
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert line.startswith("maxwell: ")
    return ended.returncode, line.removeprefix("maxwell: ")


@pytest.fixture
def taken() -> Iterator[str]:
    """A port on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield str(other.getsockname()[1])


def test_a_taken_port(maxwell: Maxwell, taken: str, tmp_path: Path) -> None:
    sentence = (
        f"cannot listen on 127.0.0.1:{taken} (Address already in use): stop what uses it, "
        "or set another MAXWELL_PORT or MAXWELL_HOST (--port, --host)."
    )
    assert said(maxwell("up", "--port", taken, "--state", str(tmp_path / "state"))) == (1, sentence)
    assert said(maxwell("gateway", MAXWELL_PORT=taken)) == (1, sentence)
    assert not (tmp_path / "state").exists()


def test_an_address_that_is_not_ours() -> None:
    with pytest.raises(Failure, match=r"cannot listen on 192\.0\.2\.1:8000"):
        refuse_taken_port("192.0.2.1", 8000)
    with pytest.raises(Failure, match=r"cannot listen on nowhere\.invalid:8000"):
        refuse_taken_port("nowhere.invalid", 8000)


@pytest.mark.parametrize(
    ("host", "url"),
    [("127.0.0.1", "http://127.0.0.1:8000"), ("0.0.0.0", "http://127.0.0.1:8000"), ("::", "http://[::1]:8000")],
)
def test_the_url_leads_to_the_service_from_this_machine(tmp_path: Path, host: str, url: str) -> None:
    assert Stack(host, 8000, tmp_path).url == url


@pytest.mark.parametrize("command", ["up", "gateway", "gpu-worker", "judge-worker"])
def test_a_redis_that_is_away(maxwell: Maxwell, tmp_path: Path, command: str) -> None:
    variables = {"MAXWELL_PORT": str(free_port()), "MAXWELL_STATE_DIR": str(tmp_path), "MAXWELL_MODELS": "toy"}
    status, sentence = said(maxwell(command, MAXWELL_REDIS_URL=AWAY, **variables))
    assert status == 1
    assert sentence.startswith("Redis at redis://user:***@127.0.0.1:1/0 cannot be reached (")
    assert sentence.endswith("): check that it runs and that MAXWELL_REDIS_URL is right")


def test_a_redis_url_that_is_none(maxwell: Maxwell, tmp_path: Path) -> None:
    arguments = ("up", "--port", str(free_port()), "--state", str(tmp_path))
    status, sentence = said(maxwell(*arguments, MAXWELL_REDIS_URL="localhost"))
    assert status == 1
    assert sentence.startswith("'localhost' is no Redis URL")


def test_a_file_where_the_state_folder_should_be(maxwell: Maxwell, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    ending = "set MAXWELL_STATE_DIR to a writable folder."
    for state, reason in ((file, "File exists"), (file / "deeper", "Not a directory")):
        sentence = f"the state folder {state} cannot be used ({reason}): {ending}"
        assert said(maxwell("up", "--port", str(free_port()), "--state", str(state))) == (1, sentence)


def test_a_state_folder_that_may_not_be_written(maxwell: Maxwell, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    sentence = (
        f"the state folder {tmp_path} cannot be used (Permission denied): set MAXWELL_STATE_DIR to a writable folder."
    )
    ended = maxwell("up", "--port", str(free_port()), MAXWELL_STATE_DIR=str(tmp_path), before=_obey_permissions)
    assert said(ended) == (1, sentence)


def _obey_permissions() -> None:
    """Root writes everywhere, but for the right that it gives up here."""
    if os.geteuid() == 0:
        ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_DAC_OVERRIDE)


def test_a_full_disk(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=MIN_FREE_BYTES - 1))
    sentence = f"only 199 MB are free for the state folder {tmp_path}, 200 are needed: free some space"
    with pytest.raises(BusUnavailable, match=sentence), Stack("127.0.0.1", free_port(), tmp_path):
        pass
    assert list(tmp_path.iterdir()) == [], "nothing was started"


@pytest.mark.parametrize(
    ("command", "variables", "sentence"),
    [
        ("gateway", {"MAXWELL_PORT": "http"}, "the setting MAXWELL_PORT is wrong: Input should be a valid integer"),
        ("gateway", {"MAXWELL_PORT": "0"}, "the setting MAXWELL_PORT is wrong: Input should be greater"),
        ("gateway", {"MAXWELL_QUEUE_LIMIT": "0"}, "the setting MAXWELL_QUEUE_LIMIT is wrong: Input should be greater"),
    ],
)
def test_a_setting_that_is_wrong(maxwell: Maxwell, command: str, variables: dict[str, str], sentence: str) -> None:
    status, words = said(maxwell(command, **variables))
    assert status == 2
    assert words.startswith(sentence)
    assert words.endswith(f"(it is {next(iter(variables.values()))!r}).")


@pytest.mark.parametrize("device", ["cuda:99", "abacus"])
def test_a_device_that_is_not_here(device: str) -> None:
    with pytest.raises(
        ModelUnavailable, match=rf"MAXWELL_DEVICE is '{device}', which cannot be used here \(.*\): write cpu"
    ):
        load_models("toy", device)


def test_a_wrong_setting_of_a_child_ends_up(maxwell: Maxwell, tmp_path: Path) -> None:
    arguments = ("up", "--port", str(free_port()), "--state", str(tmp_path))
    ended = maxwell(*arguments, MAXWELL_MODELS="toy,sdxl", MAXWELL_JUDGES="colorfulness")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert "maxwell: MAXWELL_MODELS has 'sdxl': write a family" in ended.stderr
    last = ended.stderr.splitlines()[-1]
    assert last == "maxwell: the gpu-worker ended at start with status 1 (its own words are above)."


def test_a_port_that_is_no_number_is_a_usage_error(maxwell: Maxwell) -> None:
    ended = maxwell("up", MAXWELL_PORT="http")
    assert ended.returncode == 2
    assert "MAXWELL_PORT" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_no_service_at_the_url(maxwell: Maxwell, tmp_path: Path) -> None:
    sentence = "no service answers at http://127.0.0.1:1/: start one with `maxwell up`, or give --url."
    url = {"MAXWELL_URL": "http://127.0.0.1:1"}
    out = tmp_path / "out"
    for arguments in (("generate", "red", "--out", str(out)), ("jobs", "--json"), ("judges",)):
        assert said(maxwell(*arguments, **url)) == (1, sentence)
    assert not out.exists()


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_no_proxy_stands_between_us_and_this_machine(maxwell: Maxwell, stranger: str, name: str) -> None:
    for url in (stranger, stranger.replace("127.0.0.1", "localhost")):
        sentence = (
            f"GET {url}/v1/judges was answered with status 200, not as Maxwell of this version answers: check --url."
        )
        assert said(maxwell("judges", "--url", url, **{name: "http://127.0.0.1:1"})) == (1, sentence)


def test_what_else_answers_at_readyz_is_not_ready(stranger: str) -> None:
    with Client(stranger) as client:
        assert client.ready() == {"data": 1}
    with (
        Client(f"{stranger}/judges") as client,
        pytest.raises(Failure, match=r"GET http.*/readyz was answered with status 200, not as Maxwell"),
    ):
        client.ready()


@pytest.mark.parametrize(
    ("command", "package", "extra"),
    [
        ("gateway", "fastapi", "gateway"),
        ("gpu-worker", "torch", "worker"),
        ("up", "redis", "all"),
        ("demo", "redis", "all"),
    ],
)
def test_a_missing_extra_is_named(maxwell: Maxwell, tmp_path: Path, command: str, package: str, extra: str) -> None:
    """As after `pip install 'maxwell[cli]'`: one of the packages is not there."""
    (tmp_path / "sitecustomize.py").write_text(HIDE.format(package=package))
    sentence = f"the package {package} is not installed: pip install 'maxwell[{extra}]'."
    assert said(maxwell(command, PYTHONPATH=str(tmp_path))) == (1, sentence)


def test_a_users_file_takes_no_modules_place(maxwell: Maxwell, tmp_path: Path) -> None:
    """The stack's processes are started in the folder that the user is in."""
    for name in ("cli", "redis", "random", "torch", "uvicorn"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('the wrong file')")
    program = Path(sys.executable).parent / "maxwell"
    arguments = ("up", "--port", str(free_port()), "--state", str(tmp_path / "state"))
    variables = {"MAXWELL_MODELS": "sdxl", "MAXWELL_JUDGES": "colorfulness"}
    ended = subprocess.run(
        [program, *arguments],
        cwd=tmp_path,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert "the wrong file" not in ended.stderr
    assert "maxwell: MAXWELL_MODELS has 'sdxl': write a family" in ended.stderr


def test_a_url_that_is_none(maxwell: Maxwell) -> None:
    status, sentence = said(maxwell("models", "--url", "localhost:8000"))
    assert status == 2
    assert sentence.startswith("--url is no address")


class _Stranger(BaseHTTPRequestHandler):
    """Some other service."""

    def do_GET(self) -> None:
        answer = b"<html>welcome</html>" if "judges" in self.path else b'{"data": 1}'
        self.send_response(404 if "models" in self.path else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def stranger() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), _Stranger) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("command", "status"), [("judges", 200), ("scenarios", 200), ("models", 404)])
def test_another_service_at_the_url(maxwell: Maxwell, stranger: str, command: str, status: int) -> None:
    sentence = f"GET {stranger}/v1/{command} was answered with status {status}, not as Maxwell of this version answers: check --url."
    assert said(maxwell(command, "--url", stranger)) == (1, sentence)
