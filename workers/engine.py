"""The thread that owns the device: receive, resume, plan, forward. It knows no mathematics, no Redis and no judge.

It drives the samplers' coroutines itself. After a forward it resumes every job that got its answer until each waits again, so
it knows who waits for the device and who for a judge, and batches fill; asyncio could not say so. From there one sees `run` (a
coroutine until its end) and `call` (a function on the thread).

A failed forward is raised at the `await` of each ask with rows in it; an ask without rows ends the run that asked it. A defect
of the loop, and a device that failed for good, end the engine and every waiter (EngineStopped).
"""

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from time import perf_counter
from typing import Any, Self, TypeVar

import structlog
import torch

from contracts.errors import EngineStopped, MaxwellError, WorkerError
from contracts.models import ModelCard

from .binding import Binding, Meter
from .budgets import Budgets
from .device_errors import beyond_repair
from .forwards import Pending, compute
from .models.base import Model
from .plan import Batch, Waiting, plan
from .runs import Finished, Promise, Run
from .sampling import Ask, Decode, Denoise, Judge
from .warm_up import measure

__all__ = ["Binding", "Engine", "Meter"]

T = TypeVar("T")
log = structlog.get_logger()


class Engine:
    """`async with Engine(models) as engine:`; then `run` and `call` from that event loop.

    `row_budget`: network rows a forward; by default what the warm-up finds best for each model.
    """

    def __init__(self, models: Mapping[str, Model], row_budget: int | None = None) -> None:
        self.models = dict(models)
        self._budgets = Budgets(self.models, row_budget)
        self._inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self._thread = threading.Thread(target=self._live, name="engine", daemon=True)
        self._door = threading.Lock()  # of the inbox
        # What follows belongs to the thread.
        self._numbers = count()
        self._ready: deque[Run] = deque()
        self._line: list[Waiting] = []
        self._asked: dict[int, tuple[Run, Pending]] = {}
        self._waiters: set[Promise] = set()
        self._stopping = False
        self._failure: EngineStopped | None = None

    async def __aenter__(self) -> Self:
        self._over = Promise(asyncio.get_running_loop())
        self._thread.start()
        try:
            await self.call(self._warm_up)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        self._inbox.put(self._stop)
        await asyncio.to_thread(self._thread.join)

    @property
    def healthy(self) -> bool:
        """Whether the thread lives and takes work."""
        return self._thread.is_alive() and self._failure is None

    async def ended(self) -> EngineStopped:
        """Wait for the thread's end, asked for or not: why it ended."""
        reason: EngineStopped = await asyncio.shield(self._over.future)
        return reason

    def cards(self) -> list[ModelCard]:
        """The models' cards with what the warm-up measured."""
        return [
            model.card.model_copy(update={"seconds_per_row": self._budgets.speeds[name].seconds_per_row})
            for name, model in self.models.items()
        ]

    # ---- the asyncio side

    async def call(self, function: Callable[[], T]) -> T:
        """Run a function on the device's thread, between two forwards. Raises what it raises, or EngineStopped."""
        promise = Promise(asyncio.get_running_loop())
        self._post(partial(self._call, promise, function))
        result: T = await promise.future
        return result

    async def run(self, coroutine: Coroutine[Ask[Any], Any, T], binding: Binding) -> T:
        """Drive a sampler's coroutine to its end; its Judge asks are answered by `binding.judge` on this event loop.

        Raises what the coroutine raises, or EngineStopped. Cancelled, it closes the coroutine and forgets its asks.
        """
        run = Run(coroutine, binding)
        resume: Callable[[], Ask[Any]] = partial(coroutine.send, None)
        try:
            while True:
                outcome = await self._resumed(run, resume)
                if isinstance(outcome, Finished):
                    value: T = outcome.value
                    return value
                try:
                    resume = partial(coroutine.send, await binding.judge(outcome))
                except Exception as failure:  # it belongs to the sampler, which may know what to do
                    resume = partial(coroutine.throw, failure)
        finally:
            try:
                self._post(partial(self._drop, run))
            except EngineStopped:
                coroutine.close()

    async def _resumed(self, run: Run, resume: Callable[[], Ask[Any]]) -> Judge | Finished:
        """The coroutine's next Judge ask, or its end."""
        promise = Promise(asyncio.get_running_loop())
        self._post(partial(self._enter, run, resume, promise))
        outcome: Judge | Finished = await promise.future
        return outcome

    def _post(self, message: Callable[[], None]) -> None:
        with self._door:
            if not self.healthy:
                raise self._failure or EngineStopped("the engine is not running: the worker is starting or has stopped")
            self._inbox.put(message)

    # ---- the thread

    def _live(self) -> None:
        try:
            with torch.inference_mode():
                while self._receive():
                    self._resume()
                    if self._line:
                        self._forward()
            self._end(EngineStopped("the engine was stopped while this job was in it"))
        except BaseException as defect:
            log.exception("the engine failed")
            self._end(EngineStopped(f"the engine failed ({type(defect).__name__}: {defect}): restart the worker"))

    def _receive(self) -> bool:
        """Read the inbox; wait for mail only where there is nothing else to do. False once it said stop."""
        try:
            while not self._stopping:
                self._inbox.get(block=not (self._ready or self._line))()
        except Empty:
            pass
        return not self._stopping

    def _resume(self) -> None:
        """Let every job that can go on do so until it waits again: in the line, for its judge, or not at all."""
        while self._ready:
            run = self._ready.popleft()
            try:
                assert run.resume is not None
                ask = run.resume()
                if isinstance(ask, (Denoise, Decode)):
                    self._queue(run, Pending(run.binding, ask))
                else:
                    self._keep(run.promise, ask)
            except StopIteration as end:
                self._keep(run.promise, Finished(end.value))
            except Exception as failure:
                self._break(run.promise, failure)

    def _forward(self) -> None:
        """One batch through its model; then those whose rows are all computed can be resumed."""
        line = [replace(one, gives_way=self._asked[one.ask][1].binding.gives_way()) for one in self._line]
        batch, self._line = plan(line, self._budgets)
        shares = [(self._asked[share.ask], share.rows) for share in batch.shares]
        started = perf_counter()
        try:
            answers, halved = compute(batch.key, [(pending, rows) for (_, pending), rows in shares])
        except Exception as failure:
            if beyond_repair(failure):  # the jobs go on elsewhere, this worker anew
                raise
            log.exception("a forward failed", key=batch.key, jobs=[run.binding.job for (run, _), _ in shares])
            self._fail_batch(batch, failure)
            return
        seconds, total = perf_counter() - started, sum(rows * pending.cost for (_, pending), rows in shares)
        if halved:
            most = self._budgets.halve(batch.key, total)
            log.warning(
                "out of memory: the forward was halved, as later ones will be until the worker is restarted",
                key=batch.key,
                rows=most,
            )
        for share, ((_, pending), rows), answer in zip(batch.shares, shares, answers, strict=True):
            if isinstance(answer, WorkerError):
                log.error("an ask failed", key=batch.key, job=pending.binding.job, reason=str(answer))
                self._answer(share.ask, answer)
                continue
            pending.charge(rows, seconds * rows * pending.cost / total)
            pending.answers.append(answer)
            if pending.answered == pending.rows:
                self._answer(share.ask, torch.cat(pending.answers))

    def _queue(self, run: Run, pending: Pending) -> None:
        number = next(self._numbers)
        self._asked[number] = (run, pending)
        self._line.append(pending.waiting(number))

    def _answer(self, number: int, answer: torch.Tensor | Exception) -> None:
        """Take an ask out of the line, and let its coroutine go on with the answer or the failure."""
        run, _ = self._asked.pop(number)
        self._line = [waiting for waiting in self._line if waiting.ask != number]
        failed = isinstance(answer, Exception)
        run.resume = partial(run.coroutine.throw if failed else run.coroutine.send, answer)
        self._ready.append(run)

    def _fail_batch(self, batch: Batch, failure: Exception) -> None:
        for share in batch.shares:
            error = WorkerError(
                f"the model {batch.key.model!r} failed in a {batch.key.kind} forward ({type(failure).__name__}: {failure})"
            )
            error.__cause__ = failure
            self._answer(share.ask, failure if isinstance(failure, MaxwellError) else error)

    # ---- messages

    def _enter(self, run: Run, resume: Callable[[], Ask[Any]], promise: Promise) -> None:
        run.resume, run.promise = resume, promise
        self._waiters.add(promise)
        self._ready.append(run)

    def _call(self, promise: Promise, function: Callable[[], Any]) -> None:
        self._waiters.add(promise)
        try:
            self._keep(promise, function())
        except Exception as failure:
            if beyond_repair(failure):
                raise
            self._break(promise, failure)

    def _drop(self, run: Run) -> None:
        """Forget a coroutine; nothing is left of one that has ended."""
        mine = {number for number, (other, _) in self._asked.items() if other is run}
        self._asked = {number: asked for number, asked in self._asked.items() if number not in mine}
        self._line = [waiting for waiting in self._line if waiting.ask not in mine]
        self._ready = deque(other for other in self._ready if other is not run)
        if run.promise is not None:
            self._waiters.discard(run.promise)
        run.coroutine.close()

    def _stop(self) -> None:
        self._stopping = True

    def _warm_up(self) -> None:
        for name, model in self.models.items():
            speed = self._budgets.speeds[name] = measure(model)
            log.info("model ready", model=name, rows=speed.rows, ms_per_row=round(1000 * speed.seconds_per_row, 2))

    def _keep(self, promise: Promise | None, value: Any) -> None:
        assert promise is not None
        self._waiters.discard(promise)
        promise.keep(value)

    def _break(self, promise: Promise | None, failure: Exception) -> None:
        assert promise is not None
        self._waiters.discard(promise)
        promise.fail(failure)

    def _end(self, failure: EngineStopped) -> None:
        """Nobody waits for a thread that is gone: neither those who wait already, nor those whose mail lies unread."""
        with self._door:  # after this nobody can put anything in
            self._failure = failure
        while not self._inbox.empty():
            message = self._inbox.get()
            if isinstance(message, partial) and message.func in (self._enter, self._call):
                self._waiters.update(argument for argument in message.args if isinstance(argument, Promise))
            elif isinstance(message, partial) and message.func == self._drop:
                message()
        for promise in self._waiters:
            promise.fail(failure)
        self._over.keep(failure)
        for name, model in self.models.items():
            try:
                model.close()
            except Exception:  # of a device that failed for good
                log.exception("the model's memory could not be freed", model=name)
