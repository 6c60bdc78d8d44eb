"""What a job made, over HTTP: pictures from the object store, trajectory and audit trail from the bus. It knows no drawing."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Response

from contracts.errors import NotFound
from contracts.jobs import JobRecord

from ..deps import Gateway, GatewayDep, JobId
from ..documentation import content, problems
from ..trajectory import trajectory_svg

TITLE_LENGTH = 45  # characters of the prompt above the plot

router = APIRouter(prefix="/v1/generations/{job_id}", tags=["artifacts"])


def _documented(media_type: str, description: str, *more: int) -> dict[str, Any]:
    return {
        "response_class": Response,
        "responses": {200: content(media_type, description), **problems(404, 503, *more)},
    }


@router.get(
    "/image.png", operation_id="get_image", summary="The result", **_documented("image/png", "The steered picture.")
)
async def image(job_id: JobId, gateway: GatewayDep) -> Response:
    """The picture that the judge's verdicts led to."""
    return await _picture(gateway, job_id, "image.png", "image/png")


@router.get(
    "/baseline.png",
    operation_id="get_baseline",
    summary="The plain picture of the same seed",
    **_documented("image/png", "The unsteered picture."),
)
async def baseline(job_id: JobId, gateway: GatewayDep) -> Response:
    """What the model draws from the same seed without a judge."""
    return await _picture(gateway, job_id, "baseline.png", "image/png")


@router.get(
    "/contact-sheet.jpg",
    operation_id="get_contact_sheet",
    summary="The candidates of every step",
    **_documented("image/jpeg", "The candidates of each step, with its noise level and mean reward."),
)
async def contact_sheet(job_id: JobId, gateway: GatewayDep) -> Response:
    """All steps on one sheet."""
    return await _picture(gateway, job_id, "contact-sheet.jpg", "image/jpeg")


@router.get(
    "/steps/{step}/grid.jpg",
    operation_id="get_step_grid",
    summary="The candidates of one step",
    **_documented("image/jpeg", "The candidates, what was chosen marked.", 422),
)
async def step_grid(
    job_id: JobId,
    step: Annotated[int, Path(ge=1, le=256, description="As the audit trail counts.")],
    gateway: GatewayDep,
) -> Response:
    """What the judge was shown at a step."""
    return await _picture(gateway, job_id, f"steps/{step}/grid.jpg", "image/jpeg")


@router.get(
    "/trajectory.svg",
    operation_id="get_trajectory",
    summary="The reward, step by step",
    **_documented("image/svg+xml", "A plot of the candidates' rewards; so far, while the job runs."),
)
async def trajectory(job_id: JobId, gateway: GatewayDep) -> Response:
    """Drawn from the audit trail."""
    record = await gateway.jobs.get(job_id)
    prompt = record.spec.prompt
    title = prompt if len(prompt) <= TITLE_LENGTH else prompt[: TITLE_LENGTH - 1] + "…"
    svg = trajectory_svg(await gateway.jobs.audit(job_id), f"{title} · {record.spec.judge}")
    policy = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
    return Response(svg, media_type="image/svg+xml", headers=_headers(record) | policy)


@router.get(
    "/audit.jsonl",
    operation_id="get_audit",
    summary="The audit trail",
    **_documented("application/jsonl", "One JSON object a step; so far, while the job runs."),
)
async def audit(job_id: JobId, gateway: GatewayDep) -> Response:
    """All that decided each step."""
    record = await gateway.jobs.get(job_id)
    lines = "".join(f"{row.model_dump_json()}\n" for row in await gateway.jobs.audit(job_id))
    return Response(lines, media_type="application/jsonl", headers=_headers(record))


async def _picture(gateway: Gateway, job_id: str, name: str, media_type: str) -> Response:
    record = await gateway.jobs.get(job_id)
    try:
        data = await gateway.store.get(job_id, name)
    except NotFound:
        raise NotFound(f"the job is {record.state.value} and has no {name}{_hint(record)}") from None
    return Response(data, media_type=media_type, headers=_headers(record))


def _hint(record: JobRecord) -> str:
    if not record.state.terminal:
        return f" yet (step {record.progress.step} of {record.progress.steps}): try again when it has ended"
    return f": {record.error.detail}" if record.error else ""


def _headers(record: JobRecord) -> dict[str, str]:
    """What a job made changes no more once it has ended; nobody but the user's own client may keep it."""
    kept = "private, max-age=3600" if record.state.terminal else "no-store"
    return {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
