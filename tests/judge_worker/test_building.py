"""Judges called by name must be there; without names the worker offers all it can and says which it leaves out."""

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from reward_adapters import registry
from reward_adapters.base import JudgeSetupError
from workers.judge_worker import build_judges

from ..adapters.packages import install


@pytest.fixture(autouse=True)
def lacking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A foreign judge whose package needs something that is not installed."""
    monkeypatch.syspath_prepend(str(install(tmp_path, "a_lacking_package", "import not_there\n", {"lacking": "judge"})))


def test_without_names_all_that_can_be_built_are_and_the_others_are_warned_of() -> None:
    with capture_logs() as said:
        judges = build_judges("", {})
    assert set(judges) == set(registry.installed()) - {"lacking"}
    (warning,) = said
    assert (warning["log_level"], warning["judge"]) == ("warning", "lacking")
    assert "No module named 'not_there'" in warning["reason"]


def test_a_judge_called_by_name_must_be_there() -> None:
    assert set(build_judges(" colorfulness ,jpeg_compressibility,", {})) == {"colorfulness", "jpeg_compressibility"}
    with pytest.raises(JudgeSetupError, match="'lacking' cannot be loaded"):
        build_judges("colorfulness,lacking", {})
