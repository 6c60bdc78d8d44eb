"""Jobs over HTTP: submit, look, list, cancel, delete. It knows headers and statuses; what a request means is `submission`'s."""

import asyncio
import re
from contextlib import aclosing, suppress
from math import ceil
from typing import Annotated, Any

from fastapi import APIRouter, Body, Depends, Header, Query, Response

from bus.jobs import Idempotency
from contracts.errors import BusUnavailable
from contracts.jobs import Estimate, JobRecord, JobRequest, JobState, JobView

from .. import submission
from ..body import json_only
from ..deps import JOB_ID, Gateway, GatewayDep, IdempotencyKey, JobId, WaitSeconds
from ..documentation import ACCEPTED, JOB_ANSWER, SUBMISSION_EXAMPLES, problems
from ..estimate import estimate
from ..views import JobPage, current_view, job_url, job_view

OWNER = "anonymous"  # until there are API keys
POLL_AT_MOST = 30  # seconds; the longest advice of a Retry-After

router = APIRouter(tags=["generations"])
_SUBMIT: dict[str, Any] = {
    "status_code": 202,
    "response_model": JobView,
    "dependencies": [Depends(json_only)],
    "responses": {202: ACCEPTED, **problems(400, 413, 415, 422, 429, 503)},
}


@router.post("/v1/generations", operation_id="create_generation", summary="Submit a job", **_SUBMIT)
@router.post("/generate", operation_id="generate", summary="Submit a job (the short way)", **_SUBMIT)
async def create(
    request: Annotated[JobRequest, Body(openapi_examples=SUBMISSION_EXAMPLES)],
    response: Response,
    gateway: GatewayDep,
    wait: WaitSeconds,
    key: IdempotencyKey = None,
) -> JobView:
    """Always answers 202 once the job is written down, whether or not it has ended by then: read `status`."""
    idempotency = Idempotency(key, submission.fingerprint(request)) if key else None
    accepted_before = await gateway.jobs.accepted_before(OWNER, idempotency) if idempotency else None
    if accepted_before is None:
        record, expected = await _accepted(request, response, gateway, idempotency)
    else:
        response.headers["Idempotent-Replayed"] = "true"
        record, expected = await gateway.jobs.get(accepted_before), None
    if wait:
        response.headers["Preference-Applied"] = f"wait={wait}"
        record = await _ended(gateway, record, wait)
    response.headers["Location"] = job_url(record.spec.id)
    if not record.state.terminal:
        response.headers["Retry-After"] = str(_look_again(expected))
    return await current_view(gateway.jobs, record, expected)


@router.get(
    "/v1/generations",
    operation_id="list_generations",
    summary="List jobs, newest first",
    responses=problems(422, 503),
)
async def list_jobs(
    gateway: GatewayDep,
    limit: Annotated[int, Query(ge=1, le=100, description="How many at most.")] = 20,
    cursor: Annotated[str | None, Query(pattern=JOB_ID, description="The `next_cursor` of the page before.")] = None,
    status: Annotated[JobState | None, Query(description="Only jobs in this state; a page may then be short.")] = None,
) -> JobPage:
    """Without `queue_position`: ask for the one job."""
    records, following = await gateway.jobs.list(None, limit, cursor, status)
    return JobPage(data=[job_view(record) for record in records], has_more=following is not None, next_cursor=following)


@router.get(
    "/v1/generations/{job_id}",
    operation_id="get_generation",
    summary="Look at a job",
    response_model=JobView,
    responses={
        200: JOB_ANSWER | {"headers": {"ETag": {"description": "Changes with the job.", "schema": {"type": "string"}}}},
        304: {"description": "The job is as the ETag in If-None-Match says."},
        **problems(404, 503),
    },
)
async def get(
    job_id: JobId,
    response: Response,
    gateway: GatewayDep,
    if_none_match: Annotated[str | None, Header(description="An ETag from before, several, or `*`.")] = None,
) -> JobView | Response:
    """The job as it is now."""
    view = await current_view(gateway.jobs, await gateway.jobs.get(job_id))
    etag = f'W/"{view.version}-{view.queue_position or 0}"'
    headers = {"ETag": etag, "Cache-Control": "no-cache"}
    if _matches(if_none_match, etag):
        return Response(status_code=304, headers=headers)
    response.headers.update(headers)
    return view


@router.post(
    "/v1/generations/{job_id}/cancel",
    operation_id="cancel_generation",
    summary="Cancel a job",
    responses={200: JOB_ANSWER, **problems(404, 409, 503)},
)
async def cancel(job_id: JobId, gateway: GatewayDep) -> JobView:
    """A waiting job ends now, a running one at its next step. Canceling again changes nothing."""
    return await current_view(gateway.jobs, await gateway.jobs.cancel(job_id))


@router.delete(
    "/v1/generations/{job_id}",
    operation_id="delete_generation",
    summary="Remove an ended job and its pictures",
    status_code=204,
    responses=problems(404, 409, 503),
)
async def delete(job_id: JobId, gateway: GatewayDep) -> None:
    """The pictures first: should that fail, the job is still there and can be deleted again."""
    if (await gateway.jobs.get(job_id)).state.terminal:
        await gateway.store.delete_all(job_id)
    await gateway.jobs.delete(job_id)


async def _accepted(
    request: JobRequest, response: Response, gateway: Gateway, idempotency: Idempotency | None
) -> tuple[JobRecord, Estimate]:
    """Write the job down, unless the same key has just done so."""
    model = submission.find_model(request.model, await gateway.cards.models())
    judge = submission.find_judge(request.judge, await gateway.cards.judges())
    spec = submission.resolve(request, model, judge)
    accepted = await gateway.jobs.submit(
        spec, steps=spec.sampler.steps, idempotency=idempotency, queue_limit=gateway.settings.queue_limit
    )
    if accepted.replayed:
        response.headers["Idempotent-Replayed"] = "true"
    else:
        scenario = spec.scenario or ("custom" if spec.scenario_text else "none")
        gateway.metrics.submitted.labels(scenario, spec.judge, spec.model).inc()
    return await gateway.jobs.get(accepted.job_id), estimate(spec, model, judge)


async def _ended(gateway: Gateway, record: JobRecord, seconds: float) -> JobRecord:
    """The record once the job has ended, or after `seconds` as it is then; the accepted one where Redis went away meanwhile."""
    with suppress(BusUnavailable):
        with suppress(TimeoutError):
            async with (
                asyncio.timeout(seconds),
                aclosing(gateway.events.read(record.spec.id, record.version)) as changes,
            ):
                async for _ in changes:
                    pass  # the stream ends with the job
        return await gateway.jobs.get(record.spec.id)
    return record


def _matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the header names this weak tag (RFC 9110: a list, weak and strong tags alike, or `*` for any)."""
    sent = if_none_match or ""
    opaque = etag.removeprefix("W/")
    return sent.strip() == "*" or opaque in re.findall(r'"[^"]*"', sent)


def _look_again(expected: Estimate | None) -> int:
    return min(POLL_AT_MOST, max(1, ceil((expected and expected.seconds) or 1.0)))
