"""A job's changes as server-sent events. It knows the stream's form; what a change is, is the bus's."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from contracts.errors import BusUnavailable, NotFound
from contracts.jobs import JobRecord

from ..deps import Gateway, GatewayDep, JobId
from ..documentation import EVENT_STREAM, problems
from ..views import current_view

RECONNECT_MS = 2000

log = structlog.get_logger()
router = APIRouter(tags=["generations"])


@router.get(
    "/v1/generations/{job_id}/events",
    operation_id="follow_generation",
    summary="Follow a job",
    response_class=Response,
    responses={
        200: EVENT_STREAM,
        204: {"description": "The job has ended, and `Last-Event-ID` names its last change: do not reconnect."},
        **problems(404, 503),
    },
)
async def follow(
    job_id: JobId,
    gateway: GatewayDep,
    last_event_id: Annotated[str | None, Header(description="The `id` of the last event seen, on a reconnect.")] = None,
) -> Response:
    """Begins with the job as it is (unless `Last-Event-ID` names that version) and ends with the job."""
    record = await gateway.jobs.get(job_id)
    seen = int(last_event_id) if last_event_id and last_event_id.isdecimal() and len(last_event_id) < 16 else 0
    if record.state.terminal and seen == record.version:
        return Response(status_code=204)
    return EventSourceResponse(
        _changes(gateway, record, seen),
        ping=gateway.settings.keep_alive_seconds,
        ping_message_factory=lambda: ServerSentEvent(comment="keep-alive"),
    )


async def _changes(gateway: Gateway, record: JobRecord, seen: int) -> AsyncIterator[ServerSentEvent]:
    """The job as it is, then after each change. Changes that come faster than they are sent are sent as one.

    Where Redis goes away or the job is deleted, the stream just ends: the client reconnects, and is told then.
    """
    job_id = record.spec.id
    try:
        if record.version != seen:
            yield await _event(gateway, record, "status")
        if record.state.terminal:
            return
        async with aclosing(gateway.events.read(job_id, record.version)) as changes:
            async for change in changes:
                if change.version <= record.version:
                    continue
                before, record = record.state, await gateway.jobs.get(job_id)
                yield await _event(gateway, record, "status" if record.state is not before else "progress")
                if record.state.terminal:
                    return
    except NotFound:
        return
    except BusUnavailable as error:
        log.warning("an event stream ends early", job=job_id, reason=str(error))


async def _event(gateway: Gateway, record: JobRecord, kind: str) -> ServerSentEvent:
    view = await current_view(gateway.jobs, record)
    return ServerSentEvent(
        view.model_dump_json(),
        event="done" if record.state.terminal else kind,
        id=str(record.version),
        retry=RECONNECT_MS,
    )
