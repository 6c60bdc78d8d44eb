"""The judge workers' cache: what was said is found again until its time is over, by every worker, and nothing else is."""

from datetime import timedelta

import pytest
from structlog.testing import capture_logs

from bus import keys
from bus.connection import Client, connect
from bus.verdicts import CachedVerdict, Verdicts
from contracts.errors import BusUnavailable
from contracts.judging import JudgeUsage, Tokens, Verdict

from ..conftest import wait_until

LIFE = timedelta(minutes=10)
SAID = CachedVerdict(
    pictures=("a", "b", "c"),
    verdict=Verdict(
        scores=(5.0, None, -5.0),
        measured=(0.3, 0.2, 0.1),
        rationale="the first one: 🍎",
        usage=JudgeUsage(calls=2, tokens=Tokens(input=7), usd=0.5),
    ),
)


async def test_what_one_worker_keeps_another_one_finds_and_nothing_else_is_found(redis: Client, redis_url: str) -> None:
    await Verdicts(redis, LIFE).keep("seen", SAID)
    async with connect(redis_url) as other:
        assert await Verdicts(other, LIFE).find("seen") == SAID
        assert await Verdicts(other, LIFE).find("unseen") is None


async def test_the_last_one_counts_and_finding_does_not_prolong_it(redis: Client) -> None:
    verdicts = Verdicts(redis, LIFE)
    await verdicts.keep("seen", SAID)
    left = await redis.pttl(keys.CACHED_VERDICT % "seen")
    assert 0 < left <= LIFE.total_seconds() * 1000
    await redis.pexpire(keys.CACHED_VERDICT % "seen", 60_000)
    assert await verdicts.find("seen") == SAID
    assert await redis.pttl(keys.CACHED_VERDICT % "seen") <= 60_000
    other = SAID.model_copy(update={"pictures": ("d", "e", "f")})
    await verdicts.keep("seen", other)
    assert await verdicts.find("seen") == other


async def test_it_is_forgotten_when_its_time_is_over(redis: Client) -> None:
    verdicts = Verdicts(redis, timedelta(milliseconds=30))
    await verdicts.keep("seen", SAID)

    async def forgotten() -> bool:
        return await verdicts.find("seen") is None

    await wait_until(forgotten, "the verdict is forgotten")
    assert await redis.exists(keys.CACHED_VERDICT % "seen") == 0


@pytest.mark.parametrize(
    "entry",
    [b"", b"\xff\x00", b"{}", b'"text"', b'{"pictures": ["a"], "verdict": {"scores": ["high"]}}', b"[" * 10_000],
)
async def test_an_entry_that_cannot_be_read_is_none_and_logged(redis: Client, entry: bytes) -> None:
    await redis.set(keys.CACHED_VERDICT % "seen", entry, px=LIFE)
    with capture_logs() as logs:
        assert await Verdicts(redis, LIFE).find("seen") is None
    assert [line["log_level"] for line in logs] == ["warning"]
    await Verdicts(redis, LIFE).keep("seen", SAID)
    assert await Verdicts(redis, LIFE).find("seen") == SAID


async def test_an_entry_of_another_type_is_none_and_is_written_over(redis: Client) -> None:
    await redis.rpush(keys.CACHED_VERDICT % "seen", "x")
    assert await Verdicts(redis, LIFE).find("seen") is None
    await Verdicts(redis, LIFE).keep("seen", SAID)
    assert await Verdicts(redis, LIFE).find("seen") == SAID


async def test_without_redis_it_says_so() -> None:
    async with connect("redis://127.0.0.1:1/0", patience=timedelta(0)) as away:
        with pytest.raises(BusUnavailable):
            await Verdicts(away, LIFE).find("seen")
        with pytest.raises(BusUnavailable):
            await Verdicts(away, LIFE).keep("seen", SAID)
