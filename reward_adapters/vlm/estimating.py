"""What one call to a model usually takes, in tokens. It knows texts, sizes and models by name; no provider's protocol.

One estimate serves the judge's card, so what POST answers and the jobs' caps, and replies that tell no tokens of theirs.
"""

import math
import re
from collections.abc import Callable
from datetime import UTC, datetime

from contracts.judging import AskName, CallCost, JudgeAsk

from .pricing import Rates
from .prompt import SYSTEM, opening, pair_task, task
from .settings import VlmSettings
from .showing import GAP, MARGIN, PICTURE_SIZE, SHEET_SIZE

Rule = Callable[[int, int, str | None], int]  # width and height in pixels, fineness: tokens
CHARACTERS_PER_TOKEN = 4  # of English text, as providers say
# What texts are taken to be long: an ask as users mostly send it, with as many pictures as a job proposes by default.
PICTURES, COLUMNS = 16, 4
ASK = JudgeAsk(
    name=AskName(job="gen_" + 32 * "0", step=1), kind="candidates", judge="", prompt=60 * "x", scenario=150 * "x", pictures=PICTURES,
    sigma=1.0, seed=0, deadline=datetime(2026, 1, 1, tzinfo=UTC),
)  # fmt: skip


def usual_call(settings: VlmSettings, rates: Rates, fineness: str | None) -> CallCost:
    """The estimate of one call with these settings. `fineness` is the provider's detail or media resolution, if set."""
    labels = [chr(ord("A") + k) for k in range(2 if settings.mode == "pairwise" else PICTURES)]
    captions = (f"Image {label}:" for label in labels)
    asked = pair_task(labels) if settings.mode == "pairwise" else task(labels, settings.selected or PICTURES // 2)
    texts = (SYSTEM, opening(ASK), *captions, asked)
    text = math.ceil(sum(len(one) for one in texts) / CHARACTERS_PER_TOKEN)
    told = settings.tokens_per_picture
    if settings.mode == "grid":
        width, height = SHEET_SIZE + COLUMNS * (MARGIN + 2 * GAP), SHEET_SIZE + COLUMNS * 2 * GAP
        sheet = picture_tokens(settings.model, width, height, fineness) if told is None else told
        return rates.call(text, settings.answer_tokens, sheet=sheet)
    picture = picture_tokens(settings.model, PICTURE_SIZE, PICTURE_SIZE, fineness) if told is None else told
    return rates.call(text, settings.answer_tokens, picture=picture)


def picture_tokens(model: str, width: int, height: int, fineness: str | None) -> int:
    """Our estimate for one picture of this size in pixels. Smaller ones may cost less: a job's pictures are not known here."""
    name = model.lower()
    return next(tokens for family, tokens in FAMILIES if re.search(family, name))(width, height, fineness)


def _patches(side: int, weight: float) -> Rule:
    """So many tokens for each square of `side` px, 1536 squares at most."""
    return lambda width, height, _: math.ceil(
        weight * min(1536, math.ceil(width / side) * math.ceil(height / side)))  # fmt: skip


def _tiles(base: int, tile: int) -> Rule:
    """`base` tokens for a glance (detail low); for a look so many more for each 512 px tile, the shorter side 768 px at most."""

    def tokens(width: int, height: int, detail: str | None) -> int:
        scale = min(1.0, 2048 / max(width, height), 768 / min(width, height))
        tiles = math.ceil(width * scale / 512) * math.ceil(height * scale / 512)
        return base if detail == "low" else base + tile * tiles

    return tokens


def _by_resolution(low: int, medium: int, high: int) -> Rule:
    """The same for every size; not said, it is high."""

    def tokens(width: int, height: int, resolution: str | None) -> int:
        said = (resolution or "high").lower()
        return low if said.endswith("low") else medium if said.endswith("medium") else high

    return tokens


# The first that matches. Figures of OpenAI's and Google's guides; 1.2 is what users of newer models measured. None was billed to us yet.
FAMILIES: tuple[tuple[str, Rule], ...] = (
    (r"gpt-4o-mini", _tiles(2833, 5667)),
    (r"gpt-4o|gpt-4\.1(?!-mini|-nano)", _tiles(85, 170)),
    (r"gemini-[12]", _by_resolution(64, 256, 256)),
    (r"gemini", _by_resolution(280, 560, 1120)),
    (r"qwen", _patches(28, 1.0)),
    (r"", _patches(32, 1.2)),
)
