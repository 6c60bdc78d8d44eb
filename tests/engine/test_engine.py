"""The engine gives every job what it would get alone, to the last bit, whatever the company and however the others end."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
import torch

from contracts.errors import EngineStopped, JudgeUnavailable
from workers.binding import Binding
from workers.engine import Engine
from workers.models.toy import Toy
from workers.sampling import METHODS, Denoise, Judge, Scores, State, drive

from .models import SHAPE, Gate, Watched, binding, directly, params, redness

SPECS: list[dict[str, Any]] = [
    {"method": "demon", "seed": 1},
    {"method": "demon", "seed": 2, "check": "score", "weights": "rank"},
    {"method": "demon", "seed": 3, "preset": "paper", "lookahead": "ode:2", "stop_sigma": 0.1},
    {"method": "pf_ode", "seed": 4, "solver": "heun"},
    {"method": "best_of_n", "seed": 5},
    {"method": "demon", "seed": 6, "guidance": 2.5, "prompt": "a red disc"},
]


def alone(spec: dict[str, Any]) -> State:
    """The run, driven by hand."""
    spec = dict(spec)
    toy, method = Toy(), METHODS[spec.pop("method")]
    bound = binding(toy, prompt=spec.pop("prompt", ""), guidance=spec.pop("guidance", 1.0))
    with torch.inference_mode():
        return drive(method.run(params(**spec)), directly(toy, bound))


async def in_engine(engine: Engine, spec: dict[str, Any]) -> State:
    """The same run on the engine."""
    spec = dict(spec)
    model, method = engine.models["toy"], METHODS[spec.pop("method")]
    assert isinstance(model, Toy)
    bound = binding(model, f"job-{spec['seed']}", spec.pop("prompt", ""), spec.pop("guidance", 1.0))
    return await engine.run(method.run(params(**spec)), bound)


@pytest.mark.parametrize("spec", SPECS, ids=lambda spec: f"{spec['method']}-{spec['seed']}")
async def test_a_job_is_the_same_driven_by_hand_and_by_the_engine(spec: dict[str, Any]) -> None:
    async with Engine({"toy": Toy()}) as engine:
        assert torch.equal((await in_engine(engine, spec)).x, alone(spec).x)


@pytest.mark.parametrize("budget", [2, 5, 64])
async def test_jobs_in_company_get_what_they_get_alone(budget: int) -> None:
    async with Engine({"toy": Toy()}, row_budget=budget) as engine:
        together = await asyncio.gather(*(in_engine(engine, spec) for spec in SPECS))
    for spec, state in zip(SPECS, together, strict=True):
        assert torch.equal(state.x, alone(spec).x), spec


@pytest.mark.parametrize("victim", range(1, 12))
async def test_a_job_cancelled_at_any_of_its_asks_leaves_the_others_and_nothing_behind(victim: int) -> None:
    seen = 0

    def stop_at(kind: str, rows: int) -> None:
        nonlocal seen
        seen += 1
        if seen == victim:
            loop.call_soon_threadsafe(doomed.cancel)

    loop = asyncio.get_running_loop()
    model = Watched()
    async with Engine({"toy": model}) as engine:
        doomed = asyncio.create_task(in_engine(engine, SPECS[1]))
        model.hook = stop_at
        other = asyncio.create_task(in_engine(engine, SPECS[0]))
        with pytest.raises(asyncio.CancelledError):
            await doomed
        assert torch.equal((await other).x, alone(SPECS[0]).x)
        assert await engine.call(lambda: (len(engine._asked), len(engine._line), len(engine._ready))) == (0, 0, 0)


async def test_a_judges_failure_is_raised_where_the_sampler_asked() -> None:
    async def judge(_: Judge) -> Scores:
        raise JudgeUnavailable("away")

    async def careful() -> str:
        try:
            await Judge(torch.zeros(2, 3, 32, 32))
        except JudgeUnavailable as failure:
            return f"caught: {failure}"
        return "nothing happened"

    async def careless() -> Scores:
        return await Judge(torch.zeros(2, 3, 32, 32))

    toy = Toy()
    bound = Binding("job", toy, toy.encode("", ""), 1.0, judge)
    async with Engine({"toy": toy}) as engine:
        assert await engine.run(careful(), bound) == "caught: away"
        with pytest.raises(JudgeUnavailable, match="away"):
            await engine.run(careless(), bound)


async def test_a_sampler_that_raises_or_asks_nonsense_fails_alone() -> None:
    async def defect() -> None:
        await Denoise(torch.zeros(1, 3, 32, 32, dtype=torch.float64), torch.ones(1, dtype=torch.float64))
        raise ZeroDivisionError

    async def nonsense() -> None:
        await Denoise(torch.zeros(2, 3, 32, 32, dtype=torch.float64), torch.ones(1, dtype=torch.float64))

    toy = Toy()
    async with Engine({"toy": toy}) as engine:
        other = asyncio.create_task(in_engine(engine, SPECS[0]))
        with pytest.raises(ZeroDivisionError):
            await engine.run(defect(), binding(toy))
        with pytest.raises(ValueError, match="one sigma a row"):
            await engine.run(nonsense(), binding(toy))
        assert torch.equal((await other).x, alone(SPECS[0]).x)


async def test_a_function_runs_on_the_thread_in_inference_mode_which_does_not_leak() -> None:
    async with Engine({"toy": Toy()}) as engine:
        assert await engine.call(torch.is_inference_mode_enabled)
        assert not torch.is_inference_mode_enabled()
        with pytest.raises(ZeroDivisionError):
            await engine.call(lambda: 1 // 0)
        assert engine.healthy


async def test_the_meters_of_all_jobs_count_every_row_once() -> None:
    model = Watched()
    bound = [binding(model, f"job-{n}", guidance=guidance) for n, guidance in enumerate((1.0, 2.0))]
    async with Engine({"toy": model}) as engine:
        model.forwards.clear()
        await asyncio.gather(*(engine.run(METHODS["demon"].run(params()), one) for one in bound))
    denoised = sum(rows for kind, rows in model.forwards if kind == "denoise")
    first, second = (one.meter for one in bound)
    assert second.network_rows == 2 * first.network_rows
    assert first.network_rows + second.network_rows // 2 == denoised
    assert first.decoded_pictures + second.decoded_pictures == sum(n for kind, n in model.forwards if kind == "decode")
    assert min(first.denoise_seconds, second.denoise_seconds, first.decode_seconds) > 0


async def test_stopped_while_jobs_run_it_fails_them_and_frees_the_models() -> None:
    model = Watched()
    engine = Engine({"toy": model})
    async with engine:
        forever = asyncio.create_task(engine.run(_endless(), binding(model)))
        await engine.call(lambda: None)
    with pytest.raises(EngineStopped, match="stopped while this job"):
        await forever
    assert model.closed
    assert not engine.healthy
    assert "stopped" in str(await engine.ended())
    with pytest.raises(EngineStopped):
        await engine.call(lambda: None)


async def _endless() -> None:
    x, sigma = torch.zeros(1, 3, 32, 32, dtype=torch.float64), torch.ones(1, dtype=torch.float64)
    while True:
        await Denoise(x, sigma)


def test_the_judge_of_these_tests_has_an_opinion() -> None:
    red, blue = torch.zeros(3, 32, 32), torch.zeros(3, 32, 32)
    red[0], blue[2] = 1, 1
    assert redness(torch.stack([red, blue])) == [1.0, -1.0]


@pytest.mark.parametrize(("giving_way", "batches"), [(True, [5, 4 + 1, 2]), (False, [5, 3 + 2, 2])])
async def test_what_gives_way_goes_behind_later_asks_as_long_as_it_does(giving_way: bool, batches: list[int]) -> None:
    gate, model = Gate(), Watched()
    patient = True  # until it is asked again, right before a forward

    async def rows(number: int) -> None:
        await Denoise(torch.zeros(number, *SHAPE, dtype=torch.float64), torch.ones(number, dtype=torch.float64))

    async with Engine({"toy": model}, row_budget=5) as engine:
        model.forwards.clear()
        model.hook = gate
        behind = replace(binding(model, "behind"), gives_way=lambda: patient)
        runs = [asyncio.create_task(engine.run(rows(5), binding(model, "first")))]
        await asyncio.to_thread(gate.reached.wait, 20)
        runs.append(asyncio.create_task(engine.run(rows(3), behind)))
        runs.append(asyncio.create_task(engine.run(rows(4), binding(model, "later"))))
        await asyncio.sleep(0)  # now both have put their mail into the inbox
        patient = giving_way
        gate.open()
        await asyncio.gather(*runs)
    assert model.forwards == [("denoise", number) for number in batches]
