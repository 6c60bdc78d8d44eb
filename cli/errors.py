"""How the command line fails: one sentence on standard error and a non-zero exit code. It knows no command."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import httpx
import typer
from pydantic import ValidationError

from contracts.errors import MaxwellError


class Failure(MaxwellError):
    """Something the user can act on, found by the command line itself."""


def fail(sentence: str, code: int = 1) -> NoReturn:
    """Say it and leave."""
    typer.echo(f"maxwell: {sentence}", err=True)
    raise typer.Exit(code)


@contextmanager
def sentences() -> Iterator[None]:
    """Errors that we foresee leave as one sentence; a traceback means a bug of ours."""
    try:
        yield
    except MaxwellError as error:
        fail(str(error))
    except httpx.ConnectError as error:
        fail(
            f"no service answers at {error.request.url.copy_with(path='/')}: start one with `maxwell up`, or give --url."
        )
    except httpx.HTTPError as error:
        fail(f"the service did not answer as expected: {type(error).__name__}: {error}")
    except ValidationError as error:
        first = error.errors()[0]
        fail(f"the setting {'.'.join(str(part) for part in first['loc'])} is wrong: {first['msg']}", code=2)
