"""Foreign packages of judges, as pip leaves them in a folder: a module and its dist-info. It knows no judge of ours."""

from collections.abc import Mapping
from pathlib import Path


def install(folder: Path, package: str, source: str, judges: Mapping[str, str]) -> Path:
    """Put the module `package` with this source into the folder, with the entry points `judges` (name to object in the module)."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{package}.py").write_text(source)
    info = folder / f"{package}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 1.0\n")
    lines = [f"{name} = {package}:{attribute}\n" for name, attribute in judges.items()]
    (info / "entry_points.txt").write_text("[maxwell.judges]\n" + "".join(lines))
    return folder
