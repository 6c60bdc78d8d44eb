"""The frozen text encoder: all-MiniLM-L6-v2 cut to 7,687 words, int8. It knows words and states, no picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from . import WEIGHTS
from .quantization import load

LENGTH = 24  # tokens; what is longer is cut


@dataclass(frozen=True)
class TextStates:
    """Token states [n, 24, 384], mask [n, 24] (1 where a token is), and which of the texts were cut."""

    states: Tensor
    mask: Tensor
    truncated: tuple[bool, ...]


class TextEncoder:
    """Texts to token states. Cross-attention reads them without a mask, as Stable Diffusion's does."""

    def __init__(self, folder: Path = WEIGHTS, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        from transformers import BertConfig, BertModel, PreTrainedTokenizerFast  # noqa: PLC0415

        self._tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(str(folder / "tokenizer"))
        config = BertConfig.from_pretrained(str(folder / "text_encoder"))
        model: Any = BertModel(config, add_pooling_layer=False)
        model.load_state_dict(load(folder / "text_encoder"), strict=True)
        self._model = model.to(device, dtype).eval().requires_grad_(False)
        self._device = device

    def tokenize(self, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
        """Token ids and mask, [n, 24] each."""
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
        """Encode texts; the empty text is the null condition of classifier-free guidance."""
        ids, mask = self.tokenize(texts)
        lengths = [len(one) for one in self._tokenizer(list(texts), verbose=False)["input_ids"]]
        return TextStates(self.encode(ids, mask), mask.to(self._device), tuple(length > LENGTH for length in lengths))
