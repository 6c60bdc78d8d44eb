"""The judges that ask a model over a protocol, set up for the provider of the tests, and pictures of known redness. It knows no test."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from contracts.judging import Verdict
from reward_adapters import registry
from reward_adapters.base import Judge
from reward_adapters.vlm.judge import VlmJudge

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


@asynccontextmanager
async def built(name: str, settings: dict[str, str]) -> AsyncIterator[Judge]:
    """The judge as the worker builds it. Its connections end with the block."""
    judge = registry.build(name, settings)
    try:
        yield judge
    finally:
        if isinstance(judge, VlmJudge):
            await judge.close()


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
