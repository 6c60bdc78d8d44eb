"""From settings and a way to talk with a model to the judge and its card. It knows no provider and reads no environment."""

from contracts.judging import JudgeCard

from .conversation import Chat
from .judge import VlmJudge
from .settings import VlmSettings
from .showing import PICTURE_SIZE

SECONDS_PER_ASK = 3.0
MOST_PICTURES = 64  # that a job may propose at a step


def vlm_judge(name: str, description: str, settings: VlmSettings, chat: Chat) -> VlmJudge:
    """The judge of this name that asks the model behind `chat` as the settings say."""
    card = JudgeCard(
        name=name,
        kind="selecting",
        description=description,
        objective="suits the scenario and shows the prompt, as the model sees it",
        picture_size=PICTURE_SIZE,
        max_pictures=settings.max_images if settings.mode == "separate" else MOST_PICTURES,
        seconds_per_ask=SECONDS_PER_ASK,
    )
    return VlmJudge(card, chat, settings.mode, settings.selected, settings.max_images)
