"""The judges that ask a model over a protocol, set up for the provider of the tests, and pictures of known redness. It knows no test."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from contracts.judging import JudgeAsk, JudgeUsage, Verdict
from reward_adapters import registry
from reward_adapters.base import Judge
from workers.gates import closing

from ...conformance.provider import KEY, Provider
from ..pictures import ask, encoded, plain

PREFIXES = {
    "openai": "MAXWELL_JUDGE_OPENAI_",
    "local-vlm": "MAXWELL_JUDGE_LOCAL_VLM_",
    "gemini": "MAXWELL_JUDGE_GEMINI_",
}


def environment(provider: Provider, name: str = "openai", **settings: str) -> dict[str, str]:
    """The settings of this judge; nothing for any other judge."""
    if name not in PREFIXES:
        return {}
    url = provider.url.removesuffix("/v1") if name == "gemini" else provider.url
    usual = {"model": "truthful", "base_url": url} | ({} if name == "local-vlm" else {"api_key": KEY})
    return {PREFIXES[name] + key.upper(): value for key, value in (usual | settings).items()}


@dataclass
class Turnstile:
    """A `Gate` without limits that counts the calls it lets through, and those of them that were cancelled."""

    made: int = 0
    cancelled: int = 0

    @asynccontextmanager
    async def call(self, ask: JudgeAsk, expected: JudgeUsage) -> AsyncIterator["Turnstile"]:
        self.made += 1
        try:
            yield self
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    def used(self, usage: JudgeUsage) -> None:
        """Nobody asks."""

    def has_seen_all(self, received: int, usages: Iterable[JudgeUsage]) -> bool:
        """Whether each call was counted, and each reached the provider but for cancelled ones, which need not have come so far."""
        return self.made == sum(usage.calls for usage in usages) and 0 <= self.made - received <= self.cancelled


@asynccontextmanager
async def built(name: str, settings: dict[str, str]) -> AsyncIterator[Judge]:
    """The judge as the worker builds it. Its connections end with the block."""
    judge = registry.build(name, settings)
    async with closing([judge]):
        yield judge


async def verdict(
    provider: Provider,
    pictures: Sequence[bytes],
    name: str = "openai",
    asked: dict[str, object] | None = None,
    **settings: str,
) -> Verdict:
    """The verdict on these pictures of a judge with these settings, asked something."""
    async with built(name, environment(provider, name, **settings)) as judge:
        return await judge.score(ask(judge.card, len(pictures), **(asked or {})), pictures)


def reds(*levels: int) -> list[bytes]:
    """Plain pictures, the redder the higher the level (0 to 255)."""
    return [encoded(plain((level, 60, 90)), "jpeg") for level in levels]
