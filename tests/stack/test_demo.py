"""`maxwell demo` starts the service, draws, saves, says how the reward rose, and leaves no process; so does Ctrl-C in its middle."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cli.drawing import ARTIFACTS

from .running import children, gone, until


def begun(folder: Path) -> tuple[subprocess.Popen[str], list[int]]:
    """The demo with the toy in the place of its model, so that it is quick, and the processes it has started."""
    variables = {"MAXWELL_MODELS": "embedded=toy", "MAXWELL_JUDGES": "local", "OMP_NUM_THREADS": "1"}
    arguments = ("demo", "--out", str(folder / "out"), "--state", str(folder / "state"))
    process = subprocess.Popen(
        [sys.executable, "-m", "cli", *arguments], env=os.environ | variables,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    until(lambda: len(children(process.pid)) == 4, "Redis, gateway, GPU worker and judge worker are started")
    return process, children(process.pid)


def test_the_demo_does_the_main_job_and_leaves_no_process(tmp_path: Path) -> None:
    process, family = begun(tmp_path)
    said, complained = process.communicate(timeout=120)
    assert (process.returncode, complained) == (0, "")
    lines = said.splitlines()
    assert '/generate {"prompt": "a red apple", "scenario": "teacher"}' in lines[1]
    assert "16/16 steps" in lines[2]
    assert lines[3:-1] == [f"  {tmp_path / 'out' / name}  {meaning}" for name, meaning in ARTIFACTS.items()]
    assert lines[-1].startswith("local's score ")
    assert all((tmp_path / "out" / name).stat().st_size > 0 for name in ARTIFACTS)
    assert gone(family)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_the_demo_in_order(tmp_path: Path, how: signal.Signals) -> None:
    process, family = begun(tmp_path)
    process.send_signal(how)
    _, complained = process.communicate(timeout=60)
    assert (process.returncode, complained) == (130, "maxwell: stopped before the service was ready.\n")
    assert gone(family)
