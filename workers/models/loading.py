"""What keeps a model from being loaded, in a sentence: files, foreign code, memory. It knows no family."""

from collections.abc import Iterator
from contextlib import contextmanager

from contracts.errors import ModelUnavailable, first_line

from ..device_errors import out_of_memory


@contextmanager
def loading(name: str, source: str, remedy: str) -> Iterator[None]:
    """Raise ModelUnavailable from whatever the block raises: the model, its source, the cause, and what to do.

    Readers of checkpoints raise what they like (SafetensorError, KeyError, AttributeError ...), and none of it is ours to mend.
    """
    try:
        yield
    except ModelUnavailable:
        raise
    except Exception as error:
        cause = first_line(error) if isinstance(error, OSError) else f"{type(error).__name__}: {first_line(error)}"
        if out_of_memory(error):
            remedy = (
                "it does not fit into the device's memory: free some, serve fewer models (MAXWELL_MODELS), "
                "or choose another device (MAXWELL_DEVICE)"
            )
        raise ModelUnavailable(f"the model {name!r} cannot be loaded from {source} ({cause}): {remedy}") from error
