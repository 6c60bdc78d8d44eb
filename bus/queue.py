"""The queue engine: hands names to workers, at least once, under leases that are renewed. The only module that knows docket.

It knows names and rooms; what a name stands for, and whether its work is done, is written elsewhere (`bus.jobs`, `bus.asks`).
Messages carry the name alone. A worker that dies, or loses its lease, has its names delivered to others within about 1.3 leases.
"""

import asyncio
import os
import secrets
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from types import TracebackType
from typing import Self, cast

import structlog
from docket import CurrentExecution, Docket, Execution, Retry, Worker
from docket.dependencies import AdmissionBlocked

from contracts.errors import BusUnavailable, Fenced

from .connection import WORKER_PATIENCE, Client, Patient, sentences
from .jobs import Jobs

LEASE = timedelta(seconds=10)  # a dead worker's jobs are back within 15 s
CHECK_EVERY = timedelta(milliseconds=250)  # how long a worker without a free slot sleeps; with one it is woken at once
ADMIT_EVERY = timedelta(milliseconds=100)
RECONCILE_EVERY = timedelta(seconds=5)
STOP_GRACE = timedelta(seconds=8)  # for handlers to let go
CANCEL_AGAIN = timedelta(seconds=2)  # a cancel may be swallowed on its way; until then a handler may tidy up
RETRY_DELAY = timedelta(seconds=1)
_AT_ONCE = timedelta(microseconds=1)
_CONNECTIONS = 500  # docket subscribes a lot, and its pool raises where it is empty
_TASK = "work"

Handler = Callable[[str], Awaitable[None]]

log = structlog.get_logger()


def process_name() -> str:
    """A name for this process that no other process has or had."""
    return f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(3)}"


class Queue:
    """Names waiting for a worker. `async with` it; `add` from anywhere, `run` in a worker, once at a time."""

    def __init__(self, redis: Client, name: str, *, lease: timedelta = LEASE) -> None:
        self._redis = redis
        separator = "&" if "?" in redis.url else "?"
        url = f"{redis.url}{separator}max_connections={_CONNECTIONS}"
        # Nothing of a name outlives its work: the truth about it is in our own records.
        self._docket = Docket(name=name, url=url, execution_ttl=timedelta(0))
        self._lease = lease
        self._resources = AsyncExitStack()
        self._handler: Handler | None = None
        self._handling: dict[asyncio.Future[None], asyncio.Task[None]] = {}  # to docket's task around it

    async def __aenter__(self) -> Self:
        self._docket.register(self._work, names=[_TASK])
        with sentences(self._redis.url):
            await self._resources.enter_async_context(self._docket)
        _be_patient(self._docket)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._resources.aclose()

    async def add(self, name: str) -> None:
        """Put a name into the queue; nothing happens while it waits there or is worked on. Raises BusUnavailable."""
        async with self._bounded():
            await self._docket.add(_TASK, key=name)(name)

    async def remove(self, name: str) -> None:
        """Take a name out of the queue; where it is worked on, that work is interrupted. Raises BusUnavailable."""
        async with self._bounded():
            await self._docket.cancel(name)
            await self._redis.delete(self._docket.runs_key(name))  # docket would keep it for ever

    def free(self, room: int) -> int:
        """How many names more `run` can take now, of `room`."""
        return room - len(self._handling) if self._handler else 0

    async def run(self, handler: Handler, *, room: int) -> None:
        """Call `handler(name)` for names as they come, `room` at a time, until cancelled; then hand back what is not done.

        A handler that returns has done its work. One that raises Fenced leaves it to the worker that owns it now. After any other
        exception the name is delivered again a second later. On cancellation the handlers are cancelled, and their names go to
        other workers at once.
        """
        self._handler = handler
        async with Worker(
            self._docket,
            name=process_name(),
            concurrency=room,
            redelivery_timeout=self._lease,
            minimum_check_interval=CHECK_EVERY,
            scheduling_resolution=CHECK_EVERY,
            reconnection_delay=timedelta(seconds=1),
            schedule_automatic_tasks=False,
        ) as worker:
            loop = asyncio.create_task(worker.run_forever(), name=f"queue {self._docket.name}")
            try:
                await asyncio.shield(loop)
            finally:
                self._handler = None  # what docket starts from here on goes back untouched
                loop.cancel()  # it takes nothing new and waits for what runs,
                await (
                    self._interrupt()
                )  # which ends here; should it miss the cancel, leaving the block stops it for certain

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """docket's own connections wait without end for a server that is there and does not answer."""
        with sentences(self._redis.url):
            async with asyncio.timeout(self._redis.patience.total_seconds()):
                yield

    async def _work(
        self,
        name: str,
        again: Retry = Retry(attempts=None, delay=RETRY_DELAY),  # noqa: B008 - how docket is asked for it
        execution: Execution = CurrentExecution(),  # noqa: B008
    ) -> None:
        """What docket runs for a name."""
        hand_back = AdmissionBlocked(execution, reason="hand-back", retry_delay=_AT_ONCE)
        if self._handler is None:
            raise hand_back
        work = asyncio.ensure_future(self._handler(name))
        self._handling[work] = cast("asyncio.Task[None]", asyncio.current_task())
        try:
            await asyncio.wait([work])
            if work.cancelled():
                raise hand_back
            work.result()
        except asyncio.CancelledError:
            work.cancel()
            raise
        except Fenced:
            # Returning would acknowledge the message, which is the new owner's by now: it would be lost if the owner died.
            raise AdmissionBlocked(execution, reason="fenced", handled=True) from None
        finally:
            del self._handling[work]

    async def _interrupt(self) -> None:
        """Cancel the handlers until they end. One that will not is left alone; its name comes to another worker after the lease."""
        deadline = asyncio.get_running_loop().time() + STOP_GRACE.total_seconds()
        while self._handling and asyncio.get_running_loop().time() < deadline:
            for work in self._handling:
                work.cancel()
            await asyncio.wait(list(self._handling), timeout=CANCEL_AGAIN.total_seconds())
        for docket_task in self._handling.values():
            docket_task.cancel()


class JobQueue:
    """Jobs on their way from the waiting lines to the workers. `async with` it."""

    def __init__(self, redis: Client, *, lease: timedelta = LEASE) -> None:
        self._jobs = Jobs(redis)
        self._queue = Queue(redis, "gpu", lease=lease)

    async def __aenter__(self) -> Self:
        await self._queue.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._queue.__aexit__(kind, error, trace)

    async def admit(self, room: int) -> None:
        """Hand waiting jobs to the workers, until `room` of them are handed over and not yet claimed."""
        for job_id in await self._jobs.admit(room):
            await self._queue.add(job_id)

    async def reconcile(self) -> None:
        """Hand over again what has shown no sign of life (a job that is worked on is not disturbed), and end what is overdue."""
        await self._jobs.expire()
        for job_id in await self._jobs.silent():
            await self._queue.add(job_id)

    async def run(self, handler: Handler, *, room: int) -> None:
        """Work on jobs, `room` at a time, until cancelled; see `Queue.run`. The handler claims the job it is given."""
        async with asyncio.TaskGroup() as group:
            group.create_task(_every(ADMIT_EVERY, lambda: self.admit(self._queue.free(room))))
            group.create_task(_every(RECONCILE_EVERY, self.reconcile))
            await self._queue.run(handler, room=room)


async def _every(pause: timedelta, act: Callable[[], Awaitable[None]]) -> None:
    """Act again and again, for ever; Redis may be away for a while."""
    while True:
        try:
            await act()
        except BusUnavailable as error:
            log.warning("Redis is away, will try again", reason=str(error))
        await asyncio.sleep(pause.total_seconds())


def _be_patient(docket: Docket) -> None:
    """Let docket's own connections ride out a restart of Redis.

    Without it one lost connection ends its worker loop, which then waits for every running job before it connects again, with no
    lease renewed meanwhile. docket has no option for it, so this touches private attributes: its version is pinned exactly, and a
    test restarts Redis under a running worker.
    """
    policy = Patient(WORKER_PATIENCE)
    connection = docket._redis
    for pool in (connection._connection_pool, connection._pubsub_pool):
        pool.connection_kwargs["retry"] = policy
    connection._client.set_retry(policy)
