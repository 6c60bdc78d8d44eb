"""What workers offer: cards of models and judges that vanish with the worker that published them. It knows no model and no judge."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any

import structlog
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.asyncio import Redis

from contracts.errors import BusUnavailable
from contracts.judging import JudgeCard
from contracts.models import ModelCard

from . import keys
from .lua import script

REFRESH_EVERY = timedelta(seconds=5)
WITHDRAW_SECONDS = 1.0  # a worker that stops does not wait for a Redis that is away

log = structlog.get_logger()


class WorkerCard(BaseModel):
    """A live worker: a GPU worker offers models, a judge worker judges; one process may offer both."""

    model_config = ConfigDict(frozen=True)

    name: str
    models: tuple[ModelCard, ...] = ()
    judges: tuple[JudgeCard, ...] = ()


class Cards:
    """The cards of all live workers. A worker that stops refreshing them is gone after 15 s."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._publish = script(redis, "publish")

    @asynccontextmanager
    async def published(
        self, worker: str, *, models: Sequence[ModelCard] = (), judges: Sequence[JudgeCard] = ()
    ) -> AsyncIterator[None]:
        """Offer models and judges as `worker` (a name of its own for each process) while the block runs."""
        card = WorkerCard(name=worker, models=tuple(models), judges=tuple(judges))
        await self.publish(card)
        refresh = asyncio.create_task(self._refresh(card), name=f"cards of {worker}")
        try:
            yield
        finally:
            refresh.cancel()
            await asyncio.wait([refresh])
            with suppress(TimeoutError, BusUnavailable):  # then the card goes by itself
                async with asyncio.timeout(WITHDRAW_SECONDS):
                    await self.withdraw(worker)

    async def publish(self, card: WorkerCard) -> None:
        """Publish a worker's card once, for 15 s."""
        await self._publish(args=[card.name, card.model_dump_json(), int(keys.CARD_LIFE.total_seconds())])

    async def withdraw(self, worker: str) -> None:
        """Remove a worker's card."""
        await self._redis.delete(keys.CARD % worker)
        await self._redis.srem(keys.WORKERS, worker)

    async def workers(self) -> list[WorkerCard]:
        """The live workers, by name; one whose card this version cannot read is left out."""
        members: Any = await self._redis.smembers(keys.WORKERS)
        names = sorted(name.decode() for name in members)
        cards = await self._redis.mget([keys.CARD % name for name in names]) if names else []
        return [card for name, raw in zip(names, cards, strict=True) if raw is not None and (card := _card(name, raw))]

    async def models(self) -> dict[str, ModelCard]:
        """The models that some live worker serves, by name."""
        return {card.name: card for worker in await self.workers() for card in worker.models}

    async def judges(self) -> dict[str, JudgeCard]:
        """The judges that some live worker hosts, by name."""
        return {card.name: card for worker in await self.workers() for card in worker.judges}

    async def _refresh(self, card: WorkerCard) -> None:
        while True:
            await asyncio.sleep(REFRESH_EVERY.total_seconds())
            try:
                await self.publish(card)
            except BusUnavailable as error:
                log.warning("cannot refresh the worker's card, will try again", worker=card.name, reason=str(error))


def _card(worker: str, raw: bytes | str) -> WorkerCard | None:
    """None for a card that this version cannot read: another version's worker is no reason to serve nobody."""
    try:
        return WorkerCard.model_validate_json(raw)
    except ValidationError as error:
        log.warning("a worker's card cannot be read, left out", worker=worker, reason=str(error))
        return None
