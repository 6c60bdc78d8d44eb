"""Which models a worker serves: `embedded,toy,sd=stable_diffusion:/path-or-hub-id`. It knows families by name; no network."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import torch

from contracts.errors import ModelUnavailable, first_line

from .base import Model

_ENTRY = re.compile(r"(?:(?P<name>[a-z0-9][a-z0-9._-]*)=)?(?P<family>[a-z_]+)(?::(?P<source>.+))?")


@dataclass(frozen=True)
class Entry:
    """One model to serve: under which name, of which family, from where."""

    name: str
    family: str
    source: str | None


def load_models(text: str, device: str | None) -> dict[str, Model]:
    """The models of a MAXWELL_MODELS text, by name. Raises ModelUnavailable, in words for people, for the first one that fails."""
    models: dict[str, Model] = {}
    entries = parse(text)
    _refuse_absent(device)
    for entry in entries:
        if entry.name in models:
            raise ModelUnavailable(f"MAXWELL_MODELS names the model {entry.name!r} twice: give one another name")
        models[entry.name] = _FAMILIES[entry.family](entry, device)
    return models


def parse(text: str) -> list[Entry]:
    """The entries of a comma-separated list; an entry without a name is called as its family."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts:
        raise ModelUnavailable("MAXWELL_MODELS is empty: name a model, e.g. embedded")
    return [_entry(part) for part in parts]


def _entry(part: str) -> Entry:
    match = _ENTRY.fullmatch(part)
    if match is None or match["family"] not in _FAMILIES:
        raise ModelUnavailable(
            f"MAXWELL_MODELS has {part!r}: write a family ({', '.join(_FAMILIES)}) or name=family:path-or-hub-id, "
            "e.g. sd=stable_diffusion:/models/sd15"
        )
    return Entry(match["name"] or match["family"], match["family"], match["source"])


def _embedded(entry: Entry, device: str | None) -> Model:
    from .embedded import load_embedded  # noqa: PLC0415 - a worker loads what it serves

    _refuse_source(entry)
    return load_embedded(entry.name, device)


def _toy(entry: Entry, device: str | None) -> Model:
    from .toy import Toy  # noqa: PLC0415

    _refuse_source(entry)
    return Toy(entry.name)


def _stable_diffusion(entry: Entry, device: str | None) -> Model:
    from .stable_diffusion import load_stable_diffusion  # noqa: PLC0415

    if entry.source is None:
        raise ModelUnavailable(
            f"the model {entry.name!r} needs a folder or hub id: {entry.name}=stable_diffusion:path-or-hub-id"
        )
    return load_stable_diffusion(entry.name, entry.source, device)


def _refuse_absent(device: str | None) -> None:
    try:
        torch.empty(1, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts
        raise ModelUnavailable(
            f"MAXWELL_DEVICE is {device!r}, which cannot be used here ({first_line(error)}): write cpu, or leave it out"
        ) from None


def _refuse_source(entry: Entry) -> None:
    if entry.source is not None:
        raise ModelUnavailable(f"the family {entry.family!r} takes no path, but MAXWELL_MODELS gives {entry.source!r}")


_FAMILIES: dict[str, Callable[[Entry, str | None], Model]] = {
    "embedded": _embedded,
    "toy": _toy,
    "stable_diffusion": _stable_diffusion,
}
