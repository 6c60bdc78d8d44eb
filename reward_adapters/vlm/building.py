"""From settings and a way to talk with a model to the judge and its card. It knows no provider and reads no environment."""

import hashlib

from contracts.judging import JudgeCard
from contracts.limits import JudgeLimits

from .conversation import Chat
from .estimating import usual_call
from .judge import VlmJudge
from .pricing import Rates, price_of
from .prompt import SYSTEM, pair_task, task
from .settings import VlmSettings
from .showing import PICTURE_SIZE

ASKS_AT_ONCE = 256  # of one worker: they wait on the network
MOST_PICTURES = 64  # that a job may propose at a step


def vlm_judge(
    name: str,
    description: str,
    settings: VlmSettings,
    chat: Chat,
    limits: JudgeLimits,
    *,
    address: str | None = None,
    fineness: str | None = None,
) -> VlmJudge:
    """The judge of this name that asks the model behind `chat` as the settings say.

    `address` is the provider's, for its prices; `fineness` how finely it is told to look, for the tokens of a picture.
    """
    rates = Rates(name, price_of(settings.model, settings.prices, address))
    card = JudgeCard(
        name=name,
        kind="selecting",
        description=description,
        objective="suits the scenario and shows the prompt, as the model sees it",
        picture_size=PICTURE_SIZE,
        max_pictures=settings.max_images if settings.mode == "separate" else MOST_PICTURES,
        comparable=False,
        seconds_per_ask=settings.seconds_per_ask,
        asks_at_once=ASKS_AT_ONCE,
        call=usual_call(settings, rates, fineness),
        votes=settings.votes,
        rounds=settings.rounds if settings.mode == "pairwise" else None,
    )
    return VlmJudge(
        card,
        chat,
        settings.mode,
        settings.selected,
        settings.max_images,
        limits=limits,
        rates=rates,
        fingerprint=_fingerprint(settings),
    )


def _fingerprint(settings: VlmSettings) -> str:
    """Of all that is set and of our rules; what is secret is masked by its type and so no part of it."""
    rules = (SYSTEM, task(("A", "B"), 1), pair_task(("A", "B")))
    return hashlib.sha256("\n".join((settings.model_dump_json(), *rules)).encode()).hexdigest()
