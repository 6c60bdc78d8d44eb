"""Whatever the order of verdicts, cancels and failures, every other job ends as if it were alone, and nothing stays behind."""

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from contracts.errors import WorkerError
from workers.binding import Binding
from workers.engine import Engine
from workers.models.toy import Toy
from workers.sampling import METHODS, Ask, Decode, Denoise, Judge, Params, Scores, State, drive
from workers.sampling.schedules import karras

from ..conftest import wait_until
from .models import SHAPE, Watched, binding, directly, params, redness

SHORT = karras(4, 0.02, 80.0)
RUNS: list[tuple[str, dict[str, Any]]] = [
    ("demon", {}),
    ("demon", {"check": "score", "solver": "heun"}),
    ("demon", {"preset": "paper", "stop_sigma": 0.1}),
    ("pf_ode", {}),
    ("best_of_n", {}),
]


def short(run: int, seed: int) -> tuple[str, Params]:
    """A run of four steps with two candidates."""
    method, changed = RUNS[run]
    return method, params(seed, sigmas=SHORT, candidates=2, **changed)


def alone(run: int, seed: int) -> State:
    """The same, driven by hand."""
    method, p = short(run, seed)
    toy = Toy()
    with torch.inference_mode():
        return drive(METHODS[method].run(p), directly(toy, binding(toy)))


async def left_behind(engine: Engine) -> int:
    """Coroutines, asks and waiters that the engine still holds, but for the call that counts them."""
    return await engine.call(
        lambda: len(engine._asked) + len(engine._line) + len(engine._ready) + len(engine._waiters) - 1
    )


class Court:
    """Judges of several jobs, who speak when they are told to."""

    def __init__(self) -> None:
        self._waiting: dict[str, tuple[Judge, asyncio.Future[Scores]]] = {}

    def judge_of(self, job: str) -> Callable[[Judge], Any]:
        async def judge(ask: Judge) -> Scores:
            verdict: asyncio.Future[Scores] = asyncio.get_running_loop().create_future()
            self._waiting[job] = (ask, verdict)
            return await verdict

        return judge

    def waiting(self) -> set[str]:
        """Jobs whose judge was asked and has not spoken."""
        return {job for job, (_, verdict) in self._waiting.items() if not verdict.done()}

    def speak(self, job: str) -> None:
        ask, verdict = self._waiting[job]
        verdict.set_result(redness(ask.pictures))


@settings(deadline=None, max_examples=15)
@given(st.lists(st.tuples(st.integers(0, len(RUNS) - 1), st.integers(0, 3)), min_size=2, max_size=4), st.data())
def test_any_order_of_verdicts_and_cancels(chosen: list[tuple[int, int]], data: st.DataObject) -> None:
    asyncio.run(_interleaved({f"job-{n}": run for n, run in enumerate(chosen)}, data))


async def _interleaved(jobs: dict[str, tuple[int, int]], data: st.DataObject) -> None:
    """Whenever every living job waits for its judge, some judges speak, and some jobs are cancelled."""
    court, toy = Court(), Toy()
    canceled: set[str] = set()
    async with Engine({"toy": toy}, row_budget=data.draw(st.integers(1, 12), "row budget")) as engine:
        runs = {}
        for job, (kind, seed) in jobs.items():
            method, p = short(kind, seed)
            bound = Binding(job, toy, toy.encode("", ""), 1.0, court.judge_of(job))
            runs[job] = asyncio.create_task(engine.run(METHODS[method].run(p), bound))
        while True:
            await wait_until(
                lambda: court.waiting() == {job for job, run in runs.items() if not run.done()}, "all wait for a judge"
            )
            if not court.waiting():
                break
            for job in sorted(data.draw(st.sets(st.sampled_from(sorted(court.waiting())), min_size=1), "who goes on")):
                if data.draw(st.sampled_from(["speak", "speak", "cancel"])) == "cancel":
                    canceled.add(job)
                    runs[job].cancel()
                else:
                    court.speak(job)
        await asyncio.wait(runs.values())
        assert await left_behind(engine) == 0
    for job, run in runs.items():
        if job in canceled:
            assert run.cancelled()
        else:
            assert torch.equal(run.result().x, alone(*jobs[job]).x)


async def _with_a_victim(hook: Callable[[asyncio.Task[State]], None], asks: int) -> asyncio.Task[State]:
    """Two jobs of two models; in the victim's forward number `asks` the hook is called, on the device's thread."""
    good, bad = Watched("toy"), Watched("bad")
    coroutine = METHODS["demon"].run(short(0, 1)[1])
    async with Engine({"toy": good, "bad": bad}) as engine:
        seen = 0

        def within(kind: str, rows: int) -> None:
            nonlocal seen
            seen += 1
            if seen == asks:
                hook(victim)

        bad.hook = within
        victim = asyncio.create_task(engine.run(coroutine, binding(bad, "victim")))
        other = asyncio.create_task(engine.run(METHODS["demon"].run(short(1, 2)[1]), binding(good, "other")))
        await asyncio.wait([victim, other])
        assert torch.equal(other.result().x, alone(1, 2).x)
        assert await left_behind(engine) == 0
        assert engine.healthy
    assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED
    return victim


def forwards_of_the_victim() -> int:
    """Its asks of the device, each one forward of its own."""
    asked = 0
    toy = Toy()
    directly_answered = directly(toy, binding(toy))

    def answer(ask: Ask[Any]) -> Any:
        nonlocal asked
        asked += isinstance(ask, (Denoise, Decode))
        return directly_answered(ask)

    drive(METHODS["demon"].run(short(0, 1)[1]), answer)
    return asked


FORWARDS = forwards_of_the_victim()


@pytest.mark.parametrize("ask", range(1, FORWARDS + 1))
async def test_a_job_cancelled_within_any_of_its_forwards(ask: int) -> None:
    loop = asyncio.get_running_loop()

    def cancel(victim: asyncio.Task[State]) -> None:
        """Go on with the forward only when the task is gone and its mail in the inbox."""
        gone = threading.Event()
        loop.call_soon_threadsafe(victim.add_done_callback, lambda _: gone.set())
        loop.call_soon_threadsafe(victim.cancel)
        assert gone.wait(20)

    assert (await _with_a_victim(cancel, ask)).cancelled()


@pytest.mark.parametrize("ask", range(1, FORWARDS + 1))
async def test_a_failure_at_any_of_its_asks(ask: int) -> None:
    def fail(victim: asyncio.Task[State]) -> None:
        raise ArithmeticError("a row is broken")

    victim = await _with_a_victim(fail, ask)
    assert isinstance(victim.exception(), WorkerError)


async def test_a_job_cancelled_while_its_judge_thinks() -> None:
    court, toy = Court(), Toy()
    async with Engine({"toy": toy}) as engine:
        coroutine = METHODS["demon"].run(short(0, 1)[1])
        run = asyncio.create_task(
            engine.run(coroutine, Binding("job", toy, toy.encode("", ""), 1.0, court.judge_of("job")))
        )
        await wait_until(lambda: court.waiting() == {"job"}, "the judge is asked")
        run.cancel()
        await asyncio.wait([run])
        assert run.cancelled()
        assert await left_behind(engine) == 0
        assert inspect.getcoroutinestate(coroutine) == inspect.CORO_CLOSED


async def test_all_jobs_with_rows_in_a_failed_forward_fail_and_a_sampler_may_go_on() -> None:
    """Three jobs in one forward: two fail by it, the third one catches the failure where it asked and asks again."""
    model = Watched()
    held, go = threading.Event(), threading.Event()
    x, one = torch.zeros(1, *SHAPE, dtype=torch.float64), torch.ones(1, dtype=torch.float64)

    async def careless() -> torch.Tensor:
        return await Denoise(x, one)

    async def careful() -> torch.Tensor:
        try:
            return await Denoise(x, one)
        except WorkerError:
            return await Denoise(x, one)

    def within(kind: str, rows: int) -> None:
        held.set()
        assert go.wait(20)
        if rows == 3:
            raise ArithmeticError("a row is broken")

    async with Engine({"toy": model}) as engine:
        model.hook = within
        first = asyncio.create_task(engine.run(careless(), binding(model, "first")))
        await wait_until(held.is_set, "the first forward runs")
        runs = [
            asyncio.create_task(engine.run(coroutine, binding(model, f"job-{n}")))
            for n, coroutine in enumerate([careless(), careless(), careful()])
        ]
        await asyncio.sleep(0)  # each task posts its coroutine in its first turn
        go.set()
        await asyncio.wait(runs)
        assert [isinstance(run.exception(), WorkerError) for run in runs] == [True, True, False]
        assert torch.equal(await first, runs[2].result())
        assert model.forwards[-3:] == [("denoise", 1), ("denoise", 3), ("denoise", 1)]
        assert await left_behind(engine) == 0
