"""Promise: a text's states depend on that text alone, and a text that does not fit says so."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from embedded.text import FEW, KEPT, LENGTH, TextEncoder

PROMPTS = ["a red apple", "", "two birds on a yellow background, 3d style", "ein Fahrrad", "🚲 b1cycle?!"]


def test_the_empty_text_is_the_null_condition(encoder: TextEncoder) -> None:
    null = encoder([""])
    assert null.states.shape == (1, LENGTH, 384)
    assert null.mask.sum() == 2  # [CLS] and [SEP]
    assert null.truncated == (False,)
    assert torch.isfinite(null.states).all()
    assert not torch.allclose(null.states, encoder(["a red apple"]).states, atol=0.1)


@pytest.mark.parametrize(("words", "cut"), [(1, False), (LENGTH - 2, False), (LENGTH - 1, True), (300, True)])
def test_a_text_that_does_not_fit_is_flagged(encoder: TextEncoder, words: int, cut: bool) -> None:
    assert encoder(["cat " * words, "cat"]).truncated == (cut, False)


def test_what_is_cut_off_has_no_say(encoder: TextEncoder) -> None:
    kept = "cat " * (LENGTH - 2)
    torch.testing.assert_close(encoder([kept + "dog"]).states, encoder([kept + "tree house"]).states)


def test_states_do_not_depend_on_the_batch(encoder: TextEncoder) -> None:
    together = encoder(PROMPTS)
    for i, prompt in enumerate(PROMPTS):
        alone = encoder([prompt])
        torch.testing.assert_close(alone.states[0], together.states[i], rtol=0, atol=1e-4)
        assert torch.equal(alone.mask[0], together.mask[i])


def test_the_same_text_has_the_same_states_twice(encoder: TextEncoder) -> None:
    assert torch.equal(encoder(PROMPTS).states, encoder(PROMPTS).states)


def test_upper_case_and_spaces_do_not_count(encoder: TextEncoder) -> None:
    assert torch.equal(encoder(["  A Red   APPLE "]).states, encoder(["a red apple"]).states)


@settings(max_examples=25, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text_has_finite_states(encoder: TextEncoder, text: str) -> None:
    encoded = encoder([text])
    assert encoded.states.shape == (1, LENGTH, 384)
    assert encoded.states.dtype == torch.float32
    assert torch.isfinite(encoded.states).all()
    assert 2 <= int(encoded.mask.sum()) <= LENGTH


@pytest.mark.parametrize(
    ("near", "far"),
    [(("a kitten", "a cat"), "a truck"), (("an automobile", "a car"), "a banana"), (("joy", "a smile"), "a saw")],
)
def test_words_outside_the_captions_land_near_their_meaning(
    encoder: TextEncoder, near: tuple[str, str], far: str
) -> None:
    encoded = encoder([*near, far])
    m = encoded.mask[..., None].float()
    a, b, c = torch.nn.functional.normalize((encoded.states * m).sum(1) / m.sum(1), dim=-1)
    assert a @ b > a @ c + 0.1


def test_many_threads_may_ask_at_once(encoder: TextEncoder) -> None:
    """As the asks of several jobs do; the tokenizer's padding and truncation are set anew at each call."""
    calls = [[f"a red apple {n}", "cat " * n] for n in range(200)]
    expected = [encoder.tokenize(texts) for texts in calls]

    def tokenized_and_encoded(n: int) -> tuple[Tensor, Tensor, tuple[bool, ...]]:
        ids, mask = encoder.tokenize(calls[n])
        return ids, mask, encoder(calls[n]).truncated

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(tokenized_and_encoded, range(len(calls))))
    for n, ((ids, mask), (ids_then, mask_then, truncated)) in enumerate(zip(expected, found, strict=True)):
        assert torch.equal(ids, ids_then)
        assert torch.equal(mask, mask_then)
        assert truncated == (False, n > LENGTH - 2)


def test_what_was_encoded_lately_is_not_encoded_again(encoder: TextEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    encoded: list[int] = []
    encode = encoder.encode

    def counted(ids: Tensor, mask: Tensor) -> Tensor:
        encoded.append(len(ids))
        return encode(ids, mask)

    monkeypatch.setattr(encoder, "encode", counted)
    asks = [["a lighthouse", "you are a teacher"], ["a lighthouse"], ["you are a teacher", "a lighthouse"]]
    first = [encoder(texts) for texts in asks]
    assert encoded == [2, 1, 2]
    for _ in range(3):
        for texts, states in zip(asks, first, strict=True):
            assert encoder(texts) is states
    assert encoded == [2, 1, 2]
    for n in range(KEPT):
        encoder([f"a lighthouse {n}"])
    encoder(asks[0])
    assert encoded[-1] == 2, "only the latest are kept"
    many = ["a lighthouse"] * (FEW + 1)
    encoder(many)
    encoder(many)
    assert encoded[-2:] == [FEW + 1] * 2, "training's batches are not"


@pytest.mark.parametrize("first", [True, False])
def test_what_is_kept_does_not_depend_on_the_mode_it_was_first_asked_in(encoder: TextEncoder, first: bool) -> None:
    """A mask made in inference mode could not be part of a training step."""
    texts = [f"a boat, {first}"]
    with torch.inference_mode(first):
        encoder(texts)
    with torch.inference_mode(not first):
        kept = encoder(texts)
    assert not kept.mask.is_inference()
    weight = torch.ones(LENGTH, requires_grad=True)
    (gradient,) = torch.autograd.grad((kept.mask * weight).sum(), weight)
    assert torch.equal(gradient, kept.mask[0].float())


def test_gradients_are_not_kept(encoder: TextEncoder) -> None:
    assert not encoder(["a cat"]).states.requires_grad
