"""A claimed job while it is drawn: the steered run and its baseline side by side, each step written down, the pictures stored.

It knows what is kept of a step and of a result; it knows no states of jobs, no mathematics and no key.
"""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from time import perf_counter
from typing import Any

from torch import Tensor

from artifacts import ArtifactStore
from bus.jobs import Claim, Jobs
from contracts.errors import NotFound
from contracts.jobs import Progress, Result, StepAudit, Usage

from .checkpoints import from_bytes, to_bytes
from .comparison import compare
from .contact_sheet import contact_sheet
from .engine import Binding, Engine
from .judge_desk import JudgeDesk
from .judge_policy import check_answered, heed
from .pictures import encode, images, opened
from .sampling import METHODS, Ask, Decode, Params, State
from .sampling.demon import guided


class Canceled(Exception):
    """The user asked for the job's end."""


@dataclass
class Drawing:
    """What `draw` needs at hand."""

    claim: Claim
    jobs: Jobs
    store: ArtifactStore
    engine: Engine
    desk: JudgeDesk
    binding: Binding
    params: Params
    _started: float = field(default_factory=perf_counter)
    _writing: float = 0.0  # seconds spent on grids, checkpoints and results
    _reward: float | None = field(init=False)
    _rows: list[StepAudit] = field(default_factory=list)  # of all steps so far, earlier workers' included
    _steering: bool = True

    def __post_init__(self) -> None:
        self._reward = self.claim.record.progress.reward

    async def draw(self) -> Result:
        """From the last checkpoint to the finished picture, its baseline beside it. Raises Canceled and MaxwellError."""
        if self._method == "pf_ode":  # the picture is its own baseline
            return await self._finish(await self._steered(), None)
        try:
            async with asyncio.TaskGroup() as together:
                baseline = together.create_task(self._baseline())
                steered = together.create_task(self._steered())
        except BaseExceptionGroup as group:  # one failed, the other was cancelled for it
            raise group.exceptions[0] from None
        return await self._finish(steered.result(), baseline.result())

    @property
    def usage(self) -> Usage:
        """What the job has cost so far, earlier workers' part included."""
        before, meter = self.claim.record.usage, self.binding.meter
        spent = {
            "denoise": meter.denoise_seconds,
            "decode": meter.decode_seconds,
            "writing": self._writing,
            "total": perf_counter() - self._started,
        }
        seconds = self.desk.usage.seconds | {name: before.seconds.get(name, 0.0) + new for name, new in spent.items()}
        return self.desk.usage.model_copy(
            update={
                "network_rows": before.network_rows + meter.network_rows,
                "decoded_pictures": before.decoded_pictures + meter.decoded_pictures,
                "seconds": {name: round(value, 4) for name, value in seconds.items()},
            }
        )

    @property
    def _id(self) -> str:
        return self.desk.spec.id

    @property
    def _method(self) -> str:
        return self.desk.spec.sampler.method

    async def _baseline(self) -> Tensor:
        """The plain PF-ODE picture [1, 3, H, W] of the same seed. Once stored it is not drawn again when the job is taken up again."""
        try:
            data = await self.store.get(self._id, "baseline.png")
        except NotFound:
            # The device draws it while judges think: nobody waits for it before the steered picture is there.
            behind = replace(self.binding, gives_way=lambda: self._steering)
            state = await self.engine.run(METHODS["pf_ode"].run(self.params), behind)
            data = await asyncio.to_thread(_png, await self.engine.run(_decoded(state.x), behind))
            await self.store.put(self._id, "baseline.png", data)
        return await asyncio.to_thread(opened, data)

    async def _steered(self) -> State:
        """The last State. Each step is written down before the next one begins, or before a judge's failure ends the job."""
        self._rows = await self.jobs.audit(self._id)
        heed(self.desk.spec, self._rows)  # a worker may have died between writing a failure down and ending the job
        method, plain = METHODS[self._method], METHODS["pf_ode"]
        state = from_bytes(self.claim.checkpoint) if self.claim.checkpoint else method.start(self.params)
        while not method.done(state, self.params):
            sigma = float(self.params.sigmas[state.i])
            self.desk.begin(state.i + 1, sigma)
            # With no ask left there is nobody to propose candidates to.
            steers = self._method == "demon" and guided(state.i, self.params)
            unjudged = steers and not self.desk.affords("candidates", self.params.candidates)
            if unjudged:
                self.desk.refuse()
            state = await self._run((plain if unjudged else method).step(state, self.params))
            await self._write_down(state, sigma)
            heed(self.desk.spec, self._rows)
        self._steering = False
        return state

    async def _write_down(self, state: State, sigma: float) -> None:
        """Grid, then checkpoint, progress and audit row at once. Raises Canceled, Fenced."""
        started, memory = perf_counter(), self.desk.memory
        if memory.grid is not None:
            await self.store.put(self._id, _grid(state.i), memory.grid)
        audit = self._audit(state, sigma)
        mean = self._mean(audit)
        self._reward = self._reward if mean is None else mean  # a step that nobody judged leaves the last one standing
        progress = Progress(
            step=state.i, steps=self.params.steps, reward=self._reward, sigma=sigma, message=self._message()
        )
        canceled = await self.jobs.commit(
            self._id,
            self.claim.epoch,
            progress=progress,
            usage=self.usage,
            checkpoint=to_bytes(state),
            audit=audit,
        )
        self._writing += perf_counter() - started
        if canceled:
            raise Canceled
        self._rows.append(audit)

    def _audit(self, state: State, sigma: float) -> StepAudit:
        memory, report = self.desk.memory, state.report
        return StepAudit(
            step=state.i,
            sigma=sigma,
            scores=tuple(report.scores) if report else (),
            measured=memory.verdict.measured if memory.verdict else None,
            weights=tuple(report.weights) if report else (),
            taken=report.taken if report else "plain",
            check_score=report.check_score if report else None,
            rationale=memory.verdict.rationale if memory.verdict else None,
            cached=memory.verdict is not None and memory.verdict.usage.cached > 0,
            failure=memory.failure,
            check_failure=memory.check_failure,
            judge_seconds=round(memory.judge_seconds, 4),
            epoch=self.claim.epoch,
            at=datetime.now(UTC),
        )

    def _message(self) -> str:
        """What the user should know while it is drawn."""
        cut = self.binding.condition.cut
        verb = "were" if len(cut) > 1 else "was"
        return f"the {' and the '.join(cut)} {verb} cut: the model reads no more than the beginning" if cut else ""

    async def _finish(self, state: State, baseline: Tensor | None) -> Result:
        """Full decode, comparison, pictures stored. Raises Canceled, and the judge's last failure where it never answered."""
        if (await self.jobs.get(self._id)).cancel:  # asked for after the last step, while the plain picture was drawn
            raise Canceled
        check_answered(self.desk.spec, self._rows)
        picture = await self._run(_decoded(state.x))
        self.desk.begin(self.params.steps + 1, 0.0)  # asks of their own, after the last step's
        result = await compare(self.desk, picture, baseline, state.steered)
        started = perf_counter()
        data = await asyncio.to_thread(_png, picture)
        if baseline is None:
            await self.store.put(self._id, "baseline.png", data)
        await self.store.put(self._id, "image.png", data)
        await self.store.put(self._id, "contact-sheet.jpg", await self._contact_sheet())
        self._writing += perf_counter() - started
        return result

    async def _contact_sheet(self) -> bytes:
        """The grids of all judged steps on one sheet."""
        grids = []
        for row in self._rows:
            try:
                grid = await self.store.get(self._id, _grid(row.step))
            except NotFound:
                continue  # a step without candidates has none
            reward = "" if (mean := self._mean(row)) is None else f", mean reward {mean:.3g}"
            grids.append((f"step {row.step}, from sigma {row.sigma:.3g}{reward}", grid))
        return await asyncio.to_thread(contact_sheet, grids)

    def _mean(self, row: StepAudit) -> float | None:
        """The mean reward of a step's candidates, on the judge's own scale where it has one; None where that says nothing elsewhere."""
        known = [score for score in (row.measured or row.scores) if score is not None]
        return sum(known) / len(known) if known and self.desk.card.comparable else None

    async def _run(self, coroutine: Coroutine[Ask[Any], Any, Any]) -> Any:
        return await self.engine.run(coroutine, self.binding)


async def _decoded(x0: Tensor) -> Tensor:
    """The picture [1, 3, H, W] by the full decoder."""
    return await Decode(x0, preview=False)


def _png(picture: Tensor) -> bytes:
    return encode(images(picture)[0], "png")


def _grid(step: int) -> str:
    return f"steps/{step}/grid.jpg"
