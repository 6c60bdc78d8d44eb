"""Scenes with their token ids, drawn by worker processes for the training device. It knows no network."""

import os
from collections.abc import Iterator

import torch
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset, get_worker_info

from embedded import WEIGHTS
from embedded.text import LENGTH

from .drawing import to_arrays
from .pack import Pack
from .scenes import Scenes

Batch = dict[str, Tensor]


class SceneStream(IterableDataset[Batch]):
    """Endless batches: things, backdrop (see drawing.py), ids and mask [n, 24]."""

    def __init__(self, pack: Pack, batch: int, seed: int) -> None:
        self._pack, self._batch, self._seed = pack, batch, seed

    def __iter__(self) -> Iterator[Batch]:
        from transformers import PreTrainedTokenizerFast  # noqa: PLC0415

        os.environ["TOKENIZERS_PARALLELISM"] = "false"
        torch.set_num_threads(1)
        worker = get_worker_info()
        scenes = Scenes(self._pack, self._seed * 1000 + (worker.id if worker else 0))
        tokenizer = PreTrainedTokenizerFast.from_pretrained(str(WEIGHTS / "tokenizer"))
        while True:
            drawn = [scenes.draw() for _ in range(self._batch)]
            tokens = tokenizer(
                [scene.caption for scene in drawn],
                padding="max_length",
                truncation=True,
                max_length=LENGTH,
                return_tensors="pt",
            )
            yield to_arrays(drawn) | {"ids": tokens["input_ids"], "mask": tokens["attention_mask"]}


def batches(pack: Pack, batch: int, workers: int, seed: int) -> Iterator[Batch]:
    """An endless iterator over batches made by `workers` processes (0: here)."""
    loader = DataLoader(
        SceneStream(pack, batch, seed), batch_size=None, num_workers=workers, prefetch_factor=4 if workers else None
    )
    return iter(loader)
