"""deploy/install.sh says in one sentence what is missing, installs once, and again only where the pinned packages changed."""

import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TOOLS = ("sh", "dirname", "cat", "cksum", "df", "awk", "tr", "grep", "tail", "printf", "mkdir", "cp", "rm", "chmod")
# What `python3` does in these tests: it is new enough, and makes a .venv whose pip does as PIP says.
PYTHON = """#!/bin/sh
case "$1$2" in
-cimport*) echo "${VERSION:-3.11}" ;;
-mvenv)
    echo "$*" >>venv-calls
    mkdir -p .venv/bin && rm -f .venv/bin/python && cp "$STUBS/pip" .venv/bin/python && cp "$STUBS/pip" .venv/bin/pip ;;
esac
"""
NEED = "about 2 GB with a CPU build of torch, about 8 GB with the CUDA build that PyPI gives on x86-64 Linux"
PIP_WORKS = '#!/bin/sh\necho "$*" >>pip-calls\n'
OLD_PYTHON = '#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.9.2" && exit 0\nexit 1\n'
NO_VENV = '#!/bin/sh\n[ "$2" = venv ] && { echo "ensurepip is not available" >&2; exit 1; }\nexit 0\n'
SMALL_DISK = '#!/bin/sh\necho "Filesystem 1024-blocks Used Available"\necho "/dev/x 9 9 1234567 1% /"\n'


class Checkout:
    """A copy of what the script reads, and a PATH with nothing but its tools and our stubs."""

    def __init__(self, folder: Path) -> None:
        self.version = "3.11"
        self.root, self.stubs = folder / "checkout", folder / "stubs"
        (self.root / "deploy").mkdir(parents=True)
        self.stubs.mkdir()
        for name in ("pyproject.toml", "constraints.txt", "deploy/install.sh"):
            shutil.copy(ROOT / name, self.root / name)
        for tool in TOOLS:
            found = shutil.which(tool)
            assert found is not None, tool
            (self.stubs / tool).symlink_to(found)

    def stub(self, files: Mapping[str, str]) -> None:
        """Put executables on the PATH, in the place of a tool or beside them."""
        for name, source in files.items():
            (self.stubs / name).unlink(missing_ok=True)
            (self.stubs / name).write_text(source)
            (self.stubs / name).chmod(0o755)

    def install(self, *extras: str) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        path = {"PATH": str(self.stubs), "STUBS": str(self.stubs), "VERSION": self.version}
        command = [str(self.root / "deploy" / "install.sh"), *extras]
        return subprocess.run(command, env=path, capture_output=True, text=True, check=False, timeout=30)

    def calls(self, tool: str = "pip") -> list[str]:
        """What the tool was asked for."""
        return (self.root / f"{tool}-calls").read_text().splitlines()


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def failing(words: str) -> dict[str, str]:
    """A python3 whose pip ends with these words."""
    return {"python3": PYTHON, "pip": f"#!/bin/sh\ncat <<'END'\n{words}\nEND\nexit 1\n"}


@pytest.mark.parametrize(
    ("stubs", "sentence"),
    [
        ({}, "no python3 here: install Python 3.11 or newer (Debian and Ubuntu: apt-get install python3 python3-venv)."),
        ({"python3": OLD_PYTHON},
         "python3 is Python 3.9.2, but Maxwell needs 3.11 or newer: set PYTHON=/path/to/python3.11."),
        ({"python3": NO_VENV}, "python3 cannot make a virtual environment here: install its venv module (Debian and Ubuntu: "
         "apt-get install python3-venv) and check that this folder is writable."),
        ({"python3": PYTHON, "pip": PIP_WORKS, "df": SMALL_DISK},
         f"only 1234 MB free here, but the packages need {NEED}: free some space or move the checkout."),
        (failing("OSError: [Errno 28] No space left on device"),
         f"the disk is full: the packages need {NEED}; free some space and run the same command again (log: .venv/install.log)."),
        (failing("error: command 'gcc' failed: No such file or directory"), "a package has to be built here, but there is no "
         "working C compiler: apt-get install build-essential python3-dev (log: .venv/install.log)."),
        (failing("      error: command 'x86_64-linux-gnu-gcc' failed: No such file or directory\nERROR: Failed building wheel"),
         "a package has to be built here, but there is no working C compiler: apt-get install build-essential python3-dev "
         "(log: .venv/install.log)."),
        (failing("ERROR: Could not find a version that satisfies the requirement torch==2.13.0 (from versions: none)\n"
         "ERROR: No matching distribution found for torch==2.13.0"),
         "Could not find a version that satisfies the requirement torch==2.13.0: is the package index reachable, and is this "
         "Linux on x86-64 or arm64? (log: .venv/install.log)."),
        (failing("something\nERROR: never seen before"), "the packages could not be installed; the last lines of "
         ".venv/install.log say why: ERROR: never seen before"),
    ],
    ids=["no-python", "old-python", "no-venv", "no-disk", "full-disk", "no-gcc", "no-cross-gcc", "no-index", "other"],
)  # fmt: skip
def test_what_is_missing_is_one_sentence(checkout: Checkout, stubs: dict[str, str], sentence: str) -> None:
    checkout.stub(stubs)
    ended = checkout.install("all")
    assert ended.returncode == 1
    assert ended.stderr == f"maxwell: {sentence}\n"
    assert not (checkout.root / ".venv" / "installed").exists()


def test_it_installs_torch_first_and_only_once(checkout: Checkout) -> None:
    checkout.stub({"python3": PYTHON, "pip": PIP_WORKS})
    first = checkout.install("all")
    assert (first.returncode, first.stderr) == (0, "")
    calls = checkout.calls()
    assert calls[0].endswith("-c constraints.txt torch==2.13.0")
    assert calls[-1].endswith("--no-build-isolation -e .[all]")
    again = checkout.install("all")
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert checkout.calls() == calls


def test_a_changed_pin_and_a_further_extra_install_again_and_dev_holds_all(checkout: Checkout) -> None:
    checkout.stub({"python3": PYTHON, "pip": PIP_WORKS})
    checkout.install("all")
    first = len(checkout.calls())
    checkout.install("dev")
    second = len(checkout.calls())
    assert second > first
    checkout.install("all")
    assert len(checkout.calls()) == second, "dev holds everything that all does"
    with (checkout.root / "constraints.txt").open("a") as pins:
        pins.write("# changed\n")
    checkout.install("all")
    assert len(checkout.calls()) > second


def test_a_moved_checkout_and_another_python_get_a_new_virtual_environment(checkout: Checkout) -> None:
    """The old one names the old folder and the old interpreter in its programs."""
    checkout.stub({"python3": PYTHON, "pip": PIP_WORKS})
    checkout.install("all")
    checkout.install("dev")
    assert checkout.calls("venv") == ["-m venv .venv"]
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    assert checkout.install("all").returncode == 0
    assert len(checkout.calls("venv")) == 2
    checkout.version = "3.12"
    assert checkout.install("all").returncode == 0
    assert len(checkout.calls("venv")) == 3
    assert checkout.install("all").stdout == "", "and then all is well"
    (checkout.root / ".venv" / "bin" / "python").unlink()
    (checkout.root / ".venv" / "bin" / "python").symlink_to("/usr/bin/a-python-that-was-removed")
    assert checkout.install("all").returncode == 0
    assert checkout.calls("venv")[1:] == ["-m venv --clear .venv"] * 3


def test_a_virtual_environment_of_the_users_own_is_not_emptied(checkout: Checkout) -> None:
    checkout.stub({"python3": PYTHON, "pip": PIP_WORKS})
    checkout.install("all")
    for ours in ("home", "installed"):
        (checkout.root / ".venv" / ours).unlink()
    assert checkout.install("all").returncode == 0
    assert checkout.calls("venv") == ["-m venv .venv"]


def test_a_set_up_that_failed_is_tried_again(checkout: Checkout) -> None:
    checkout.stub(failing("ERROR: the network is away"))
    assert checkout.install("all").returncode == 1
    shutil.copy(_written(checkout, "pip", PIP_WORKS), checkout.root / ".venv" / "bin" / "python")
    assert checkout.install("all").returncode == 0
    assert (checkout.root / ".venv" / "installed").exists()


def _written(checkout: Checkout, name: str, source: str) -> Path:
    checkout.stub({name: source})
    return checkout.stubs / name
