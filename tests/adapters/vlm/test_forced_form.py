"""The forced form: whatever a model would say, its answer is one, however its tokens cut the labels; and it keeps to its room."""

import json
import random

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reward_adapters.vlm.forced_form import Forcing, Vocabulary, form, rationale_room

END = 0
PRINTABLE = [chr(one) for one in range(32, 127)]


def vocabulary(*pieces: str) -> tuple[Vocabulary, list[str]]:
    """Of all printable characters and these pieces, the longest piece first; and what each token spells. Token 0 ends the turn."""
    spelled = ["", *PRINTABLE, *pieces]

    def encode(text: str) -> list[int]:
        tokens: list[int] = []
        while text:
            piece = max((one for one in spelled[1:] if text.startswith(one)), key=len)
            tokens.append(spelled.index(piece))
            text = text[len(piece) :]
        return tokens

    free = [k for k, piece in enumerate(spelled) if piece == '"' or (piece and not set(piece) & {'"', "\\"})]
    return Vocabulary(encode, torch.tensor(free), spelled.index('"'), END), spelled


CHARACTERS, PIECES = vocabulary(), vocabulary("TI", "BC", "DB", '{"', '": "', '["', '"]', '", "', ' "')
OPTIONS = [("A", "B", "C", "D"), ("T", "K", "TIE"), ("BC", "BD", "CB", "DB"), ("B", "BC", "BCD", "D")]


@pytest.mark.parametrize(("words", "spelled"), [CHARACTERS, PIECES], ids=["characters", "pieces"])
@given(st.data())
def test_whatever_a_model_would_say_its_answer_is_one(
    words: Vocabulary, spelled: list[str], data: st.DataObject
) -> None:
    options = data.draw(st.sampled_from(OPTIONS))
    count = data.draw(st.integers(1, len(options)))
    asked = form(words, options, count, rationale=8)
    said, allowed = [], next(asked)
    while END not in (choices := [int(one) for one in allowed]):
        assert choices, "something may always be said"
        said.append(data.draw(st.sampled_from(choices)))
        allowed = asked.send(said[-1])
    answer = json.loads("".join(spelled[token] for token in said))
    assert list(answer) == ["rationale", "selected"]
    assert len(set(answer["selected"])) == len(answer["selected"]) == count
    assert set(answer["selected"]) <= set(options)


@pytest.mark.parametrize(("words", "spelled"), [CHARACTERS, PIECES], ids=["characters", "pieces"])
@given(st.sampled_from(OPTIONS), st.integers(60, 120), st.randoms(use_true_random=False))
@settings(max_examples=40)
def test_an_answer_that_says_as_much_as_it_may_has_room(
    words: Vocabulary, spelled: list[str], options: tuple[str, ...], most: int, chance: random.Random
) -> None:
    count = chance.randint(1, len(options))
    asked = form(words, options, count, rationale_room(words, options, count, most))
    length, allowed = 0, next(asked)
    while END not in (choices := [int(one) for one in allowed]):
        allowed = asked.send(chance.choice([one for one in choices if one != words.quote] or choices))
        length += 1
    assert length + 1 <= most, "with the end of the turn"


def test_each_row_follows_its_own_form_and_one_without_a_form_is_free() -> None:
    """What is allowed keeps its score, whatever else was likelier."""
    words, spelled = CHARACTERS
    rows = Forcing([form(words, ("A", "B"), 1, 0), None, form(words, ("A", "B"), 1, 0)])
    scores = torch.arange(3.0 * len(spelled)).reshape(3, -1)
    ids, said = torch.zeros(3, 1, dtype=torch.long), ["", "", ""]
    while True:
        forced = rows(ids, scores)
        assert torch.equal(forced[1], scores[1])
        assert set(forced[0].tolist()) <= {*scores[0].tolist(), -torch.inf}
        ids = forced.argmax(dim=1, keepdim=True)
        if int(ids[0]) == END:
            break
        said = [text + spelled[int(token)] for text, token in zip(said, ids, strict=True)]
    assert said[0] == said[2] == '{"rationale": "", "selected": ["B"]}'
