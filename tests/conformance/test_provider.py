"""The tests' provider itself: its limits let through what they say and no more, and requests wait beside each other, not in a line."""

import asyncio
import math
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from ..conftest import wait_until
from .limits import Bucket, Limits
from .provider import KEY, Provider, running

ROOT = Path(__file__).parents[2]
TEXT = "The wish\nChoose exactly 1 of these 2 pictures\n"


@pytest.fixture(scope="module")
def provider_of_all() -> Iterator[Provider]:
    with running() as provider:
        yield provider


@pytest.fixture
def provider(provider_of_all: Provider) -> Provider:
    provider_of_all.reset()
    return provider_of_all


def test_a_bucket_refills_at_its_rate_up_to_its_burst() -> None:
    now = [0.0]
    bucket = Bucket(per_minute=120, burst=2.0, clock=lambda: now[0])  # 4 at once, then 2 a second
    assert (bucket.most, bucket.wait(4), bucket.wait(5)) == (4, 0, math.inf)
    bucket.room -= 4
    assert bucket.wait(1) == 0.5
    now[0] = 0.75
    assert (bucket.wait(1), bucket.wait(2)) == (0, 0.25)
    now[0] = 60.0
    assert (bucket.wait(4), bucket.room) == (0, 4)


def test_what_is_refused_uses_nothing_up_and_the_first_limit_reached_is_named() -> None:
    now = [0.0]
    limits = Limits(requests_per_minute=60, tokens_per_minute=6000, at_once=2, burst=3.0, clock=lambda: now[0])
    assert limits.admit(100, 0) is None
    for tokens, under_way, of in ((100, 2, "concurrency"), (250, 1, "tokens"), (301, 0, "tokens")):
        refusal = limits.admit(tokens, under_way)
        assert refusal is not None
        assert refusal.of == of
    assert limits.admit(100, 0) is None
    assert limits.admit(100, 0) is None
    refusal = limits.admit(0, 0)
    assert refusal is not None
    assert (refusal.of, refusal.limit, refusal.seconds) == ("requests", 60, 1.0)
    now[0] = 1.0
    assert limits.admit(100, 0) is None


async def posted(provider: Provider, times: int, model: str = "not-json") -> list[httpx.Response]:
    """The answers to so many requests at once."""
    content = [{"type": "text", "text": TEXT}]
    body = {"model": model, "messages": [{"role": "system", "content": ""}, {"role": "user", "content": content * 2}]}
    headers = {"Authorization": f"Bearer {KEY}"}
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(limits=limits, trust_env=False) as client:
        sent = (client.post(f"{provider.url}/chat/completions", json=body, headers=headers) for _ in range(times))
        return await asyncio.gather(*sent)


async def test_every_answer_takes_its_latency_or_what_its_model_says(provider: Provider) -> None:
    provider.latency = 0.2
    began = time.monotonic()
    assert [answer.status_code for answer in await posted(provider, 2)] == [200, 200]
    assert time.monotonic() - began >= 0.2


async def test_a_limit_refuses_with_the_headers_that_clients_read(provider: Provider) -> None:
    provider.limits = Limits(requests_per_minute=4, tokens_per_minute=1_000_000)
    answers = await posted(provider, 6)
    refused = [answer for answer in answers if answer.status_code == 429]
    assert (len(refused), provider.refused, len(provider.passed)) == (2, 2, 4)
    assert {answer.headers["x-ratelimit-limit-requests"] for answer in answers} == {"4"}
    assert {answer.headers["x-ratelimit-limit-tokens"] for answer in answers} == {"1000000"}
    for answer in refused:
        assert 0 < int(answer.headers["retry-after"]) <= 15
        assert answer.headers["x-ratelimit-remaining-requests"] == "0"
        assert answer.json()["error"]["code"] == "rate_limit_exceeded"


async def test_no_more_are_under_way_than_may_be(provider: Provider) -> None:
    provider.latency, provider.limits = 0.3, Limits(at_once=3)
    answers = await posted(provider, 12)
    assert provider.most_under_way <= 3
    assert sum(answer.status_code == 429 for answer in answers) == provider.refused > 0


async def test_requests_wait_beside_each_other_and_are_forgotten_when_their_clients_hang_up(provider: Provider) -> None:
    task = asyncio.create_task(posted(provider, 100, "slow"))
    await wait_until(lambda: provider.under_way == 100, "all requests are under way")
    task.cancel()
    await wait_until(lambda: provider.under_way == 0, "none is")
    assert (provider.most_under_way, len(provider.passed), task.cancelled()) == (100, 100, True)


def test_it_runs_in_a_process_of_its_own() -> None:
    command = [sys.executable, "-m", "tests.conformance", "--requests-per-minute", "5"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        url = process.stdout.readline().strip()
        counts = httpx.get(url.removesuffix("/v1") + "/counts", trust_env=False).json()
        process.stdin.close()
        assert process.wait(20) == 0
    assert counts == {"passed": 0, "refused": 0, "under_way": 0, "most_under_way": 0}
