"""The JSON between the judge `http` and a scorer, version 1: what is asked, and what counts as an answer. It knows no HTTP."""

import base64
import json
from collections.abc import Sequence
from typing import Annotated

from pydantic import BaseModel, ConfigDict, FailFast, Field, ValidationError

from contracts.errors import JudgeMalformed
from contracts.judging import JudgeAsk, JudgeKind, JudgeUsage, Tokens, Verdict

from ..base import decode, select
from ..bodies import MOST_TOKENS

VERSION = 1
MOST_BYTES = (
    2**17
)  # of an answer; 64 scores and a rationale take a few thousand, and a bad one is complained about item by item
RATIONALE_LENGTH = 600  # characters that are kept
HUGE = 1e30  # no score is further from 0: sums and squares of such ones still are numbers
_FOREIGN = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Counted(BaseModel):
    """Tokens of one call; `input` includes `image`."""

    model_config = _FOREIGN

    input: int = Field(0, ge=0, le=MOST_TOKENS)
    output: int = Field(0, ge=0, le=MOST_TOKENS)
    image: int = Field(0, ge=0, le=MOST_TOKENS)


class Spent(BaseModel):
    """What one call cost."""

    model_config = _FOREIGN

    usd: float | None = Field(None, ge=0, le=1e6)
    tokens: Counted = Counted()


class Answer(BaseModel):
    """What a scorer answers. Strict: a text is no number, and a field that is not here is a misspelt one."""

    model_config = _FOREIGN

    scores: Annotated[list[float | None], FailFast()]
    rationale: str | None = None
    usage: Spent = Spent()


def request(ask: JudgeAsk, pictures: Sequence[bytes], encoding: str) -> bytes:
    """The body of a request. Raises JudgeError for bytes that are no picture."""
    for picture in pictures:
        decode(picture, least=1)
    return json.dumps(
        {
            "version": VERSION,
            "id": str(ask.name),
            "kind": ask.kind,
            "prompt": ask.prompt,
            "scenario": ask.scenario,
            "sigma": ask.sigma,
            "encoding": encoding,
            "pictures": [base64.b64encode(picture).decode() for picture in pictures],
        }
    ).encode()


def verdict(body: bytes, count: int, kind: JudgeKind) -> Verdict:
    """The verdict in the body of an answer about `count` pictures. Raises JudgeMalformed, whose text goes on after 'its answer …'."""
    answer = _read(body)
    if len(answer.scores) != count:
        raise JudgeMalformed(f'has {len(answer.scores)} "scores" for {count} pictures: one each, in their order')
    if wild := [k for k, score in enumerate(answer.scores) if score is not None and abs(score) > HUGE]:
        raise JudgeMalformed(f'is wrong at "scores[{wild[0]}]": no score may be further from 0 than {HUGE:g}')
    counted = answer.usage.tokens
    usage = JudgeUsage(
        tokens=Tokens(input=counted.input, output=counted.output, image=counted.image), usd=answer.usage.usd
    )
    scores = tuple(answer.scores)
    known = tuple(score for score in scores if score is not None)
    said = {"rationale": _one_line(answer.rationale), "usage": usage}
    if kind == "scoring":
        return Verdict.model_validate({"scores": scores, **said})
    choice = iter(select(known) if known else ())
    chosen = tuple(None if score is None else next(choice) for score in scores)
    return Verdict.model_validate({"scores": chosen, "measured": known if len(known) == count else None, **said})


def _read(body: bytes) -> Answer:
    start = body.lstrip()[:1]
    if not start:
        raise JudgeMalformed("is empty")
    if start == b"<":
        raise JudgeMalformed("is a web page and no JSON")
    try:
        return Answer.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        raise JudgeMalformed("is no JSON")
    place = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in first["loc"])[1:]
    told = first["msg"][0].lower() + first["msg"][1:]
    raise JudgeMalformed(f'is wrong at "{_short(place)}": {told}' if place else f"is wrong: {told}")


def _short(place: str) -> str:
    """A place in the answer; the scorer chooses the names of fields that should not be there."""
    return "".join(one for one in place[:60] if one.isprintable())


def _one_line(text: str | None) -> str | None:
    """It goes into audits and onto pages."""
    if text is None:
        return None
    line = "".join(one for one in " ".join(text[: 10 * RATIONALE_LENGTH].split()) if one.isprintable())
    return (line if len(line) <= RATIONALE_LENGTH else line[: RATIONALE_LENGTH - 1] + "…") or None
