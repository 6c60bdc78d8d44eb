"""The judge `http` set up for a scorer, and asked about pictures. It knows no test."""

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import pytest

from contracts.errors import JudgeError
from contracts.judging import Verdict
from reward_adapters.http_scorer.judge import HttpJudge, judge
from reward_adapters.http_scorer.settings import PREFIX

from ..pictures import ask, sent
from .example import running
from .scorer import TOKEN, Scorer


def environment(url: str, **settings: str) -> dict[str, str]:
    """Its settings."""
    return {PREFIX + name.upper(): value for name, value in {"url": url, "token": TOKEN, **settings}.items()}


@contextmanager
def of_example(name: str) -> Iterator[dict[str, str]]:
    """The settings of `http` that ask the example, which runs while the block does; none for any other judge."""
    if name != "http":
        yield {}
        return
    with running() as port:
        yield environment(f"http://127.0.0.1:{port}/score")


@asynccontextmanager
async def built(scorer: Scorer, **settings: str) -> AsyncIterator[HttpJudge]:
    """The judge of these settings. Its connections end with the block."""
    made = judge(environment(scorer.url) | environment(**{"url": scorer.url, **settings}))
    try:
        yield made
    finally:
        await made.close()


async def verdict(scorer: Scorer, count: int = 4, asked: dict[str, Any] | None = None, **settings: str) -> Verdict:
    """What it says about so many pictures."""
    async with built(scorer, **settings) as made:
        return await made.score(ask(made.card, count, **(asked or {})), pictures(made, count))


async def failure(scorer: Scorer, asked: dict[str, Any] | None = None, **settings: str) -> JudgeError:
    """The error of an ask about four pictures. Neither token nor address is in it."""
    with pytest.raises(JudgeError) as raised:
        await verdict(scorer, 4, asked, **settings)
    error: JudgeError = raised.value
    assert TOKEN not in repr(error)
    assert scorer.url.split("/")[2] not in str(error)
    return error


def pictures(made: HttpJudge, count: int) -> Sequence[bytes]:
    """As its card wants them."""
    return sent(made.card, count)
