"""Runs `maxwell` as users do: a process of its own."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest

Maxwell = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def maxwell() -> Maxwell:
    """`maxwell(*arguments, NAME=value…)`: run it to its end with these variables set; `before` runs in the child."""

    def run(
        *arguments: str, before: Callable[[], None] | None = None, **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "cli", *arguments],
            env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
            preexec_fn=before,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )

    return run
