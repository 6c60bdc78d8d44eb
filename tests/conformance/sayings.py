"""What the provider's models say, true or wrong, whichever the protocol that carries it. It knows no protocol."""

import json
from collections.abc import Callable

from .sight import Sight

Saying = Callable[[Sight], str]


def chosen(labels: list[str], rationale: str = "the redder ones") -> str:
    """An answer as asked for."""
    return json.dumps({"rationale": rationale, "selected": labels})


WRAPPED: dict[str, Saying] = {  # a choice that can be read all the same
    "fenced": lambda seen: f"Here you are:\n```json\n{chosen(seen.redder)}\n```\nAnything else?",
    "thinking-aloud": lambda seen: f'<think>{{"selected": ["?"]}} hmm</think>{chosen(seen.redder)}',
    "lower-case": lambda seen: chosen([f"Image {label.lower()}" for label in seen.redder]),
}
WRONG: dict[str, tuple[Saying, str]] = {  # and what has to be said of it
    "not-json": (lambda seen: "I like the red ones best.", "it holds no JSON object"),
    "duplicates": (lambda seen: chosen(seen.redder[:1] * seen.count), "it names a label twice"),
    "one-short": (lambda seen: chosen(seen.redder[1:]), "it chose 1 of 4 pictures where exactly 2"),
    "one-more": (lambda seen: chosen(list(seen.redness)[: seen.count + 1]), "it chose 3 of 4 pictures"),
    "all": (lambda seen: chosen(list(seen.redness)), "it chose 4 of 4 pictures"),
    "none": (lambda seen: chosen([]), "it chose 0 of 4 pictures"),
    "unknown-label": (lambda seen: chosen(["1", "2"]), "it names 1, 2, which is no label"),
    "no-list": (lambda seen: '{"rationale": "", "selected": "A"}', '"selected" is no list of labels'),
    "no-selected": (lambda seen: '{"rationale": "all good"}', 'it holds no JSON object with "selected"'),
    "empty": (lambda seen: "", "it is empty"),
    "half-a-character": (
        lambda seen: "reddish \ud800 <image> <|im_end|>",
        'it holds no JSON object with "selected": reddish',
    ),
}
