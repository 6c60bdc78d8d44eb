"""Judges by name, through the entry-point group `maxwell.judges`: ours and foreign ones take the same road. It knows no judge."""

from importlib.metadata import EntryPoint, entry_points

from contracts.errors import first_line
from contracts.judging import JudgeCard

from .base import Environment, Factory, Judge, JudgeSetupError

GROUP = "maxwell.judges"


def installed() -> dict[str, EntryPoint]:
    """The judges of all installed packages, by name; nothing of theirs is imported.

    Raises JudgeSetupError where two packages use one name: which of them a job would get must not be left to chance.
    """
    found: dict[str, EntryPoint] = {}
    for entry in sorted(entry_points(group=GROUP), key=lambda entry: entry.name):
        if entry.name in found:
            raise JudgeSetupError(
                f"two judges are called {entry.name!r}: one of the package {_package(found[entry.name])}, one of "
                f"{_package(entry)}. Uninstall one of the two packages."
            )
        found[entry.name] = entry
    return found


def build(name: str, environment: Environment) -> Judge:
    """The judge of this name, ready to score, built by its factory from the environment's settings.

    May take seconds: the factory imports what the judge needs and loads its weights. Raises JudgeSetupError, saying what to do,
    for an unknown name, a missing package, and a factory that fails or does not deliver what its entry point promises.
    """
    judges = installed()
    if name not in judges:
        raise JudgeSetupError(f"no judge is called {name!r}: there are {', '.join(judges) or 'none'}.")
    entry = judges[name]
    try:
        judge = _factory(name, entry)(environment)
    except ImportError as error:
        raise JudgeSetupError(
            f"the judge {name!r} cannot be loaded ({error}): install what the package {_package(entry)} needs for it "
            "(for Maxwell's own judges: pip install 'maxwell[worker]')."
        ) from error
    except JudgeSetupError:
        raise
    except Exception as error:  # foreign code: one judge's defect must not keep the worker from serving the others
        raise JudgeSetupError(
            f"the judge {name!r} cannot be built: its factory {entry.value!r} failed ({type(error).__name__}: {first_line(error)}). "
            f"Give it the settings it needs, or ask who made the package {_package(entry)}."
        ) from error
    card = getattr(judge, "card", None)
    if not isinstance(card, JudgeCard) or card.name != name:
        raise JudgeSetupError(
            f"the factory {entry.value!r} made no judge called {name!r}: a judge has a `card`, a JudgeCard with its entry point's name."
        )
    return judge


def _factory(name: str, entry: EntryPoint) -> Factory:
    try:
        factory: Factory = entry.load()
    except AttributeError as error:
        raise JudgeSetupError(
            f"the judge {name!r} cannot be loaded: its entry point {entry.value!r} names nothing that exists ({error})."
        ) from error
    return factory


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist else "(unknown)"
