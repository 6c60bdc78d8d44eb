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
    """Two foreign judges: the package of one needs something that is not installed, the other one's a setting."""
    install(tmp_path, "a_lacking_package", "import not_there\n", {"lacking": "judge"})
    install(tmp_path, "an_unset_package", "def judge(env):\n    return env['TOKEN_OF_THEIRS']\n", {"unset": "judge"})
    monkeypatch.syspath_prepend(str(tmp_path))


def test_without_names_all_that_can_be_built_are_and_the_others_are_warned_of() -> None:
    with capture_logs() as said:
        judges = build_judges("", {})
    ask_models = {"gemini", "http", "local-vlm", "openai", "transformers-vlm"}
    reward_models = {"aesthetic", "clip", "hpsv2", "imagereward", "pickscore"}
    assert set(judges) == set(registry.installed()) - {"lacking", "unset"} - ask_models - reward_models
    warnings = [line for line in said if line["log_level"] == "warning"]
    assert [warning["judge"] for warning in warnings] == ["lacking", "unset"]
    assert "No module named 'not_there'" in warnings[0]["reason"]
    assert "KeyError: 'TOKEN_OF_THEIRS'" in warnings[1]["reason"]


def test_a_judge_that_nobody_set_up_is_no_cause_for_a_warning_and_one_set_up_in_part_is() -> None:
    with capture_logs() as said:
        build_judges("", {"MAXWELL_JUDGE_LOCAL_VLM_MODEL": "a-model"})
    told = {line["judge"]: (line["log_level"], line["reason"]) for line in said}
    assert told["openai"][0] == "info"
    assert "set MAXWELL_JUDGE_OPENAI_MODEL" in told["openai"][1]
    assert told["local-vlm"][0] == "warning"
    assert "set MAXWELL_JUDGE_LOCAL_VLM_BASE_URL" in told["local-vlm"][1]


def test_a_judge_called_by_name_must_be_there() -> None:
    assert set(build_judges(" colorfulness ,jpeg_compressibility,", {})) == {"colorfulness", "jpeg_compressibility"}
    with pytest.raises(JudgeSetupError, match="'lacking' cannot be loaded"):
        build_judges("colorfulness,lacking", {})
    with pytest.raises(JudgeSetupError, match="'unset' cannot be built"):
        build_judges("unset", {})
