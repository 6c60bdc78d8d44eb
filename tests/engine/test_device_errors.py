"""What a device says is heard: full memory makes smaller forwards, a lost device ends the engine and not the jobs."""

import asyncio

import pytest
import torch

from contracts.errors import EngineStopped, ModelUnavailable, OutOfMemory
from workers.engine import Engine
from workers.plan import Key

from .models import Watched, binding
from .test_failures import one_ask


async def test_a_halving_is_remembered_for_rows_of_its_kind() -> None:
    model = Watched()
    async with Engine({"toy": model}, row_budget=16) as engine:

        def at_most_5(kind: str, rows: int) -> None:
            if kind == "denoise" and rows > 5:
                raise torch.OutOfMemoryError

        model.hook = at_most_5
        for _ in range(3):
            await engine.run(one_ask(10), binding(model))
        model.forwards.clear()
        assert (await engine.run(one_ask(10), binding(model))).shape == (10, 3, 32, 32)
        assert model.forwards == [("denoise", 5), ("denoise", 5)]
        other = Key("denoise", "toy", (3, 32, 32), "consistency")
        assert engine._budgets(other) == 16
        model.hook = lambda kind, rows: None
        model.forwards.clear()
        await engine.run(one_ask(10), binding(model, guidance=2.0))
        assert model.forwards == [("denoise", 2)] * 5, "guided rows count twice"


@pytest.mark.parametrize("where", ["forward", "call"])
async def test_a_device_that_is_lost_ends_the_engine_so_that_jobs_go_on_elsewhere(where: str) -> None:
    """A sticky CUDA error fails every later forward of the process: to fail job after job would lose the whole queue."""
    model = Watched()
    lost = torch.AcceleratorError("CUDA error: an illegal memory access was encountered")

    def fail(kind: str, rows: int) -> None:
        raise lost

    async def encode() -> None:
        await engine.call(lambda: fail("encode", 1))

    async with Engine({"toy": model}) as engine:
        model.hook = fail
        waits = asyncio.create_task(engine.run(one_ask(1), binding(model)) if where == "forward" else encode())
        with pytest.raises(EngineStopped, match="illegal memory access"):
            await waits
        assert "illegal memory access" in str(await engine.ended())
        assert not engine.healthy


async def test_a_lost_device_whose_memory_cannot_be_freed_ends_the_engine_all_the_same() -> None:
    model, rest = Watched(), Watched("rest")

    def fail() -> None:
        raise torch.AcceleratorError("CUDA error: device-side assert triggered")

    model.close = fail  # type: ignore[method-assign]
    async with Engine({"toy": model, "rest": rest}) as engine:
        with pytest.raises(EngineStopped, match="device-side assert"):
            await engine.call(fail)
    assert rest.closed


async def test_an_accelerator_that_is_only_full_is_not_lost() -> None:
    model = Watched()
    async with Engine({"toy": model}, row_budget=16) as engine:

        def full(kind: str, rows: int) -> None:
            raise torch.AcceleratorError("CUDA error: out of memory")

        model.hook = full
        with pytest.raises(OutOfMemory):
            await engine.run(one_ask(2), binding(model))
        assert engine.healthy


async def test_a_model_whose_first_row_does_not_fit_is_said_in_a_sentence() -> None:
    def full(kind: str, rows: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    with pytest.raises(ModelUnavailable, match=r"'toy' is loaded, but no row of 32 x 32 pixels fits .*MAXWELL_MODELS"):
        async with Engine({"toy": Watched(hook=full)}):
            pass
