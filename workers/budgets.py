"""How many rows a forward may have: what the warm-up found best, scaled by picture size, less what proved too large.

It knows models and keys; it knows no ask and no thread.
"""

from collections.abc import Mapping

from .models.base import Model
from .plan import Key
from .warm_up import Speed

DECODE_SHARE = 4  # a decoded picture takes about the memory of so many network rows


class Budgets:
    """Calling it with a key gives the rows that a forward of that key may cost.

    `row_budget`: network rows a forward; by default what `speeds`, filled in by the warm-up, says of the model.
    """

    def __init__(self, models: Mapping[str, Model], row_budget: int | None) -> None:
        self.speeds: dict[str, Speed] = {}
        self._models, self._row_budget = models, row_budget
        self._fits: dict[Key, int] = {}  # rows that a forward may have at most since one was too large for the memory

    def __call__(self, key: Key) -> int:
        """A larger picture's row counts for as many of the default size as it has pixels."""
        model = self._models[key.model]
        rows = self._row_budget or self.speeds[key.model].rows
        usual = model.latent_shape(model.card.width, model.card.height)
        scaled = rows * (usual[-1] * usual[-2]) // (key.shape[-1] * key.shape[-2])
        least, most = (2, scaled) if key.kind == "denoise" else (1, scaled // DECODE_SHARE)
        return max(least, min(most, self._fits.get(key, most)))

    def halve(self, key: Key, rows: int) -> int:
        """So many rows did not fit into the memory: the rows that are tried at most until the worker is started anew."""
        self._fits[key] = rows // 2
        return self._fits[key]
