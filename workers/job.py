"""One job from claim to end: restore, step, checkpoint, finish.

It knows the order of things and who is told; it knows no mathematics (the sampler's), no batching (the engine's) and no key
(the bus's). What a step looks like from outside is in `drawing.py`.
"""

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import structlog

from artifacts import ArtifactStore
from bus.asks import Asks
from bus.cards import Cards
from bus.jobs import Claim, Jobs
from contracts.errors import (
    BusUnavailable,
    EngineStopped,
    Fenced,
    JudgeMisconfigured,
    JudgeUnavailable,
    MaxwellError,
    ModelUnavailable,
    problem_of,
)
from contracts.jobs import JobState
from contracts.judging import JudgeCard

from .drawing import Canceled, Drawing
from .engine import Binding, Engine
from .judge_desk import JudgeDesk
from .parameters import params_for

LOOK_FOR_JUDGE_EVERY = timedelta(milliseconds=500)

log = structlog.get_logger()


@dataclass(frozen=True)
class JobRunner:
    """Runs jobs on this worker. One `run` a job; many at once; the engine shares the device among them.

    `patience`: how long a judge may take for one ask, and how long a job waits for a judge that nobody offers just now.
    """

    jobs: Jobs
    asks: Asks
    cards: Cards
    store: ArtifactStore
    engine: Engine
    worker: str
    patience: timedelta

    async def run(self, job_id: str) -> None:
        """Take the job and bring it to a terminal state.

        Raises where the job is not ours to end: Fenced (another worker has taken it over), BusUnavailable and EngineStopped (it is
        tried again, from its last step), CancelledError (it is handed back: this worker stops).
        """
        claim = await self.jobs.claim(job_id, self.worker)
        if claim is None:
            return
        logger = log.bind(job=job_id, epoch=claim.epoch)
        logger.info("job begun", step=claim.record.progress.step, judge=claim.record.spec.judge)
        drawing: Drawing | None = None
        state, result, error = JobState.FAILED, None, None
        try:
            async with asyncio.timeout(_seconds_left(claim)):
                drawing = await self._begin(claim)
                result = await drawing.draw()
            state = JobState.SUCCEEDED
        except (Fenced, BusUnavailable, EngineStopped) as interruption:
            logger.warning("job interrupted", code=interruption.code, reason=str(interruption))
            raise
        except asyncio.CancelledError:
            await self.jobs.hand_back(job_id, claim.epoch)
            logger.info("job handed back")
            raise
        except Canceled:
            state = JobState.CANCELED
        except TimeoutError:
            state = JobState.EXPIRED
        except MaxwellError as failure:
            logger.warning("job failed", code=failure.code, reason=str(failure))
            error = problem_of(failure)
        except Exception as failure:
            # The job must end; the traceback is for the log, not for the user.
            logger.exception("job failed unexpectedly")
            sentence = f"the worker failed unexpectedly ({type(failure).__name__}); its log says more"
            error = problem_of(MaxwellError(sentence))
        usage = drawing.usage if drawing else claim.record.usage
        await self.jobs.finish(job_id, claim.epoch, state, result=result, error=error, usage=usage)
        logger.info("job ended", state=state.value, seconds=round(usage.seconds.get("total", 0.0), 2))

    async def _begin(self, claim: Claim) -> Drawing:
        """Everything a job needs at hand. Raises ModelUnavailable, JudgeUnavailable, JudgeMisconfigured, RequestRefused."""
        spec = claim.record.spec
        model = self.engine.models.get(spec.model)
        if model is None:
            served = ", ".join(self.engine.models)
            raise ModelUnavailable(f"this worker does not serve the model {spec.model!r}: it serves {served}")
        shape = model.latent_shape(spec.width, spec.height)
        condition = await self.engine.call(lambda: model.encode(spec.prompt, spec.negative_prompt))
        card = await self._judge(claim)
        if spec.budget.usd is not None and card.call.usd is None:  # it had one when the job was accepted
            raise JudgeMisconfigured(
                f"the judge {spec.judge!r} has no price any more, so that this job's cap in dollars cannot be kept: have its price set "
                "where it runs (MAXWELL_JUDGE_PRICES), then send the request again"
            )
        desk = JudgeDesk(spec, card, self.asks, self.cards, self.patience, claim.record.usage)
        assert spec.sampler.guidance is not None, "a spec has every default that it shows filled in"
        binding = Binding(spec.id, model, condition, spec.sampler.guidance, desk.judge)
        params = params_for(spec, model.card, shape, card.kind)
        return Drawing(claim, self.jobs, self.store, self.engine, desk, binding, params)

    async def _judge(self, claim: Claim) -> JudgeCard:
        """The judge's card; its worker may be just starting again."""
        spec = claim.record.spec
        deadline = asyncio.get_running_loop().time() + self.patience.total_seconds()
        while (card := (await self.cards.judges()).get(spec.judge)) is None:
            if (await self.jobs.get(spec.id)).cancel:
                raise Canceled
            if asyncio.get_running_loop().time() > deadline:
                raise JudgeUnavailable(
                    f"no judge worker offers the judge {spec.judge!r} now: start one, then send the request again"
                )
            await asyncio.sleep(LOOK_FOR_JUDGE_EVERY.total_seconds())
        return card


def _seconds_left(claim: Claim) -> float | None:
    deadline = claim.record.spec.deadline
    return None if deadline is None else (deadline - datetime.now(UTC)).total_seconds()
