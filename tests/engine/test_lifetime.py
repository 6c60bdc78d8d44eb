"""The engine's beginning and end: nobody waits for a thread that is not there, and nothing of a thread that failed stays."""

import asyncio
import threading

import pytest
import torch

from contracts.errors import EngineStopped
from workers.binding import Binding
from workers.engine import Engine
from workers.models.toy import Toy
from workers.sampling import Judge, Scores

from ..conftest import wait_until
from .models import Gate, Watched, binding


async def judged() -> Scores:
    """A sampler that only asks its judge."""
    return await Judge(torch.zeros(2, 3, 32, 32))


def threads() -> int:
    return sum(thread.name == "engine" for thread in threading.enumerate())


async def test_before_its_start_it_takes_nothing() -> None:
    toy = Toy()
    engine = Engine({"toy": toy})
    assert not engine.healthy
    with pytest.raises(EngineStopped, match="starting or has stopped"):
        await engine.run(judged(), binding(toy))


async def test_a_start_that_fails_leaves_no_thread_and_no_model() -> None:
    def fail(kind: str, rows: int) -> None:
        raise ArithmeticError("these weights are broken")

    model = Watched(hook=fail)
    with pytest.raises(ArithmeticError, match="these weights"):
        await Engine({"toy": model}).__aenter__()
    assert threads() == 0
    assert model.closed


async def test_a_start_that_is_cancelled_leaves_no_thread() -> None:
    gate = Gate()
    model = Watched(hook=gate)
    starting = asyncio.create_task(Engine({"toy": model}).__aenter__())
    await wait_until(gate.reached.is_set, "it warms up")
    starting.cancel()
    gate.open()
    await asyncio.wait([starting])
    assert starting.cancelled()
    assert threads() == 0


async def test_whose_judge_speaks_after_the_end_hears_that_the_engine_has_stopped() -> None:
    toy = Toy()
    asked, speak = asyncio.Event(), asyncio.Event()

    async def judge(ask: Judge) -> Scores:
        asked.set()
        await speak.wait()
        return [None] * len(ask.pictures)

    async with Engine({"toy": toy}) as engine:
        run = asyncio.create_task(engine.run(judged(), Binding("job", toy, toy.encode("", ""), 1.0, judge)))
        await asked.wait()
    assert not run.done()
    speak.set()
    with pytest.raises(EngineStopped):
        await run


async def test_mail_that_nobody_reads_any_more_is_answered_too() -> None:
    """Posted while the last forward runs, which ends the engine."""
    gate, model = Gate(), Watched()

    class Defect(BaseException):
        """Nothing that a forward may raise."""

    def fail(kind: str, rows: int) -> None:
        gate(kind, rows)
        raise Defect("broken")

    async with Engine({"toy": model}) as engine:
        model.hook = fail
        calls = [asyncio.create_task(engine.call(lambda: model.decode(torch.zeros(1, 3, 32, 32), False)))]
        await wait_until(gate.reached.is_set, "the thread is busy")
        calls.append(asyncio.create_task(engine.call(lambda: torch.zeros(1))))
        runs = [asyncio.create_task(engine.run(judged(), binding(model))) for _ in range(2)]
        await asyncio.sleep(0)  # all are posted in their tasks' first turns
        runs[0].cancel()  # its coroutine has not begun, and must be closed all the same
        await asyncio.sleep(0)
        gate.open()
        await asyncio.wait([*calls, *runs])
        assert all(isinstance(call.exception(), EngineStopped) for call in calls)
        assert runs[0].cancelled()
        assert isinstance(runs[1].exception(), EngineStopped)
        assert "Defect: broken" in str(await engine.ended())


async def test_inference_mode_is_the_threads_alone() -> None:
    seen: dict[str, bool] = {}

    def within(kind: str, rows: int) -> None:
        seen[kind] = torch.is_inference_mode_enabled()

    model = Watched(hook=within)

    async def judge(ask: Judge) -> Scores:
        seen["judge"] = torch.is_inference_mode_enabled()
        return [None, None]

    async def sampler() -> None:
        seen["sampler"] = torch.is_inference_mode_enabled()
        await judged()
        seen["sampler, resumed"] = torch.is_inference_mode_enabled()

    async with Engine({"toy": model}) as engine:
        await engine.run(sampler(), Binding("job", model, model.encode("", ""), 1.0, judge))
        assert not torch.is_inference_mode_enabled()
    assert seen == {"denoise": True, "judge": False, "sampler": True, "sampler, resumed": True}
