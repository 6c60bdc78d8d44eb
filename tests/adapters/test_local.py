"""The local judges measure what they say: the network's cosines, the prompt's cosine and, with its small share, the scenario's points."""

import asyncio

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw, ImageFilter

from contracts.errors import JudgeError
from contracts.scenarios import SCENARIOS
from embedded.scorer import Scorer
from reward_adapters import registry
from reward_adapters.base import Judge, select
from reward_adapters.local import SCENARIO_SHARE

from .pictures import ask, encoded, plain

SIZE = 128
TEACHER = SCENARIOS["teacher"].text


@pytest.fixture(scope="module")
def scoring() -> Judge:
    return registry.build("local-score", {})


@pytest.fixture(scope="module")
def selecting() -> Judge:
    return registry.build("local", {})


def apple() -> Image.Image:
    """A red apple, drawn by hand."""
    image = plain("white", (SIZE, SIZE))
    draw = ImageDraw.Draw(image)
    draw.ellipse((24, 36, 104, 118), fill=(220, 40, 40))
    draw.line((64, 40, 68, 20), fill=(110, 70, 30), width=5)
    draw.ellipse((68, 14, 94, 30), fill=(70, 170, 60))
    return image


def face() -> Image.Image:
    """A smiling face, drawn by hand."""
    image = plain("white", (SIZE, SIZE))
    draw = ImageDraw.Draw(image)
    draw.ellipse((14, 14, 114, 114), fill=(255, 204, 60))
    draw.ellipse((40, 44, 52, 62), fill=(90, 60, 20))
    draw.ellipse((76, 44, 88, 62), fill=(90, 60, 20))
    draw.arc((38, 50, 90, 94), 20, 160, fill=(90, 60, 20), width=5)
    return image


def car(background: str = "white") -> Image.Image:
    """A blue car, drawn by hand."""
    image = plain(background, (SIZE, SIZE))
    draw = ImageDraw.Draw(image)
    draw.polygon([(34, 60), (48, 36), (84, 36), (98, 60)], fill=(30, 80, 220))
    draw.rounded_rectangle((8, 58, 120, 90), 8, fill=(30, 80, 220))
    draw.ellipse((22, 76, 50, 104), fill=(30, 30, 30))
    draw.ellipse((78, 76, 106, 104), fill=(30, 30, 30))
    return image


DRAWN = {"a red apple": apple(), "a smiling face": face(), "a blue car": car()}
FINISHED = [encoded(image) for image in DRAWN.values()]
PREVIEWS = [encoded(image.filter(ImageFilter.GaussianBlur(5))) for image in DRAWN.values()]


@pytest.mark.parametrize("pictures", [FINISHED, PREVIEWS], ids=["finished", "blurred previews"])
@pytest.mark.parametrize("scenario", ["", TEACHER])
async def test_what_shows_the_prompt_is_preferred(scoring: Judge, pictures: list[bytes], scenario: str) -> None:
    for place, prompt in enumerate(DRAWN):
        scores = (await scoring.score(ask(scoring.card, 3, prompt=prompt, scenario=scenario), pictures)).scores
        assert max(range(3), key=lambda k: scores[k] or 0.0) == place, prompt


async def test_scores_are_cosines_with_the_prompt_plus_a_share_of_the_points_for_the_scenario(scoring: Judge) -> None:
    pixels = np.stack([np.asarray(image, dtype=np.float32) / 255 for image in DRAWN.values()])
    pictures = torch.from_numpy(pixels).permute(0, 3, 1, 2)
    shown, suits = Scorer().judge(pictures, "a red apple", TEACHER)
    assert torch.allclose(shown, Scorer().score(pictures, ["a red apple"])[:, 0], atol=1e-5)
    plainly = (await scoring.score(ask(scoring.card, 3), FINISHED)).scores
    assert plainly == pytest.approx(shown.tolist(), abs=1e-5)
    seen_by_a_teacher = (await scoring.score(ask(scoring.card, 3, scenario=TEACHER), FINISHED)).scores
    assert seen_by_a_teacher == pytest.approx((shown + SCENARIO_SHARE * suits).tolist(), abs=1e-5)


@pytest.mark.parametrize(
    ("scenario", "preferred"), [("teacher", "white"), ("researcher", "white"), ("journalist", "red"), ("artist", "red")]
)
async def test_the_scenario_decides_between_pictures_that_show_the_prompt_alike(
    scoring: Judge, scenario: str, preferred: str
) -> None:
    """The rubric (training/rubric.json): teachers and researchers want white paper, journalists and artists anything but."""
    pictures = [encoded(car(background)) for background in ("white", "red")]
    plainly = (await scoring.score(ask(scoring.card, 2, prompt="a blue car"), pictures)).scores
    question = {"prompt": "a blue car", "scenario": SCENARIOS[scenario].text}
    asked = (await scoring.score(ask(scoring.card, 2, **question), pictures)).scores
    pull = [(by_scenario or 0.0) - (by_prompt or 0.0) for by_scenario, by_prompt in zip(asked, plainly, strict=True)]
    assert (pull[0] > pull[1]) == (preferred == "white")


async def test_local_selects_by_the_scores_of_local_score(selecting: Judge, scoring: Judge) -> None:
    question = {"prompt": "a smiling face", "scenario": TEACHER}
    scores = (await scoring.score(ask(scoring.card, 3, **question), FINISHED)).scores
    verdict = await selecting.score(ask(selecting.card, 3, **question), FINISHED)
    assert verdict.measured == pytest.approx(scores, abs=1e-5)
    assert verdict.scores == select(verdict.measured or ())


async def test_the_event_loop_lives_while_the_network_looks(scoring: Judge) -> None:
    judging = asyncio.create_task(scoring.score(ask(scoring.card, 3), FINISHED))
    turns = 0
    while not judging.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert turns > 2


async def test_pictures_of_different_sizes_are_no_candidates_of_one_job(scoring: Judge) -> None:
    pictures = [encoded(plain("red", (32, 32))), encoded(plain("red", (64, 32)))]
    with pytest.raises(JudgeError, match="differ in size"):
        await scoring.score(ask(scoring.card, 2), pictures)
