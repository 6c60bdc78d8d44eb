"""Tiny tokenizers of the two kinds, as folders that `from_pretrained` reads, with vocabularies that can be worked out by hand."""

from pathlib import Path

MERGES = [("r", "e"), ("re", "d</w>"), ("a", "p"), ("ap", "p"), ("l", "e</w>"), ("app", "le</w>")]
LETTERS = 256  # a token for each byte, then one for each byte that ends a word, then the merges, then the two ends
START = 2 * LETTERS + len(MERGES)
END, CLIP_TOKENS = START + 1, START + 2
BERT_WORDS = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "a",
    "red",
    "app",
    "##le",
    "!",
    *(f"w{k}" for k in range(110)),
]


def letters() -> list[str]:
    """The 256 letters that stand for bytes, in the order of CLIP's vocabulary: printable ones first, for themselves."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(one) for one in shown] + [chr(256 + k) for k in range(LETTERS - len(shown))]


def clip_tokenizer(folder: Path) -> Path:
    """A CLIP tokenizer with six merges."""
    from transformers import CLIPTokenizer  # noqa: PLC0415 - takes seconds

    words = [*letters(), *(one + "</w>" for one in letters()), *("".join(pair) for pair in MERGES)]
    vocabulary = {word: place for place, word in enumerate([*words, "<|startoftext|>", "<|endoftext|>"])}
    CLIPTokenizer(vocab=vocabulary, merges=MERGES, model_max_length=77).save_pretrained(folder)
    return folder


def bert_tokenizer(folder: Path) -> Path:
    """A BERT tokenizer of a few words, as the one file that BERT came with."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(BERT_WORDS) + "\n", encoding="utf-8")
    return folder
