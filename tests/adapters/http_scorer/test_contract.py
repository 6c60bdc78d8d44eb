"""Whatever bytes a scorer answers, they are a verdict on these pictures or a sentence that says why not."""

import json
import math
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from contracts.errors import JudgeMalformed
from contracts.judging import Verdict
from reward_adapters.base import REWARD
from reward_adapters.http_scorer.contract import HUGE, Answer, verdict

NUMBERS = st.floats(-HUGE, HUGE) | st.integers(-(10**30), 10**30)
OPINIONS = st.lists(NUMBERS | st.none(), min_size=1, max_size=8)
WILD = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=9), inner, max_size=4),
    max_leaves=12,
)
KINDS = st.sampled_from(("scoring", "selecting"))


def one_or_the_other(body: bytes, count: int, kind: Any) -> Verdict | None:
    """The verdict, which is one; None where there is none, which is said in one printable line."""
    try:
        said, why = verdict(body, count, kind), ""
    except JudgeMalformed as error:
        said, why = None, str(error)
    if said is None:
        assert why.isprintable()
        assert why.startswith(("is ", "has "))
        return None
    assert len(said.scores) == count
    known = [score for score in said.scores if score is not None]
    assert all(math.isfinite(score) for score in known)
    assert kind == "scoring" or set(known) <= {REWARD, -REWARD}
    assert said.rationale is None or (said.rationale.isprintable() and 0 < len(said.rationale) <= 600)
    assert json.loads(said.model_dump_json())
    return said


@given(OPINIONS, st.none() | st.text(), KINDS)
def test_a_good_answer_is_a_verdict(scores: list[float | None], rationale: str | None, kind: Any) -> None:
    try:
        body = json.dumps({"scores": scores, "rationale": rationale}, ensure_ascii=False).encode()
    except UnicodeEncodeError:  # a lone surrogate is no text
        return
    said = one_or_the_other(body, len(scores), kind)
    assert said is not None
    if kind == "scoring":
        assert said.scores == tuple(None if score is None else float(score) for score in scores)


@given(st.binary(max_size=200), st.integers(1, 8), KINDS)
@example(b"\xef\xbb\xbf{}", 1, "scoring")
def test_any_bytes_are_a_verdict_or_a_sentence(body: bytes, count: int, kind: Any) -> None:
    one_or_the_other(body, count, kind)


@given(WILD, WILD, WILD, st.integers(1, 3), KINDS)
def test_any_json_is_a_verdict_or_a_sentence(scores: Any, rationale: Any, usage: Any, count: int, kind: Any) -> None:
    for said in (
        {"scores": scores, "rationale": rationale, "usage": usage},
        {"scores": [1.0] * count, "usage": usage},
        scores,
    ):
        one_or_the_other(json.dumps(said).encode(), count, kind)


@given(OPINIONS, st.integers(1, 8))
def test_a_wrong_number_of_scores_is_never_a_verdict(scores: list[float | None], count: int) -> None:
    said = one_or_the_other(json.dumps({"scores": scores}).encode(), count, "scoring")
    assert (said is not None) == (len(scores) == count)


@settings(max_examples=20)
@given(st.lists(NUMBERS, min_size=1, max_size=8), st.data())
@pytest.mark.parametrize("wrong", [math.nan, math.inf, -math.inf, "1", True, [], {}, HUGE * 1.001])
def test_one_wrong_score_spoils_all(wrong: Any, scores: list[Any], data: st.DataObject) -> None:
    scores[data.draw(st.integers(0, len(scores) - 1))] = wrong
    assert one_or_the_other(json.dumps({"scores": scores}).encode(), len(scores), "scoring") is None


def test_an_answer_that_is_wrong_all_over_is_complained_about_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """A complaint for each of a hundred thousand items kept the worker's other asks waiting for most of a second."""
    complaints: list[int] = []
    validate = Answer.model_validate_json

    def counted(body: bytes) -> Answer:
        try:
            return validate(body)
        except ValidationError as error:
            complaints.append(error.error_count())
            raise

    monkeypatch.setattr(Answer, "model_validate_json", counted)
    with pytest.raises(JudgeMalformed, match="scores"):
        verdict(json.dumps({"scores": ["a"] * 10_000}).encode(), 4, "scoring")
    assert complaints == [1]
