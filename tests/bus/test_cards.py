"""Workers' cards are there while the worker lives, and go with it."""

from bus import keys
from bus.cards import Cards, WorkerCard
from bus.connection import Client
from contracts.judging import JudgeCard
from contracts.models import ModelCard

from ..conftest import wait_until

MODEL = ModelCard(
    name="toy",
    family="toy",
    description="d",
    width=32,
    height=32,
    min_size=32,
    max_size=32,
    size_multiple=32,
    sigma_min=0.01,
    sigma_max=80.0,
    guidance=1.0,
)
JUDGE = JudgeCard(name="colorfulness", kind="scoring", description="d", objective="colour")


async def test_cards_are_there_while_they_are_published(redis: Client) -> None:
    cards = Cards(redis)
    assert (await cards.workers(), await cards.models(), await cards.judges()) == ([], {}, {})
    async with cards.published("gpu-1", models=[MODEL]), cards.published("judge-1", judges=[JUDGE]):
        assert await cards.models() == {"toy": MODEL}
        assert await cards.judges() == {"colorfulness": JUDGE}
        assert [worker.name for worker in await cards.workers()] == ["gpu-1", "judge-1"]
        assert 0 < await redis.ttl(keys.CARD % "gpu-1") <= 15
    assert await cards.workers() == []


async def test_a_model_stays_while_one_of_its_workers_lives(redis: Client) -> None:
    cards = Cards(redis)
    async with cards.published("gpu-1", models=[MODEL]):
        async with cards.published("gpu-2", models=[MODEL]):
            pass
        assert await cards.models() == {"toy": MODEL}


async def test_a_card_that_cannot_be_read_hides_no_other(redis: Client) -> None:
    """A newer version's worker, during an update."""
    cards = Cards(redis)
    async with cards.published("gpu-1", models=[MODEL]), cards.published("gpu-2", judges=[JUDGE]):
        await redis.set(keys.CARD % "gpu-2", '{"name": "gpu-2", "models": "elsewhere"}', ex=15)
        assert await cards.models() == {"toy": MODEL}
        assert [worker.name for worker in await cards.workers()] == ["gpu-1"]


async def test_a_worker_that_died_is_forgotten(redis: Client) -> None:
    cards = Cards(redis)
    await cards.publish(WorkerCard(name="dead", models=(MODEL,)))
    await redis.pexpire(keys.CARD % "dead", 1)

    async def gone() -> bool:
        return await cards.models() == {}

    await wait_until(gone, "the dead worker's card is gone")
    await cards.publish(WorkerCard(name="living", judges=(JUDGE,)))
    assert await redis.smembers(keys.WORKERS) == {b"living"}
