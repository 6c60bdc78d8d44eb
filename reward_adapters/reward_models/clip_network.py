"""CLIP's two towers in `transformers`, and the score that several judges take from them. It knows no judge."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from .loading import Unfit
from .places import Place

if TYPE_CHECKING:
    from torch import Tensor

    from .judge import Measure

TOKENIZER_FILES = ("tokenizer.json", "vocab.json")


@dataclass(frozen=True)
class ClipNetwork:
    """Cosine of picture and prompt, times exp(logit_scale) where `scaled` (CLIP's `logits_per_image`)."""

    model: Any  # a CLIPModel
    tokenizer: Any
    scaled: bool
    pixels: "Callable[[Tensor, int], Tensor]"
    cleaned: Callable[[str], str]  # what its authors do with a text before they tokenize it

    def measure(self, prompt: str) -> "Measure":
        """Scores for the prompt, which is cut after 77 tokens, the two at its ends included."""
        words = self._words(prompt)
        scale = float(self.model.logit_scale.exp()) if self.scaled else 1.0
        side = self.model.config.vision_config.image_size

        def measure(pictures: "Tensor") -> "Tensor":
            return scale * (image_embeds(self.model, self.pixels(pictures, side)) @ words)

        return measure

    def _words(self, prompt: str) -> "Tensor":
        """The prompt's unit vector [width]. Attention is causal, so it does not depend on padding and needs none."""
        import torch  # noqa: PLC0415

        longest = self.model.config.text_config.max_position_embeddings
        ids = self.tokenizer(self.cleaned(prompt), truncation=True, max_length=longest)["input_ids"]
        pooled = self.model.text_model(input_ids=torch.tensor([ids], device=self.model.device)).pooler_output
        return unit(self.model.text_projection(pooled))[0]


def image_embeds(model: Any, pixels: "Tensor") -> "Tensor":
    """Unit vectors [n, width] of pixels [n, 3, side, side], of a CLIPModel or its vision tower with projection."""
    seen = model.vision_model(pixel_values=pixels.to(model.dtype))
    return unit(model.visual_projection(seen.pooler_output))


def unit(vectors: "Tensor") -> "Tensor":
    """Of length 1, in float32."""
    from torch.nn import functional  # noqa: PLC0415

    return functional.normalize(vectors.float(), dim=-1)


def clip_tokenizer(place: Place, vocabulary: int) -> Any:
    """The byte-pair tokenizer there. Raises Unfit where it is none of a network with so many tokens."""
    from transformers import CLIPTokenizer  # noqa: PLC0415

    tokenizer = CLIPTokenizer.from_pretrained(place.source, revision=place.revision)
    if len(tokenizer) != vocabulary:  # without files, for one, it loads all the same and knows two tokens
        raise Unfit(f"its tokenizer knows {len(tokenizer)} tokens and its network {vocabulary}")
    return tokenizer
