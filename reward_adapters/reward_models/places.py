"""Where published files are: a folder or a file here, or a repository on a hub. It knows what lies there, not what that is for."""

import functools
import threading
from dataclasses import dataclass
from pathlib import Path

from ..base import JudgeSetupError
from .settings import prefix_of

PATIENCE = 5.0  # seconds for a hub to answer at all: other judges of the worker wait meanwhile


@dataclass(frozen=True)
class Place:
    """A folder here, or a repository on a hub, and the file in it that was named, if one was."""

    judge: str
    setting: str
    source: str
    revision: str
    file: str | None

    @classmethod
    def of(cls, judge: str, setting: str, named: str, revision: str = "main") -> "Place":
        """What a setting names. Raises JudgeSetupError where it is a path and nothing lies there."""
        setting = prefix_of(judge) + setting
        try:
            path = Path(named).expanduser()
            if path.is_dir():
                return cls(judge, setting, str(path), revision, None)
            if path.is_file():
                return cls(judge, setting, str(path.parent), revision, path.name)
        except (OSError, RuntimeError) as error:  # a folder that may not be looked into; a ~user that there is not
            raise JudgeSetupError(
                f"the judge {judge!r} is misconfigured: {named!r} cannot be looked at ({type(error).__name__}): set {setting}."
            ) from error
        owner, _, rest = named.partition("/")
        name, _, file = rest.partition("/")
        if not (owner and name) or owner in (".", "..") or owner.startswith("~"):
            raise JudgeSetupError(
                f"the judge {judge!r} is misconfigured: there is no {named!r} here, and on a hub it would be owner/name: set {setting}."
            )
        return cls(judge, setting, f"{owner}/{name}", revision, file or None)

    @property
    def is_here(self) -> bool:
        """Whether it is a folder of this machine."""
        return Path(self.source).is_dir()

    def path(self, file: str) -> Path:
        """The file, fetched where it is not here yet. Raises OSError where that cannot be."""
        from transformers.utils import cached_file  # noqa: PLC0415 - takes seconds

        return Path(cached_file(self.source, file, revision=self.revision))

    def has(self, file: str) -> bool:
        """Whether the file is there; it is not fetched. Raises JudgeSetupError where a hub does not say."""
        from httpx2 import HTTPError  # noqa: PLC0415 - what the hub's client lets through
        from huggingface_hub import HfApi, try_to_load_from_cache  # noqa: PLC0415

        if self.is_here:
            return (Path(self.source) / file).is_file()
        try:
            if isinstance(try_to_load_from_cache(self.source, file, revision=self.revision), str):
                return True
            hub = HfApi()
            if not _answers(hub.endpoint):
                raise ConnectionError
            return hub.file_exists(self.source, file, revision=self.revision)
        except (OSError, ValueError, HTTPError) as error:
            raise JudgeSetupError(
                f"the judge {self.judge!r} is misconfigured: {self.source!r} lies neither here nor on a hub that can be reached "
                f"({type(error).__name__}): set {self.setting} to a folder."
            ) from error

    def check(self, *files: str) -> None:
        """Raises JudgeSetupError where none of these files is there."""
        if not any(self.has(file) for file in files):
            raise JudgeSetupError(
                f"the judge {self.judge!r} is misconfigured: {self.source!r} has no file {' or '.join(files)}: set {self.setting}."
            )


@functools.cache  # the judges of one worker wait once
def _answers(hub: str) -> bool:
    """Whether the hub says anything in time. In a thread, for no time-out of an HTTP client bounds the look-up of a name."""
    from httpx2 import HTTPError  # noqa: PLC0415
    from huggingface_hub import get_session  # noqa: PLC0415

    said: list[bool] = []

    def asked() -> None:
        try:
            get_session().head(hub, timeout=PATIENCE)
            said.append(True)
        except (OSError, ValueError, HTTPError):
            said.append(False)

    asking = threading.Thread(target=asked, daemon=True)
    asking.start()
    asking.join(PATIENCE)
    return said == [True]
