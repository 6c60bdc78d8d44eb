"""Promise: the judge's network tells colours and things apart, and a picture's features depend on that picture alone."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from contracts.scenarios import SCENARIOS
from embedded.scorer import Scorer

COLOURS = {
    "red": (0.84, 0.19, 0.19),
    "green": (0.27, 0.67, 0.31),
    "blue": (0.20, 0.39, 0.84),
    "yellow": (0.99, 0.84, 0.27),
    "black": (0.07, 0.07, 0.08),
    "white": (0.98, 0.98, 0.98),
}


def plain(colour: str, size: int = 128) -> Tensor:
    """One flat picture [3, size, size] in 0..1."""
    return torch.tensor(COLOURS[colour])[:, None, None].expand(3, size, size)


def heart(colour: str, size: int = 128, background: str = "black") -> Tensor:
    """A heart in one colour on another: where (x² + y² - 1)³ < x²·y³."""
    axis = torch.linspace(-1.4, 1.4, size)
    x, y = axis[None, :], -axis[:, None] + 0.1
    inside = ((x**2 + y**2 - 1) ** 3 - x**2 * y**3 < 0)[None]
    return torch.where(inside, plain(colour, size), plain(background, size))


def noise(seed: int, n: int, size: int = 128) -> Tensor:
    return torch.rand(n, 3, size, size, generator=torch.Generator().manual_seed(seed))


def test_a_plain_picture_fits_its_own_colour_best(scorer: Scorer) -> None:
    names = list(COLOURS)
    scores = scorer.score(torch.stack([plain(name) for name in names]), [f"on a {name} background" for name in names])
    assert scores.shape == (len(names), len(names))
    assert scores.argmax(1).tolist() == list(range(len(names)))
    assert scores.argmax(0).tolist() == list(range(len(names)))


def test_a_red_heart_fits_its_words_better_than_others(scorer: Scorer) -> None:
    texts = [
        "a red heart on black",
        "a blue heart on black",
        "a red heart on yellow",
        "a green frog under water",
        "a bicycle",
    ]
    scores = scorer.score(heart("red")[None], texts)[0]
    assert scores.argmax() == 0
    assert scores[1:3].min() > scores[3:].max()  # half right is better than all wrong


def test_features_are_unit_vectors_and_scores_cosines(scorer: Scorer) -> None:
    pictures = torch.cat([noise(1, 4), heart("red")[None]])
    features = scorer.features(pictures)
    assert features.shape == (5, 128)
    torch.testing.assert_close(features.norm(dim=1), torch.ones(5))
    assert scorer.score(pictures, ["a cat", ""]).abs().max() <= 1 + 1e-5


def test_alike_pictures_have_like_features(scorer: Scorer) -> None:
    """The same thing on another background looks more alike than another thing on the same background."""
    a, same_thing, same_background = scorer.features(
        torch.stack([heart("red"), heart("red", background="blue"), plain("black")])
    )
    assert a @ same_thing > a @ same_background


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), n=st.integers(2, 5))
def test_a_picture_scores_the_same_in_any_company(scorer: Scorer, seed: int, n: int) -> None:
    pictures, texts = noise(seed, n), ["a red apple", "a dog"]
    together, features = scorer.score(pictures, texts), scorer.features(pictures)
    for i in range(n):
        alone = pictures[i : i + 1]
        torch.testing.assert_close(scorer.score(alone, texts)[0], together[i], rtol=0, atol=1e-4)
        torch.testing.assert_close(scorer.features(alone)[0], features[i], rtol=0, atol=1e-4)


def test_a_scenario_has_its_say_beside_the_prompt(scorer: Scorer) -> None:
    """By the rubric a teacher wants white paper and a journalist bold colours; of a caption it says nothing."""
    pictures = torch.stack([heart("red", background="white"), heart("red", background="yellow")])
    teacher, journalist, neither = (
        scorer.judge(pictures, "a red heart", text)[1]
        for text in (SCENARIOS["teacher"].text, SCENARIOS["journalist"].text, "a red heart and a dog")
    )
    assert teacher[0] > teacher[1] + 1
    assert journalist[1] > journalist[0] + 1
    assert neither.abs().max() < 1


def test_a_text_scores_the_same_in_any_company(scorer: Scorer) -> None:
    picture, texts = (
        heart("red")[None],
        ["a red heart", "a dog", "a very long caption of a house in the snow, flat style"],
    )
    together = scorer.score(picture, texts)
    alone = torch.cat([scorer.score(picture, [text]) for text in texts], 1)
    torch.testing.assert_close(alone, together, rtol=0, atol=1e-4)


@pytest.mark.parametrize("size", [96, 192, 256, 512])
def test_the_size_of_a_picture_has_little_say(scorer: Scorer, size: int) -> None:
    texts = ["a red heart on black", "a red heart", "a car"]
    here, there = scorer.score(heart("red", size)[None], texts), scorer.score(heart("red")[None], texts)
    torch.testing.assert_close(here, there, rtol=0, atol=0.05)
    assert (
        functional.cosine_similarity(scorer.features(heart("red", size)[None]), scorer.features(heart("red")[None]))
        > 0.95
    )


def test_a_picture_need_not_be_square(scorer: Scorer) -> None:
    wide = functional.interpolate(heart("red")[None], size=(128, 256))
    assert scorer.score(wide, ["a red heart on black", "a bicycle"])[0].argmax() == 0
