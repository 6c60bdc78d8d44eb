"""From a request to a job that says everything: names resolved against the workers' cards, every default filled in.

It knows what can be asked for now; it knows no HTTP and does not write anything down.
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from bus.jobs import new_job_id
from contracts.errors import JudgeUnavailable, ModelUnavailable, RequestRefused
from contracts.jobs import SEED_LIMIT, JobRequest, JobSpec
from contracts.judging import JudgeCard
from contracts.models import ModelCard
from contracts.scenarios import SCENARIOS

Named = TypeVar("Named")

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ufffe\uffff]")  # all but tab and line ends


def resolve(request: JobRequest, model: ModelCard, judge: JudgeCard) -> JobSpec:
    """The job that the request asks for. Raises RequestRefused, naming the field and what is allowed."""
    for name in ("prompt", "negative_prompt", "scenario_text"):
        if _CONTROL.search(getattr(request, name) or ""):
            raise RequestRefused(f"{name} holds control characters, which no model reads: remove them", f"/{name}")
    if request.sampler.lookahead == "consistency":
        _check_leap(request, model)
    if request.sampler.method != "pf_ode" and request.sampler.candidates > judge.max_pictures:
        raise RequestRefused(
            f"the judge {judge.name} looks at most at {judge.max_pictures} pictures at once: ask for fewer candidates",
            "/sampler/candidates",
        )
    if request.budget.usd is not None and judge.call.usd is None:
        raise RequestRefused(
            f"the judge {judge.name} has no price here, so that a cap in dollars cannot be kept: leave budget.usd out, cap "
            "budget.judge_calls, or have its price set where it runs",
            "/budget/usd",
        )
    created = datetime.now(UTC)
    guidance = model.guidance if request.sampler.guidance is None else request.sampler.guidance
    return JobSpec(
        id=new_job_id(),
        prompt=request.prompt,
        negative_prompt=request.negative_prompt,
        scenario=request.scenario,
        scenario_text=_scenario_text(request),
        judge=judge.name,
        model=model.name,
        sampler=request.sampler.model_copy(update={"guidance": guidance}),
        seed=secrets.randbelow(SEED_LIMIT) if request.seed is None else request.seed,
        width=_size("width", request.width, model.width, model),
        height=_size("height", request.height, model.height, model),
        budget=request.budget,
        on_judge_failure=request.on_judge_failure,
        max_skipped_steps=request.sampler.steps // 2
        if request.max_skipped_steps is None
        else request.max_skipped_steps,
        priority=request.priority,
        metadata=request.metadata,
        created_at=created,
        deadline=created + timedelta(seconds=request.budget.seconds) if request.budget.seconds else None,
    )


def _check_leap(request: JobRequest, model: ModelCard) -> None:
    scale = model.consistency_guidance
    if scale is None:
        raise RequestRefused(
            f"the model {model.name} has no consistency network beside it: choose another lookahead",
            "/sampler/lookahead",
        )
    if not model.leaps(request.sampler.guidance, request.negative_prompt):
        raise RequestRefused(
            f"the consistency network of {model.name} has guidance {scale:g} and no negative prompt built in: ask for these, or "
            "choose another lookahead",
            "/sampler/lookahead",
        )


def find_model(name: str, offered: Mapping[str, ModelCard]) -> ModelCard:
    """The card of the model. Raises RequestRefused for an unknown one, ModelUnavailable where no worker serves any."""
    if not offered:
        raise ModelUnavailable(
            "no GPU worker is running: start one, or wait for the one that is starting, then send the request again"
        )
    return _named("model", name, offered)


def find_judge(name: str, offered: Mapping[str, JudgeCard]) -> JudgeCard:
    """The card of the judge. Raises RequestRefused for an unknown one, JudgeUnavailable where no worker hosts any."""
    if not offered:
        raise JudgeUnavailable(
            "no judge worker is running: start one, or wait for the one that is starting, then send the request again"
        )
    return _named("judge", name, offered)


def fingerprint(request: JobRequest) -> str:
    """The same for requests that ask for the same, however they are written."""
    return hashlib.sha256(json.dumps(request.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


def _scenario_text(request: JobRequest) -> str:
    if request.scenario is None:
        return request.scenario_text or ""
    return _named("scenario", request.scenario, SCENARIOS).text


def _named(field: str, name: str, offered: Mapping[str, Named]) -> Named:
    if name not in offered:
        raise RequestRefused(f"there is no {field} {name!r}: choose one of {', '.join(sorted(offered))}", f"/{field}")
    return offered[name]


def _size(field: str, asked: int | None, default: int, model: ModelCard) -> int:
    size = default if asked is None else asked
    if not model.min_size <= size <= model.max_size or size % model.size_multiple:
        raise RequestRefused(
            f"the model {model.name} does not draw a {field} of {size}: choose a multiple of {model.size_multiple} "
            f"between {model.min_size} and {model.max_size}",
            f"/{field}",
        )
    return size
