"""A judge of a test's, its worker, and a job to ask it for. It knows no test."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

from bus.asks import Asks, JudgeHandler
from bus.connection import Client
from bus.jobs import Jobs
from contracts.jobs import JobState
from contracts.judging import JudgeAsk, JudgeFailure, JudgeUsage, Verdict

from .builders import claimed

LEASE = timedelta(seconds=1)
VERDICT = Verdict(scores=(5.0, None), rationale="die Äpfel 🍎", usage=JudgeUsage(calls=1, usd=0.01))


class Judge:
    """A judge that writes down what it was asked and answers when it may."""

    def __init__(self, answer: Verdict | JudgeFailure | Exception = VERDICT) -> None:
        self.answer = answer
        self.asked: list[tuple[JudgeAsk, list[bytes]]] = []
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def __call__(self, question: JudgeAsk, pictures: list[bytes]) -> Verdict | JudgeFailure:
        self.asked.append((question, pictures))
        await self.may_answer.wait()
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


@asynccontextmanager
async def judge_worker(
    redis: Client, handler: JudgeHandler, judges: Sequence[str] = ("local",)
) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(Asks(redis, lease=LEASE).serve(judges, handler, concurrency=8))
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.wait([task])


@asynccontextmanager
async def job(redis: Client) -> AsyncIterator[str]:
    """A running job's id; it is ended afterwards, so that nothing of it may be left."""
    jobs = Jobs(redis)
    claim = await claimed(jobs)
    yield claim.record.spec.id
    await jobs.finish(claim.record.spec.id, claim.epoch, JobState.SUCCEEDED)
