"""Settings of judges, read from the environment that their factories get. It knows how they are named and checked, and no judge."""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from contracts.errors import first_line

from .base import Environment, JudgeNotConfigured, JudgeSetupError

DEVICE = "MAXWELL_JUDGE_DEVICE"  # of all judges with networks of their own; cpu (the default), cuda, cuda:1 ...

Settings = TypeVar("Settings", bound=BaseModel)


def read_settings(
    kind: type[Settings],
    judge: str,
    prefix: str,
    environment: Environment,
    usual: Mapping[str, str],
    fixes: Mapping[str, str],
) -> Settings:
    """The settings under the prefix, `usual` where they are not set; `fixes` says of each missing one what to do.

    A field that is excluded from dumps is no setting of its own. Raises JudgeNotConfigured where none is set at all, and JudgeSetupError
    where one is missing or wrong; no error shows a value.
    """
    given = {
        name: value
        for name, field in kind.model_fields.items()
        if not field.exclude and (value := environment.get(prefix + name.upper(), "").strip())
    }
    values = {**usual, **given}
    for name, fix in fixes.items():
        if name not in values:
            wrong = JudgeSetupError if given else JudgeNotConfigured
            raise wrong(f"the judge {judge!r} is not configured: {fix}.")
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
        name = f"{prefix}{str(first['loc'][0]).upper()}"
        raise JudgeSetupError(f"the judge {judge!r} is misconfigured: {name}: {first['msg']}.") from None


def device_of_all(environment: Environment) -> str:
    """Where judges with networks of their own run, unless they are told otherwise."""
    return environment.get(DEVICE, "").strip() or "cpu"


def check_device(judge: str, device: str, setting: str) -> None:
    """Raises JudgeSetupError, naming the setting, where torch has no such device here."""
    import torch  # noqa: PLC0415 - takes seconds, and only for who has set the judge up

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # torch without CUDA asserts that it had some
        raise JudgeSetupError(
            f"the judge {judge!r} is misconfigured: there is no device {device!r} here ({first_line(error)}): set {setting}."
        ) from error
