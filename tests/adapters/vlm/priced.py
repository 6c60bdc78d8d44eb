"""Judges with a price: built on the provider of the tests, or on a model that only mutters. It knows no test."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from contracts.errors import JudgeError
from contracts.judging import Allowance, JudgeCard, JudgeUsage
from contracts.limits import JudgeLimits
from reward_adapters.vlm.building import vlm_judge
from reward_adapters.vlm.conversation import Conversation, Reply
from reward_adapters.vlm.judge import VlmJudge
from reward_adapters.vlm.openai import OpenAIChat
from reward_adapters.vlm.pricing import PRICES, Price
from reward_adapters.vlm.settings import VlmSettings

from ...conformance.provider import Provider
from ..pictures import ask
from .asking import built, environment, reds

TWO_AND_EIGHT = Price(input=2.0, output=8.0)
ASKED = 0.0024  # dollars for the 1000 tokens in and 50 out that the provider always tells: 1000 x 2 and 50 x 8, a millionth of it


def priced(model: str = "truthful", price: Price = TWO_AND_EIGHT) -> dict[str, str]:
    """The setting that gives this model its price."""
    return {PRICES: json.dumps({model: price.model_dump()})}


class Muttering:
    """Never says anything of use."""

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        await asyncio.sleep(0)
        return Reply("hm")

    async def close(self) -> None:
        """There is nothing to close."""


def card(price: Price | None = TWO_AND_EIGHT, fineness: str | None = None, **settings: Any) -> JudgeCard:
    """The card of a judge with these settings."""
    prices = {"m": price} if price else {}
    chosen = VlmSettings.model_validate({"model": "m", "prices": prices} | settings)
    return vlm_judge("j", "A test's.", chosen, Muttering(), JudgeLimits(account="a"), fineness=fineness).card


@asynccontextmanager
async def asked_of(provider: Provider) -> AsyncIterator["Asker"]:
    """One judge with a price, built once, for questions to several models."""
    async with built("openai", environment(provider) | priced()) as judge:
        assert isinstance(judge, VlmJudge)
        yield Asker(judge)


@dataclass
class Asker:
    """Asks about four pictures."""

    judge: VlmJudge
    seconds: float = 60

    @property
    def estimate(self) -> JudgeUsage:
        """What the card says of such an ask."""
        return self.judge.card.cost(4).model_copy(update={"seconds": 0.0})

    def of(self, model: str) -> VlmJudge:
        """The judge, asking another model at the same price."""
        chat = self.judge.chat
        assert isinstance(chat, OpenAIChat)
        return replace(self.judge, chat=replace(chat, settings=chat.settings.model_copy(update={"model": model})))

    async def usage(self, model: str, **limits: float) -> JudgeUsage:
        """What it cost, whatever came of it."""
        deadline = datetime.now(UTC) + timedelta(seconds=self.seconds)
        asked = ask(self.judge.card, 4, deadline=deadline, allowance=Allowance.model_validate(limits))
        try:
            return (await self.of(model).score(asked, reds(10, 200, 30, 150))).usage
        except JudgeError as error:
            return error.usage
