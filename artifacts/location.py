"""Where the pictures are by default. It knows no store."""

from pathlib import Path


def default_url(state_dir: Path) -> str:
    """The URL of the folder under `state_dir`, whatever characters its path holds."""
    return (state_dir / "artifacts").resolve().as_uri()
