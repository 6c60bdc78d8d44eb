"""How the command line fails: one sentence on standard error and a non-zero exit code. It knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import NoReturn

import httpx
import typer
from pydantic import ValidationError

from contracts.errors import MaxwellError


class Failure(MaxwellError):
    """Something the user can act on, found by the command line itself or said by the service."""

    exit_code = 1


class Unavailable(Failure):
    """The service says that it may work later."""


class Interrupted(Failure):
    """The user asked for the end."""

    exit_code = 130  # as shells report Ctrl-C


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say it and leave."""
    typer.echo(f"maxwell: {sentence}", err=True)
    raise typer.Exit(code)


@contextmanager
def sentences(needs: str = "cli") -> Iterator[None]:
    """Errors that we foresee leave as one sentence; a traceback means a bug of ours.

    `needs`: the extra whose packages the block imports.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or find_spec(error.name.partition(".")[0]) is not None:
            raise  # a part of a package that is there
        fail(f"the package {error.name} is not installed: pip install 'maxwell[{needs}]'.")
    except MaxwellError as error:
        fail(str(error), error.exit_code if isinstance(error, Failure) else 1)
    except httpx.ConnectError as error:
        here = error.request.url.copy_with(path="/", query=None)
        fail(f"no service answers at {here}: start one with `maxwell up`, or give --url.")
    except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
        fail(f"--url is no address ({error}): write http://host:port.", code=2)
    except httpx.HTTPError as error:
        fail(f"the service did not answer as expected: {type(error).__name__}: {error}")
    except ValidationError as error:  # of our settings: what the service says is checked where it is read
        first = error.errors()[0]
        name = "_".join(str(part) for part in first["loc"]).upper()
        fail(f"the setting MAXWELL_{name} is wrong: {first['msg']} (it is {first['input']!r}).", code=2)
