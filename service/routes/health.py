"""The service about itself: discovery, liveness, readiness, metrics. It knows no job."""

from importlib.metadata import version

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST

from contracts.errors import BusUnavailable

from ..deps import GatewayDep
from ..documentation import content, problems
from ..views import Discovery, Liveness, Readiness

router = APIRouter(tags=["service"])


@router.get("/", operation_id="discover", summary="What this is", responses=problems())
async def discover() -> Discovery:
    """Where to begin."""
    return Discovery(
        name="maxwell",
        version=version("maxwell"),
        description="A diffusion model draws what a judge prefers.",
        urls={
            "generations": "/v1/generations",
            "scenarios": "/v1/scenarios",
            "judges": "/v1/judges",
            "models": "/v1/models",
            "documentation": "/docs",
            "openapi": "/openapi.json",
            "readiness": "/readyz",
        },
    )


@router.get("/livez", operation_id="live", summary="Does the process answer?", responses=problems())
async def live() -> Liveness:
    """Asks nobody else."""
    return Liveness()


@router.get("/readyz", operation_id="ready", summary="Would a job be drawn?", responses=problems(503))
async def ready(gateway: GatewayDep) -> Readiness:
    """200 while Redis answers: jobs are accepted, or refused with a reason. `status` says whether workers are there to draw them."""
    workers = await gateway.cards.workers()
    models = sorted({card.name for worker in workers for card in worker.models})
    judges = sorted({card.name for worker in workers for card in worker.judges})
    missing = [need for need, offered in {"GPU worker": models, "judge worker": judges}.items() if not offered]
    return Readiness(
        status="degraded" if missing else "ready",
        missing=missing,
        workers=len(workers),
        models=models,
        judges=judges,
        waiting=await gateway.jobs.waiting(),
    )


@router.get(
    "/metrics",
    operation_id="metrics",
    summary="Metrics for Prometheus",
    response_class=Response,
    responses={200: content("text/plain", "Prometheus text."), **problems()},
)
async def metrics(gateway: GatewayDep) -> Response:
    """Also while Redis is away; what is asked of it is NaN then."""
    try:
        waiting = float(await gateway.jobs.waiting())
    except BusUnavailable:
        waiting = float("nan")
    gateway.metrics.waiting.set(waiting)
    return Response(gateway.metrics.exposition(), media_type=CONTENT_TYPE_LATEST, headers={"Cache-Control": "no-store"})
