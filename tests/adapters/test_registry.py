"""Judges are found by entry point, ours and foreign ones alike; what cannot be had is said in a sentence that helps."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from reward_adapters import registry
from reward_adapters.base import JudgeSetupError

from .packages import install
from .pictures import ask, blots, encoded, plain

ROOT = Path(__file__).parents[2]
OURS = ["colorfulness", "jpeg_compressibility", "jpeg_incompressibility", "local", "local-score"]
PLAIN_JUDGE = """
from contracts.judging import JudgeCard
from reward_adapters.base import PictureJudge


def judge(environment):
    card = JudgeCard(name=environment.get("CALLED", "foreign"), kind="scoring", description="A test's.", objective="none")
    return PictureJudge(card, lambda image: 1.0)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on the import path."""
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_ours_are_there_and_nothing_heavy_is_imported_to_know_it() -> None:
    assert [name for name in registry.installed() if name in OURS] == OURS
    script = "import sys; from reward_adapters import registry; registry.installed(); print('torch' in sys.modules)"
    listed = subprocess.run([sys.executable, "-c", script], cwd=ROOT, check=True, capture_output=True, text=True)
    assert listed.stdout.strip() == "False"


def test_a_foreign_package_offers_a_judge(folder: Path) -> None:
    install(folder, "foreign_plain", PLAIN_JUDGE, {"foreign": "judge"})
    assert registry.build("foreign", {}).card.description == "A test's."


def test_an_unknown_name_lists_those_that_there_are() -> None:
    with pytest.raises(JudgeSetupError, match=r"no judge is called 'lokal': there are .*colorfulness, .*local-score"):
        registry.build("lokal", {})


def test_two_judges_of_one_name_are_refused_naming_both_packages(folder: Path) -> None:
    install(folder, "foreign_twice", PLAIN_JUDGE, {"local": "judge"})
    with pytest.raises(JudgeSetupError, match=r"two judges are called 'local': .*foreign_twice|maxwell"):
        registry.installed()


@pytest.mark.parametrize(
    "source", ["import not_there_at_all\n", "def judge(environment):\n    import not_there_at_all\n"]
)
def test_a_missing_package_is_named_with_what_to_do(folder: Path, source: str) -> None:
    install(folder, f"foreign_lacking_{len(source)}", source, {"lacking": "judge"})
    with pytest.raises(
        JudgeSetupError, match=r"'lacking' cannot be loaded \(No module named 'not_there_at_all'\): install"
    ):
        registry.build("lacking", {})


def test_an_entry_point_into_nothing_is_named(folder: Path) -> None:
    install(folder, "foreign_nowhere", PLAIN_JUDGE, {"nowhere": "jugde"})
    with pytest.raises(JudgeSetupError, match="'foreign_nowhere:jugde' names nothing that exists"):
        registry.build("nowhere", {})


def test_a_factory_must_make_the_judge_its_entry_point_names(folder: Path) -> None:
    install(folder, "foreign_other", PLAIN_JUDGE, {"foreign": "judge"})
    with pytest.raises(JudgeSetupError, match="made no judge called 'foreign'"):
        registry.build("foreign", {"CALLED": "another"})


@pytest.mark.parametrize(
    ("body", "cause", "said"),
    [
        ("return None.card", AttributeError, "AttributeError: 'NoneType' object has no attribute 'card'"),
        ("return environment['TOKEN']", KeyError, "KeyError: 'TOKEN'"),
        ("open('/not/there')", OSError, "FileNotFoundError: .* '/not/there'"),
        ("raise ValueError", ValueError, "ValueError: ValueError"),
    ],
)
def test_an_error_of_the_factory_itself_is_named_and_not_hidden(
    folder: Path, body: str, cause: type[Exception], said: str
) -> None:
    package = f"foreign_bug_{cause.__name__}"
    install(folder, package, f"def judge(environment):\n    {body}\n", {"bug": "judge"})
    sentence = rf"'bug' cannot be built: its factory '{package}:judge' failed \({said}\).* package {package}"
    with pytest.raises(JudgeSetupError, match=sentence) as raised:
        registry.build("bug", {})
    assert isinstance(raised.value.__cause__, cause)


def test_what_a_factory_says_about_its_setup_is_passed_on(folder: Path) -> None:
    source = (
        "from reward_adapters.base import JudgeSetupError\n\ndef judge(_):\n    raise JudgeSetupError('set TOKEN')\n"
    )
    install(folder, "foreign_setup", source, {"unset": "judge"})
    with pytest.raises(JudgeSetupError, match=r"^set TOKEN$"):
        registry.build("unset", {})


def test_local_says_where_its_device_does_not_exist() -> None:
    with pytest.raises(JudgeSetupError, match=r"the local judges' network cannot be loaded: .*no-such-device"):
        registry.build("local", {"MAXWELL_JUDGE_DEVICE": "no-such-device"})


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """examples/my_judge, installed by pip into a folder on the import path."""
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(ROOT / "examples" / "my_judge", source)  # building leaves files beside the source
    subprocess.run(
        [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps", "--no-build-isolation",
         "--no-index", "--target", str(target), str(source)],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    monkeypatch.syspath_prepend(str(target))


@pytest.mark.usefixtures("example")
async def test_the_example_in_the_documentation_installs_and_judges() -> None:
    judge = registry.build("symmetry", {})
    halves = plain("white", (64, 64))
    halves.paste("black", (0, 0, 32, 64))  # every pixel is as far from its mirror image as can be
    pictures = [encoded(image) for image in (plain("teal"), blots(1), halves)]
    scores = (await judge.score(ask(judge.card, 3), pictures)).scores
    assert (scores[0], scores[2]) == (0.0, -255.0)
    assert scores[1] is not None
    assert -255 < scores[1] < 0


def test_the_documentation_shows_the_example_as_it_is() -> None:
    page = (ROOT / "docs" / "writing-a-judge.md").read_text()
    for name in ("my_judge.py", "pyproject.toml"):
        assert (ROOT / "examples" / "my_judge" / name).read_text() in page, (
            f"{name} in docs/writing-a-judge.md is out of date"
        )
