"""Failure has an address: a forward's fails its rows' jobs, memory's halves the batch, the loop's or the device's ends the engine."""

import asyncio

import pytest
import torch

from contracts.errors import EngineStopped, ModelUnavailable, OutOfMemory, WorkerError
from workers.engine import Engine
from workers.models.toy import Toy
from workers.plan import Key
from workers.sampling import METHODS, Decode, Denoise
from workers.warm_up import measure

from .models import Gate, Watched, binding, params
from .test_engine import SPECS, alone, in_engine


async def one_ask(rows: int) -> torch.Tensor:
    """A sampler that asks once."""
    return await Denoise(torch.zeros(rows, 3, 32, 32, dtype=torch.float64), torch.ones(rows, dtype=torch.float64))


async def test_a_failed_forward_fails_its_own_jobs_by_name() -> None:
    good, bad = Watched("toy"), Watched("bad")
    async with Engine({"toy": good, "bad": bad}) as engine:

        def fail(kind: str, rows: int) -> None:
            raise ArithmeticError("a row is broken")

        bad.hook = fail
        other = asyncio.create_task(in_engine(engine, SPECS[0]))
        with pytest.raises(
            WorkerError, match=r"the model 'bad' failed in a denoise forward \(ArithmeticError: a row is broken\)"
        ):
            await engine.run(METHODS["demon"].run(params()), binding(bad, "doomed"))
        assert torch.equal((await other).x, alone(SPECS[0]).x)
        assert engine.healthy


async def test_an_error_that_has_a_name_keeps_it() -> None:
    toy = Toy()
    async with Engine({"toy": toy}) as engine:
        with pytest.raises(ModelUnavailable, match="no consistency network"):
            await engine.run(METHODS["demon"].run(params(preset="paper", lookahead="consistency")), binding(toy))


async def test_out_of_memory_halves_the_batch_once() -> None:
    model = Watched()
    async with Engine({"toy": model}, row_budget=16) as engine:

        def at_most_5(kind: str, rows: int) -> None:
            if rows > 5:
                raise torch.OutOfMemoryError

        model.hook = at_most_5
        model.forwards.clear()
        answer = await engine.run(one_ask(10), binding(model))
        assert model.forwards == [("denoise", 10), ("denoise", 5), ("denoise", 5)]
        toy = Toy()
        one = torch.ones(1, dtype=torch.float64)
        alone_row = toy.denoise(
            torch.zeros(1, 3, 32, 32, dtype=torch.float64), one, [toy.encode("", "")], one, "denoiser"
        )
        assert torch.equal(answer, alone_row.expand(10, -1, -1, -1))


async def test_what_does_not_fit_in_half_the_batch_either_is_out_of_memory_and_only_that() -> None:
    model = Watched()
    async with Engine({"toy": model}, row_budget=16) as engine:

        def never(kind: str, rows: int) -> None:
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory")

        model.hook = never
        with pytest.raises(OutOfMemory, match="ask for a smaller picture"):
            await engine.run(one_ask(8), binding(model))
        model.hook = lambda kind, rows: None
        assert (await engine.run(one_ask(8), binding(model))).shape == (8, 3, 32, 32)


@pytest.mark.parametrize("broken", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("kind", ["denoise", "decode"])
async def test_numbers_that_are_not_finite_fail_their_own_ask_by_name(kind: str, broken: float) -> None:
    """Two jobs share a forward; the rows of one come back broken."""
    model, gate = Watched(), Gate()

    def spoil(answer: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        answer = answer.clone()
        answer[(x == 1).flatten(1).all(1)] = broken
        return answer

    async def ask(value: float) -> torch.Tensor:
        x = torch.full((2, 3, 32, 32), value, dtype=torch.float64)
        if kind == "denoise":
            return await Denoise(x, torch.ones(2, dtype=torch.float64))
        return await Decode(x)

    denoise, decode = model.denoise, model.decode
    model.denoise = lambda x, *rest: spoil(denoise(x, *rest), x)  # type: ignore[method-assign]
    model.decode = lambda x0, preview: spoil(decode(x0, preview), x0)  # type: ignore[method-assign]
    async with Engine({"toy": model}, row_budget=16) as engine:
        model.hook = gate
        model.forwards.clear()
        first = asyncio.create_task(engine.run(one_ask(1), binding(model, "first")))  # meanwhile the others come in
        await asyncio.to_thread(gate.reached.wait)
        bad = asyncio.create_task(engine.run(ask(1.0), binding(model, "bad")))
        good = asyncio.create_task(engine.run(ask(0.5), binding(model, "good")))
        await asyncio.sleep(0)
        gate.open()
        with pytest.raises(
            WorkerError, match=f"the model 'toy' answered in a {kind} forward with numbers that are not"
        ):
            await bad
        assert bool((await good).isfinite().all())
        assert bool((await first).isfinite().all())
        assert engine.healthy
    assert model.forwards == [("denoise", 1), (kind, 4)]


async def test_a_defect_of_the_loop_ends_the_engine_for_everyone() -> None:
    model = Watched()
    engine = Engine({"toy": model})

    class Defect(BaseException):
        """Nothing that a forward may raise."""

    def fail(kind: str, rows: int) -> None:
        raise Defect("broken")

    async with engine:
        model.hook = fail
        runs = [asyncio.create_task(in_engine(engine, spec)) for spec in SPECS[:3]]
        for outcome in await asyncio.gather(*runs, return_exceptions=True):
            assert isinstance(outcome, EngineStopped)
        assert "Defect: broken" in str(await engine.ended())
        assert not engine.healthy
        with pytest.raises(EngineStopped, match="Defect"):
            await engine.call(lambda: None)
        with pytest.raises(EngineStopped, match="Defect"):
            await in_engine(engine, SPECS[0])
    assert model.closed


@pytest.mark.parametrize(
    ("seconds", "rows", "price"),
    [
        (
            [9, 1, 1, 1, 1, 1, 1, 1, 1],
            64,
            1 / 64,
        ),  # a device whose forward costs the same at any size: until the time is up
        ([9, 1, 2, 4, 8, 16], 8, 1.0),  # one that gains nothing: at least 8 rows, lest every job wait for its turn
        ([9, 1, 1, 1, 1, 4], 8, 1 / 8),  # a knee at 8 rows
    ],
)
def test_the_warm_up_finds_the_knee(seconds: list[float], rows: int, price: float) -> None:
    """`seconds`: what the forwards of 1 (to set up), 1, 2, 4, 8 … rows take, in units of 0.3 s, by a scripted clock."""
    now = 0.0
    model = Watched()

    def take(kind: str, rows: int) -> None:
        nonlocal now
        now += 0.3 * seconds.pop(0)

    model.hook = take
    speed = measure(model, lambda: now)
    assert speed.rows == rows
    assert speed.seconds_per_row == pytest.approx(0.3 * price)


@pytest.mark.parametrize("most", [1, 4, 16])
@pytest.mark.parametrize(
    "full", [torch.OutOfMemoryError(), MemoryError(), RuntimeError("DefaultCPUAllocator: can't allocate memory")]
)
def test_memory_ends_the_warm_up_at_what_fitted(full: Exception, most: int) -> None:
    """Even where that is less than a small job's rows: more would fail it."""
    model = Watched()
    now = 0.0

    def fail_beyond(kind: str, rows: int) -> None:
        nonlocal now
        now += 0.001
        if rows > most:
            raise full

    model.hook = fail_beyond
    assert measure(model, lambda: now).rows == most


def test_a_warm_up_that_fails_otherwise_fails() -> None:
    def fail(kind: str, rows: int) -> None:
        if rows > 1:
            raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    with pytest.raises(RuntimeError, match="mat1 and mat2"):
        measure(Watched(hook=fail))


def test_larger_pictures_have_fewer_rows_a_forward_but_never_none() -> None:
    engine = Engine({"toy": Toy()}, row_budget=16)
    budgets = [engine._budgets(Key("denoise", "toy", (3, side, side), "denoiser")) for side in (32, 64, 512)]
    assert budgets == [16, 4, 2]
    assert engine._budgets(Key("decode", "toy", (3, 64, 64), "full")) == 1
