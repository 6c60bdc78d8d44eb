"""From what a model said to the pictures it chose. Tolerant of the wrapping, strict about the choice. It knows no provider."""

import json
import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from contracts.errors import JudgeMalformed

MAX_TEXT = 20_000  # characters that are looked at
MAX_BRACES = 50  # places where an object may begin that are tried
RATIONALE_LENGTH = 600
TIE = "TIE"  # the label of neither
_QUOTED = 80  # characters of a wrong answer that an error shows
_THOUGHT = re.compile(
    r"<think>.*?(?:</think>|$)"
    r"|^(?:(?!<think>).)*</think>",  # some chat templates open the thinking themselves, and the answer has its end alone
    re.DOTALL | re.IGNORECASE,
)


@dataclass(frozen=True)
class Choice:
    """The labels chosen, as many as asked for and no label twice, and why."""

    labels: tuple[str, ...]
    rationale: str | None


def read(text: str | None, thinking: str | None, labels: Sequence[str], count: int) -> Choice:
    """The choice in a model's answer; `thinking` is what it said apart from it. Raises JudgeMalformed, saying what was wrong."""
    said = _object(text, thinking)
    chosen = said["selected"]
    if not isinstance(chosen, list) or not all(isinstance(one, str) for one in chosen):
        raise JudgeMalformed('"selected" is no list of labels')
    chosen = [_label(one) for one in chosen]
    if unknown := [one for one in chosen if one not in labels]:
        raise JudgeMalformed(f"it names {_short(', '.join(unknown))}, which is no label")
    if len(set(chosen)) < len(chosen):
        raise JudgeMalformed(f"it names a label twice: {', '.join(chosen)}")
    if len(chosen) != count:
        pictures = len(set(labels) - {TIE})
        raise JudgeMalformed(f"it chose {len(chosen)} of {pictures} pictures where exactly {count} were asked for")
    return Choice(tuple(chosen), _rationale(said.get("rationale")))


def _object(text: str | None, thinking: str | None) -> dict[str, Any]:
    """The first JSON object with a choice in the answer; where all is thinking, only if that is nothing but such an object."""
    said = (text or "")[:MAX_TEXT]
    if (whole := _whole(said)) is not None:
        return whole  # also where its rationale tells of <think>
    spoken = _THOUGHT.sub(" ", said).strip()
    if not spoken:
        return _object_of_thinking((thinking or text or "")[:MAX_TEXT].strip())
    for found in _objects(spoken):
        if "selected" in found:
            return found
    raise JudgeMalformed(f'it holds no JSON object with "selected": {_short(spoken)}')


def _object_of_thinking(thinking: str) -> dict[str, Any]:
    """Some servers put the answer itself there. A draft within a train of thought is no answer."""
    if not thinking:
        raise JudgeMalformed("it is empty")
    if (whole := _whole(thinking)) is None:
        raise JudgeMalformed("it is empty but for thinking: switch the model's thinking off, or let it write more")
    return whole


def _whole(text: str) -> dict[str, Any] | None:
    """The object with a choice that the text is, and nothing but it, fenced or not."""
    bare = text.strip().removeprefix("```json").removeprefix("```").removesuffix("```")
    try:
        found = json.loads(bare)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and "selected" in found else None


def _objects(text: str) -> Iterator[dict[str, Any]]:
    decoder = json.JSONDecoder()
    place = -1
    for _ in range(MAX_BRACES):
        place = text.find("{", place + 1)
        if place < 0:
            return
        try:
            found, _end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            continue
        yield found


def _label(said: str) -> str:
    """`Image c` and ` C ` are C."""
    return said.strip().upper().removeprefix("IMAGE").strip()


def _rationale(said: object) -> str | None:
    if not isinstance(said, str):
        return None
    return _short(said, RATIONALE_LENGTH) or None


def _short(text: str, length: int = _QUOTED) -> str:
    """One printable line of it: it goes into logs, audits and pages."""
    printable = "".join(" " if unicodedata.category(one)[0] in "CZ" else one for one in text[: 4 * length])
    line = " ".join(printable.split())
    return line if len(line) <= length else line[: length - 1] + "…"
