"""What a route may ask for, each under one name. It knows how a request names things; it knows no route and no answer."""

import re
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Header, Path, Request

from artifacts import ArtifactStore
from bus.cards import Cards
from bus.connection import Client
from bus.events import Events
from bus.jobs import Jobs
from contracts.errors import NotFound

from .observation import Metrics
from .settings import GatewaySettings
from .views import EXAMPLE_ID

JOB_ID = r"^gen_[0-9a-f]{32}$"
MAX_WAIT_SECONDS = 60


@dataclass(frozen=True)
class Gateway:
    """All that the gateway holds while it runs."""

    settings: GatewaySettings
    redis: Client
    jobs: Jobs
    events: Events
    cards: Cards
    store: ArtifactStore
    metrics: Metrics


def _gateway(request: Request) -> Gateway:
    gateway: Gateway = request.app.state.gateway
    return gateway


def _job_id(
    job_id: Annotated[str, Path(description="The `id` that POST answered.", examples=[EXAMPLE_ID])],
) -> str:
    """The id, if it can be one: anything else names no job, so it is not found rather than invalid."""
    if re.fullmatch(JOB_ID, job_id) is None:
        raise NotFound(f"{job_id!r} is not the id of a job: ids are gen_ and 32 hexadecimal digits")
    return job_id


def _wait_seconds(
    prefer: Annotated[
        str | None,
        Header(
            description=f"`wait=n`: hold the answer until the job has ended, at most n seconds (n up to {MAX_WAIT_SECONDS}).",
            examples=["wait=10"],
        ),
    ] = None,
) -> int:
    """The seconds of `Prefer: wait=n` (RFC 7240), 0 without it. Preferences that we do not know are ignored, as the RFC asks."""
    found = re.search(r"(?:^|[,;])\s*wait\s*=\s*\"?(\d{1,9})\"?\s*(?:$|[,;])", prefer or "", re.IGNORECASE | re.ASCII)
    return min(int(found[1]), MAX_WAIT_SECONDS) if found else 0


GatewayDep = Annotated[Gateway, Depends(_gateway)]
JobId = Annotated[str, Depends(_job_id)]
WaitSeconds = Annotated[int, Depends(_wait_seconds)]
IdempotencyKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        pattern=r"^[!-~]{1,255}$",
        description="A key of your own for this request. Sent again within 24 hours with the same body it answers the same job; "
        "with another body it is refused.",
        examples=["order-4711"],
    ),
]
