"""Asks to judges and their answers: the verdict is written once under the ask's name, however often it is asked or answered.

It knows names, pictures as bytes, and who waits; it knows no judge and what no score means.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from functools import partial
from types import TracebackType
from typing import Any, Self

import structlog
from pydantic import TypeAdapter

from contracts.errors import MaxwellError
from contracts.judging import NO_CALL, ONE_CALL, AskName, JudgeAnswer, JudgeAsk, JudgeFailure, JudgeUsage, Verdict

from . import keys
from .bell import Bell, wait
from .connection import Client
from .lua import script
from .queue import LEASE, Queue, process_name

LOOK_EVERY = timedelta(seconds=3)  # between looks where the bell is silent
GRACE = timedelta(seconds=1)  # for the judge worker to say what it had cost until then
SPARE = 4  # one in so many is fetched beyond those that are worked on
MARGIN = timedelta(seconds=60)  # an ask's pictures outlive its deadline at most by this

Answer = Verdict | JudgeFailure
JudgeHandler = Callable[[JudgeAsk, list[bytes]], Awaitable[Answer]]

log = structlog.get_logger()
_answers: TypeAdapter[Answer] = TypeAdapter(JudgeAnswer)


class Asks:
    """The way between a job and its judge. Each judge has a queue of its own, so a slow one takes no slot from another."""

    def __init__(self, redis: Client, *, lease: timedelta = LEASE) -> None:
        self._redis = redis
        self._lease = lease
        self._name = process_name()
        self._bell = Bell(redis, self._name)
        self._put, self._take, self._write = script(redis, "ask"), script(redis, "take"), script(redis, "answer")
        self._withdraw = script(redis, "withdraw")
        self._queues: dict[str, Queue] = {}
        self._opening = asyncio.Lock()
        self._resources = AsyncExitStack()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._queues.clear()
        await self._resources.aclose()

    async def ask(self, ask: JudgeAsk, pictures: Sequence[bytes], lost: JudgeUsage = ONE_CALL) -> Answer:
        """The judge's answer, stored or new. Use it inside `async with Asks(…)`. Raises BusUnavailable.

        A failure `judge_unavailable` where the ask's deadline passes without an answer, `canceled` where the job's end was asked
        for meanwhile. An ask that is interrupted goes on at the judge; asked again, it finds the verdict and pays nothing.
        """
        queue = await self._queue(ask.judge)
        sent: Sequence[bytes] = pictures
        async with self._bell.listen(str(ask.name)) as rung:
            while (left := ask.deadline + GRACE - datetime.now(UTC)) > timedelta(0):
                rung.clear()
                seconds = max(1, int((left + MARGIN).total_seconds()))
                answer, canceled, missing = await self._put(
                    args=[ask.name.job, _field(ask.name), self._name, seconds, ask.model_dump_json(), *sent]
                )
                if answer is not None:
                    return _answers.validate_json(answer)
                if canceled:
                    return await self._give_up(queue, ask, lost, "canceled", "the job's end was asked for")
                sent = pictures if missing else ()  # else they lie there by now
                if missing:
                    continue
                await queue.add(str(ask.name))
                await wait(rung, min(left, LOOK_EVERY).total_seconds())
            late = f"the judge {ask.judge!r} gave no answer within its time"
            return await self._give_up(queue, ask, lost, "judge_unavailable", late)

    async def serve(self, judges: Sequence[str], handler: JudgeHandler, *, concurrency: int) -> None:
        """Answer the asks to these judges, `concurrency` at a time for each, until cancelled; open asks then go to other workers.

        `handler(ask, pictures)` answers with a Verdict or a JudgeFailure. An exception that leaves it becomes a JudgeFailure.
        """
        async with AsyncExitStack() as queues, asyncio.TaskGroup() as group:
            for judge in judges:
                queue = await queues.enter_async_context(self._new_queue(judge))
                work = partial(self._answer, handler, asyncio.Semaphore(concurrency))
                # The queue refills a full room four times a second: the next ones are fetched before that.
                group.create_task(queue.run(work, room=concurrency + concurrency // SPARE))

    async def _answer(self, handler: JudgeHandler, slots: asyncio.Semaphore, full_name: str) -> None:
        """Answer one ask. Its slot at the judge is the next one's before the answer is written."""
        job, _, field = full_name.partition(":")
        async with slots:
            raw = await self._redis.hget(keys.ASKS % job, f"{field}/ask")
            if raw is None:
                return  # answered, withdrawn, or its job has ended
            ask = JudgeAsk.model_validate_json(raw)
            if ask.deadline <= datetime.now(UTC):
                return  # nobody waits any more: do not pay for it
            pictures: Any = await self._take(args=[job, field, ask.pictures])
            if pictures is None:
                return  # withdrawn or canceled just now
            answer = await _typed_answer(handler, ask, pictures)
        await self._write(args=[job, field, full_name, answer.model_dump_json(), ask.pictures])

    async def _queue(self, judge: str) -> Queue:
        async with self._opening:
            if judge not in self._queues:
                self._queues[judge] = await self._resources.enter_async_context(self._new_queue(judge))
            return self._queues[judge]

    def _new_queue(self, judge: str) -> Queue:
        return Queue(self._redis, f"judge-{judge}", lease=self._lease)

    async def _give_up(self, queue: Queue, ask: JudgeAsk, lost: JudgeUsage, code: str, detail: str) -> Answer:
        """Wait no longer: the answer, where it has come meanwhile, or the failure. What another worker has asked since stays up."""
        arguments: list[str | int] = [ask.name.job, _field(ask.name), self._name, ask.pictures]
        withdrawn, reached, answer = await self._withdraw(args=arguments)
        if withdrawn:
            await queue.remove(str(ask.name))
        if answer is not None:
            return _answers.validate_json(answer)
        return JudgeFailure(code=code, detail=detail, usage=lost if reached else NO_CALL)


async def _typed_answer(handler: JudgeHandler, ask: JudgeAsk, pictures: list[bytes]) -> Answer:
    """The handler's answer, or what went wrong as a failure: never a verdict that no judge gave."""
    try:
        answer = await handler(ask, pictures)
    except MaxwellError as error:
        return JudgeFailure(code=error.code, detail=str(error))
    except Exception as error:
        log.exception("the judge failed unexpectedly", judge=ask.judge, job=ask.name.job, step=ask.name.step)
        return JudgeFailure(code="judge_failed", detail=f"the judge {ask.judge!r} failed ({type(error).__name__})")
    if isinstance(answer, Verdict) and len(answer.scores) != ask.pictures:
        detail = f"the judge {ask.judge!r} gave {len(answer.scores)} scores for {ask.pictures} pictures"
        return JudgeFailure(code="judge_malformed", detail=detail, usage=answer.usage)
    return answer


def _field(name: AskName) -> str:
    """The ask's name within its job."""
    return str(name).partition(":")[2]
