"""An answer that can only be one: a model is let say a rationale of its own, then labels among those left; everything else is given.

For models that generate in this process. It knows the answer's form and tokens; no architecture and nothing of pictures.
"""

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from torch import Tensor

RATIONALE_TOKENS = 120  # about the 60 words asked for; then the rationale is closed
Allowed: TypeAlias = "Sequence[int] | Tensor"
Form: TypeAlias = Generator[Allowed, int, None]  # yields the tokens allowed next, is sent the one chosen


@dataclass(frozen=True)
class Vocabulary:
    """What a tokenizer's tokens spell. `free`: ids [n] that may stand in a JSON text as they are, and the quotation mark that ends it."""

    encode: Callable[[str], list[int]]
    free: "Tensor"
    quote: int
    end: int  # of a turn

    @classmethod
    def of(cls, tokenizer: Any, size: int) -> "Vocabulary":
        """Of a transformers tokenizer whose model has `size` outputs. Reads every token once."""
        import torch  # noqa: PLC0415

        def encode(text: str) -> list[int]:
            return list(tokenizer.encode(text, add_special_tokens=False))

        special = set(tokenizer.all_special_ids) | set(tokenizer.get_added_vocab().values())
        ids = [one for one in range(min(size, len(tokenizer))) if one not in special]
        texts = tokenizer.batch_decode([[one] for one in ids])
        quote = encode('"')[-1]
        free = sorted({quote, *(one for one, text in zip(ids, texts, strict=True) if _plain(text))})
        return cls(encode, torch.tensor(free), quote, tokenizer.eos_token_id)


def _plain(text: str) -> bool:
    """Whole printable characters without a quotation mark or a backslash, so nothing that ends or breaks a JSON text."""
    return bool(text) and text.isprintable() and not set(text) & {'"', "\\", "\ufffd", "<", ">"}


def rationale_room(words: Vocabulary, options: Sequence[str], count: int, most: int) -> int:
    """How many of `most` tokens an answer leaves to its rationale; where that is below 0, there is no room for the answer itself."""
    given = ('{"rationale": "', '"', ', "selected": ["', *[', "'] * (count - 1), "]}")
    labels = sorted(len(words.encode(option)) + 1 for option in options)[-count:]
    return min(RATIONALE_TOKENS, most - sum(len(words.encode(one)) for one in given) - sum(labels) - 1)


def form(words: Vocabulary, options: Sequence[str], count: int, rationale: int) -> Form:
    """{"rationale": "…", "selected": [`count` different options]}; the rationale has at most so many tokens."""
    yield from _given(words.encode('{"rationale": "'))
    for _ in range(rationale):
        if (yield words.free) == words.quote:
            break
    else:
        yield (words.quote,)
    yield from _given(words.encode(', "selected": ["'))
    left = {option: [*words.encode(option), words.quote] for option in options}
    for place in range(count):
        chosen = yield from _one_of(left)
        del left[chosen]
        yield from _given(words.encode(', "' if place < count - 1 else "]}"))
    while True:
        yield (words.end,)


def _given(tokens: Sequence[int]) -> Form:
    for token in tokens:
        yield (token,)


def _one_of(spelled: dict[str, list[int]]) -> Generator[Allowed, int, str]:
    """Token by token to one of the texts; each ends with the same quotation mark, so none is the beginning of another."""
    said: list[int] = []
    open_ = spelled
    while True:
        place = len(said)
        said.append((yield sorted({tokens[place] for tokens in open_.values()})))
        open_ = {text: tokens for text, tokens in open_.items() if tokens[: place + 1] == said}
        for text, tokens in open_.items():
            if tokens == said:
                return text


class Forcing:
    """A transformers logits processor: row k of the batch follows form k, a row without one is free."""

    def __init__(self, forms: Sequence[Form | None]) -> None:
        self._forms = forms
        self._begun = False

    def __call__(self, input_ids: "Tensor", scores: "Tensor") -> "Tensor":
        """Scores [rows, vocabulary] with minus infinity for what the forms of the rows do not allow; ids are [rows, tokens]."""
        forced = scores.clone()
        for row, one in enumerate(self._forms):
            if one is not None:
                allowed = one.send(int(input_ids[row, -1])) if self._begun else next(one)
                forced[row] = -float("inf")
                forced[row, allowed] = scores[row, allowed]
        self._begun = True
        return forced
