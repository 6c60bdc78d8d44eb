"""Tiny checkpoints of all reward models, made once for all their tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from .tiny import tiny_checkpoints


@pytest.fixture(scope="package")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, dict[str, str]]]:
    """Each judge's settings."""
    with tiny_checkpoints(tmp_path_factory.mktemp("reward-models")) as settings:
        yield settings


@pytest.fixture
def folder(checkpoints: dict[str, dict[str, str]]) -> Path:
    """Where the checkpoints are."""
    return Path(checkpoints["clip"]["MAXWELL_JUDGE_CLIP_MODEL"]).parent
