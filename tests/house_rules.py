"""House rules that no linter has: short files, and a docstring on top of every module. Run by `make check`."""

import ast
import subprocess
import sys
from pathlib import Path

MAX_LINES = 300


def violations(paths: list[Path]) -> list[str]:
    """One sentence for each rule that a file breaks."""
    found = []
    for path in paths:
        text = path.read_text()
        lines = text.count("\n")
        if lines > MAX_LINES:
            found.append(f"{path}: {lines} lines, more than {MAX_LINES}: split it by idea")
        if text.strip() and ast.get_docstring(ast.parse(text)) is None:
            found.append(f"{path}: the module does not open with a docstring (what it does, what it does not know)")
    return found


def main() -> None:
    """Check every Python file that git knows or would add."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        check=True,
        capture_output=True,
        text=True,
    )
    found = violations([path for name in listed.stdout.split() if (path := Path(name)).exists()])
    for sentence in found:
        print(sentence)
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
