"""The judge worker's limits through the real SDK against the provider: shared by workers, counted right, and told apart by account."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from bus.connection import Client
from bus.limits import Limits
from contracts.errors import JudgeUnavailable
from contracts.judging import NO_CALL, JudgeFailure, Verdict
from contracts.limits import JudgeLimits
from reward_adapters import registry
from reward_adapters.vlm.judge import VlmJudge
from workers.gates import behind_limits, closing
from workers.judging import Bench

from ..adapters.pictures import ask
from ..adapters.vlm.asking import environment, reds
from ..conformance.provider import Provider, running

PICTURES = reds(200, 50)


@pytest.fixture(scope="module")
def provider() -> Iterator[Provider]:
    with running() as one:
        yield one


def built(provider: Provider, **settings: str) -> VlmJudge:
    return cast(VlmJudge, registry.build("openai", environment(provider, **settings)))


@asynccontextmanager
async def benches(redis: Client, provider: Provider, count: int = 1, **settings: str) -> AsyncIterator[list[Bench]]:
    """As many judge workers as asked for, put together as in workers.judge_worker."""
    async with AsyncExitStack() as stack:
        made = []
        for _ in range(count):
            judges = {"openai": built(provider, **settings)}
            await stack.enter_async_context(closing(judges.values()))
            made.append(Bench(behind_limits(judges, await stack.enter_async_context(Limits(redis)))))
        yield made


async def answer(bench: Bench, seconds: float = 30.0) -> Verdict | JudgeFailure:
    card = bench._judges["openai"].card
    deadline = datetime.now(UTC) + timedelta(seconds=seconds)
    return await bench.answer(ask(card, len(PICTURES), deadline=deadline), PICTURES)


async def test_a_rate_is_shared_by_workers_and_what_was_not_asked_is_not_counted(
    redis: Client, provider: Provider
) -> None:
    provider.reset()
    async with benches(redis, provider, 2, requests_per_minute="1") as (one, other):
        first, second = await answer(one), await answer(other)
    assert isinstance(first, Verdict)
    assert isinstance(second, JudgeFailure)
    assert (second.code, second.usage.calls, second.usage.tokens) == ("judge_rate_limited", 0, NO_CALL.tokens)
    assert len(provider.received) == 1


async def test_a_provider_that_fails_is_left_alone_by_all_workers(redis: Client, provider: Provider) -> None:
    """Four failures open it: three attempts of one ask and one of the other, whose next attempt would come too late after 5 s."""
    provider.reset()
    async with benches(redis, provider, 2, model="500", breaker_failures="4") as (one, other):
        answers = [await answer(one, 5.0), await answer(other, 5.0), await answer(one, 5.0)]
    failures = [each for each in answers if isinstance(each, JudgeFailure)]
    assert [failure.code for failure in failures] == ["judge_unavailable"] * 3
    assert [failure.usage.calls for failure in failures] == [3, 1, 0]
    assert "left alone" in failures[2].detail
    assert len(provider.received) == 4


async def test_an_ask_that_has_the_time_comes_back_when_the_breakers_pause_is_over(
    redis: Client, provider: Provider
) -> None:
    provider.reset()
    judge = built(provider, breaker_failures="1")
    assert judge.limits is not None
    async with closing([judge]), Limits(redis, pause=timedelta(milliseconds=300)) as limits:
        with pytest.raises(JudgeUnavailable, match="503"):
            async with limits.gate(judge.limits).call(ask(judge.card, 2), NO_CALL):
                raise JudgeUnavailable("503")
        verdict = await answer(Bench(behind_limits({"openai": judge}, limits)))
    assert isinstance(verdict, Verdict)
    assert verdict.usage.calls == len(provider.received) == 1


async def test_tokens_are_set_right_by_what_the_provider_says(redis: Client, provider: Provider) -> None:
    """The provider says 1050 tokens a call; after it a minute of 1000 has none left for another, whatever was expected."""
    provider.reset()
    async with benches(redis, provider, tokens_per_minute="1000") as (bench,):
        first, second = await answer(bench), await answer(bench)
    assert isinstance(first, Verdict)
    assert isinstance(second, JudgeFailure)
    assert second.code == "judge_rate_limited"


def test_an_account_is_an_address_a_key_and_a_model_and_shows_none_of_them(provider: Provider) -> None:
    usual = built(provider).limits
    assert isinstance(usual, JudgeLimits)
    same = built(provider, base_url=provider.url + "/", requests_per_minute="7").limits
    others = [
        built(provider, **changed).limits
        for changed in ({"model": "first"}, {"api_key": "sk-another"}, {"base_url": "http://127.0.0.1:9/v1"})
    ]
    assert same is not None
    assert same.account == usual.account
    assert len({usual.account, *(other.account for other in others if other)}) == 4
    assert same.requests_per_minute == 7
    assert not set(usual.account) - set("0123456789abcdef")


async def test_judges_are_closed_when_the_worker_ends(provider: Provider) -> None:
    judge = built(provider)
    plain = registry.build("colorfulness", {})
    async with closing([judge, plain]):
        pass
    question = ask(judge.card, len(PICTURES))
    with pytest.raises(RuntimeError, match="closed"):
        await judge.score(question, PICTURES)


def test_judges_without_a_provider_stand_behind_no_gate_and_take_few_asks_at_once(
    redis: Client, provider: Provider
) -> None:
    judges = {"colorfulness": registry.build("colorfulness", {}), "openai": built(provider)}
    gated = behind_limits(judges, Limits(redis))
    assert gated["colorfulness"] is judges["colorfulness"]
    assert gated["openai"] is not judges["openai"]
    assert judges["colorfulness"].card.asks_at_once is None
    assert judges["openai"].card.asks_at_once == 256
