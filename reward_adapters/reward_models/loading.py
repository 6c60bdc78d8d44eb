"""Weights from files, and the typed sentences for those that cannot serve. It knows no network by name."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import structlog

from contracts.errors import JudgeMisconfigured, first_line

from ..memory import is_out_of_memory

if TYPE_CHECKING:
    from torch import Tensor

    StateDict = dict[str, Tensor]

log = structlog.get_logger()


class Unfit(ValueError):
    """Weights of another network. What it says is for users: it names no folder and no address."""


@contextmanager
def misconfigured(judge: str, setting: str) -> Iterator[None]:
    """Whatever says inside that weights cannot be loaded becomes JudgeMisconfigured; a device without room stays what it is."""
    from safetensors import SafetensorError  # noqa: PLC0415

    unloadable = (OSError, ValueError, KeyError, RuntimeError, ImportError, pickle.UnpicklingError, SafetensorError)
    try:
        yield
    except (*unloadable, EOFError) as error:
        if is_out_of_memory(error):
            raise
        # Users see the sentence, and what a library says names folders and addresses.
        log.warning("the weights of a judge cannot be loaded", judge=judge, reason=first_line(error))
        why = str(error) if isinstance(error, Unfit) else f"{type(error).__name__}, the worker's log says why"
        raise JudgeMisconfigured(
            f"the judge {judge!r} is misconfigured: its weights cannot be loaded ({why}): check {setting} and what belongs to it"
        ) from error


def state_dict(path: Path) -> "StateDict":
    """The tensors in a `.safetensors` file, or in one that torch saved, `state_dict` unwrapped. No code in it is run.

    Raises Unfit where it holds anything else.
    """
    import torch  # noqa: PLC0415
    from safetensors.torch import load_file  # noqa: PLC0415

    if path.suffix == ".safetensors":
        return load_file(path)
    held: Any = torch.load(path, map_location="cpu", weights_only=True)
    held = held.get("state_dict", held) if isinstance(held, Mapping) else held
    if not isinstance(held, Mapping) or not all(isinstance(one, torch.Tensor) for one in held.values()):
        raise Unfit("the file holds no state dict")
    return dict(held)


def without_prefix(weights: "StateDict", key: str) -> "StateDict":
    """The weights by the names that they have where `key` is one of them: `module.` and such in front of all is taken off.

    Raises Unfit where no name ends in the key: then this is another architecture.
    """
    found = next((name for name in weights if name == key or name.endswith("." + key)), None)
    if found is None:
        raise Unfit(f"there is no {key} in it, so it is of another architecture")
    prefix = found.removesuffix(key)
    return {name.removeprefix(prefix): one for name, one in weights.items() if name.startswith(prefix)}


def pretrained(kind: Any, source: str | None, *, strict: bool = False, **told: Any) -> Any:
    """`kind.from_pretrained`, which would draw missing weights at random; here they are an error, and so are those of another size.

    Strict: so is what is left over. Raises Unfit for these, and what `from_pretrained` raises.
    """
    with _without_its_report():
        model, report = kind.from_pretrained(source, output_loading_info=True, ignore_mismatched_sizes=True, **told)
    wrong = {
        "is of another size in": {str(one[0]) for one in report["mismatched_keys"]},
        "is missing in": report["missing_keys"],
        "does not belong in": report["unexpected_keys"] if strict else (),
    }
    for what, names in wrong.items():
        if names:
            others = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            raise Unfit(f"{min(names)}{others} {what} the checkpoint of a {kind.__name__}")
    return model.eval()


@contextmanager
def _without_its_report() -> Iterator[None]:
    """The library prints a line for each weight that it misses or leaves; we say what matters of that in a sentence."""
    from transformers.utils import logging  # noqa: PLC0415

    usual = logging.get_verbosity()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(usual)


def affine(weights: "StateDict") -> tuple["Tensor", "Tensor"]:
    """A chain of linear layers with nothing between them, as the one affine map that it is: w [width] and b [].

    `weights` are `<place>.weight` [out, in] and `<place>.bias` [out], the last one with one output. Multiplied in float64.
    Raises Unfit where they are no such chain.
    """
    import torch  # noqa: PLC0415

    places = sorted({int(name.split(".")[0]) for name in weights if name.split(".")[0].isdecimal()})
    if not places or weights[f"{places[-1]}.weight"].shape[0] != 1:
        raise Unfit("it is no chain of linear layers that ends in one number")
    first = weights[f"{places[0]}.weight"].double()
    w, b = torch.eye(first.shape[1], dtype=torch.float64), torch.zeros(first.shape[1], dtype=torch.float64)
    for place in places:
        layer = weights[f"{place}.weight"].double()
        if layer.ndim != 2 or layer.shape[1] != w.shape[0]:
            raise Unfit(f"its layer {place} is {tuple(layer.shape)}, which does not fit the one before it")
        w, b = layer @ w, layer @ b + weights[f"{place}.bias"].double()
    return w[0], b[0]
