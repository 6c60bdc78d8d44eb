"""The frozen text encoder: all-MiniLM-L6-v2 cut to 7,687 words, int8. It knows words and states, no picture."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import WEIGHTS
from .quantization import fill

LENGTH = 24  # tokens; what is longer is cut
KEPT, FEW = 64, 4  # calls whose states are kept, where they are about so few texts: 150 kB each


@dataclass(frozen=True)
class TextStates:
    """Token states [n, 24, 384], mask [n, 24] (1 where a token is), and which of the texts were cut."""

    states: Tensor
    mask: Tensor
    truncated: tuple[bool, ...]


class TextEncoder:
    """Texts to token states. Cross-attention reads them without a mask, as Stable Diffusion's does.

    Any thread may use it. A job's judge is asked about the same texts at every step, so the states of the latest are kept.
    """

    def __init__(self, folder: Path = WEIGHTS, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        from transformers import BertConfig, BertModel, PreTrainedTokenizerFast  # noqa: PLC0415

        self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(str(folder / "tokenizer"))
        config = BertConfig.from_pretrained(str(folder / "text_encoder"))
        model: Any = BertModel(config, add_pooling_layer=False)
        fill(model, folder / "text_encoder")
        self._model = model.to(device, dtype).eval().requires_grad_(False)
        self._device = device
        self._tokenizing = threading.Lock()  # a call sets the tokenizer's padding and truncation first
        self._kept = lru_cache(maxsize=KEPT)(self._encoded)

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, [n, 24] each."""
        with self._tokenizing:
            tokens = self._tokenizer(
                list(texts), padding="max_length", truncation=True, max_length=LENGTH, return_tensors="pt"
            )
        return tokens["input_ids"], tokens["attention_mask"]

    @torch.inference_mode()
    def encode(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token states [n, 24, 384] float32."""
        states: Tensor = self._model(input_ids=ids.to(self._device), attention_mask=mask.to(self._device))[0]
        return states.float()

    def __call__(self, texts: Sequence[str]) -> TextStates:
        """Encode texts; the empty text is the null condition of classifier-free guidance. The tensors are shared: to be read only."""
        return self._kept(tuple(texts)) if len(texts) <= FEW else self._encoded(tuple(texts))

    @torch.inference_mode(False)  # what is kept must not depend on who asked first
    def _encoded(self, texts: tuple[str, ...]) -> TextStates:
        ids, mask = self.tokenize(texts)
        with self._tokenizing:
            lengths = [len(one) for one in self._tokenizer(list(texts), verbose=False)["input_ids"]]
        return TextStates(self.encode(ids, mask), mask.to(self._device), tuple(length > LENGTH for length in lengths))
