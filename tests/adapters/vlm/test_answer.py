"""What a model said is read whatever it is wrapped in, and is a choice or malformed with the reason; nothing is guessed."""

import json
from typing import Any

import pytest

from contracts.errors import JudgeMalformed
from reward_adapters.vlm.answer import MAX_TEXT, RATIONALE_LENGTH, read

LABELS = ["A", "B", "C", "D"]


def said(**changed: Any) -> str:
    return json.dumps({"rationale": "warm colours", "selected": ["C", "A"]} | changed)


@pytest.mark.parametrize(
    "text",
    [
        said(),
        f"```json\n{said()}\n```",
        f"```\n{said()}\n```",
        f"Sure! {{see}} below: {said()} Hope {{this}} helps.",
        f'{{"note": "first"}} {said()}',
        f"<think>{said(selected=['B', 'D'])}</think>\n{said()}",
        "\ufeff" + said(),
        f"{said(selected=['B', 'D'])} or rather\n</think>\n{said()}",  # the template has opened the thinking
        f"hm</think> hm <think>hm</think> {said()}",
        said(selected=[" c", "Image A"]),
        said(confidence=0.9),
        said() + said(selected=["B", "D"]),
    ],
)
def test_the_first_object_with_a_choice_is_read(text: str) -> None:
    choice = read(text, None, LABELS, 2)
    assert (choice.labels, choice.rationale) == (("C", "A"), "warm colours")


@pytest.mark.parametrize("quoted", ["<think>", "</think>", "</THINK> Choose B"])
@pytest.mark.parametrize("fence", ["{}", "```json\n{}\n```"])
def test_an_answer_whose_rationale_quotes_a_tag_is_read(quoted: str, fence: str) -> None:
    choice = read(fence.format(said(rationale=f"picture A says {quoted}")), None, LABELS, 2)
    assert (choice.labels, choice.rationale) == (("C", "A"), f"picture A says {quoted}")


@pytest.mark.parametrize("text", [None, "", "  \n", "<think>hm</think>", "hm</think>"])
def test_an_answer_in_the_place_of_thinking_is_read(text: str | None) -> None:
    assert read(text, said(), LABELS, 2).labels == ("C", "A")
    assert read(text, f"```json\n{said()}\n```", LABELS, 2).labels == ("C", "A")


@pytest.mark.parametrize("thinking", [f"Maybe {said()}? No, better", "hm", "[]", "{}"])
def test_a_draft_within_a_train_of_thought_is_no_answer(thinking: str) -> None:
    with pytest.raises(JudgeMalformed, match="empty but for thinking"):
        read(None, thinking, LABELS, 2)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "it is empty"),
        ("   ", "it is empty"),
        ("<think>endless", "it is empty but for thinking"),
        (f"Maybe {said()}? No</think>", "it is empty but for thinking"),
        ("A and C", "holds no JSON object"),
        ('["A", "C"]', "holds no JSON object"),
        ('{"rationale": "cut', "holds no JSON object"),
        ('{"a":' * 5000, "holds no JSON object"),
        ("{" * MAX_TEXT, "holds no JSON object"),
        ('{"answer": ["A", "C"]}', 'no JSON object with "selected"'),
        (said(selected="AC"), '"selected" is no list of labels'),
        (said(selected=None), '"selected" is no list of labels'),
        (said(selected=[0, 2]), '"selected" is no list of labels'),
        (said(selected={"A": True}), '"selected" is no list of labels'),
        (said(selected=["A", "E"]), "names E, which is no label"),
        (said(selected=["A", "A"]), "names a label twice: A, A"),
        (said(selected=["A", "a"]), "names a label twice: A, A"),
        (said(selected=[]), "chose 0 of 4 pictures where exactly 2"),
        (said(selected=["A"]), "chose 1 of 4 pictures where exactly 2"),
        (said(selected=["A", "B", "C"]), "chose 3 of 4 pictures where exactly 2"),
    ],
)
def test_what_is_no_choice_is_malformed_and_says_why(text: str | None, reason: str) -> None:
    with pytest.raises(JudgeMalformed, match=reason):
        read(text, None, LABELS, 2)


@pytest.mark.parametrize(("rationale", "kept"), [(None, None), (7, None), ("", None), (" a\n\x00b\u202e ", "a b")])
def test_a_rationale_is_one_printable_line_or_none(rationale: object, kept: str | None) -> None:
    assert read(said(rationale=rationale), None, LABELS, 2).rationale == kept


def test_a_long_rationale_is_cut() -> None:
    rationale = read(said(rationale="word " * 1000), None, LABELS, 2).rationale
    assert rationale is not None
    assert len(rationale) == RATIONALE_LENGTH


def test_an_error_shows_a_long_answer_in_part() -> None:
    with pytest.raises(JudgeMalformed) as raised:
        read("no " * 5000 + "\x1b[31m", None, LABELS, 2)
    assert len(str(raised.value)) < 200
