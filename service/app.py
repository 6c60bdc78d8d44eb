"""The gateway as an ASGI app: what it holds, its middleware, its routes. It knows how the parts fit; each part knows itself."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI

from artifacts import ArtifactStore
from bus.cards import Cards
from bus.connection import connect
from bus.events import Events
from bus.jobs import Jobs

from . import errors
from .body import BodyLimit
from .deps import Gateway
from .documentation import DESCRIPTION, TAGS, completed
from .observation import Metrics, Observed
from .routes import artifacts, catalog, generations, health, stream
from .settings import GatewaySettings
from .tidying import tidy_forever


class _App(FastAPI):
    """Documents no answer that it does not give: the framework adds its own 422 to whatever has a parameter."""

    def openapi(self) -> dict[str, Any]:
        return completed(super().openapi())


def create_app(settings: GatewaySettings) -> FastAPI:
    """The gateway. Nothing is sent to Redis yet: it may come and go while the gateway runs.

    Raises BusUnavailable for a Redis URL that is none.
    """
    redis = connect(settings.redis_url)
    gateway = Gateway(
        settings=settings,
        redis=redis,
        jobs=Jobs(redis),
        events=Events(redis),
        cards=Cards(redis),
        store=ArtifactStore(settings.pictures_url),
        metrics=Metrics(),
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with redis:
            tidying = asyncio.create_task(tidy_forever(gateway.jobs, gateway.store), name="tidying")
            try:
                yield
            finally:
                tidying.cancel()
                await asyncio.wait([tidying])

    app = _App(
        title="Maxwell",
        version=version("maxwell"),
        description=DESCRIPTION,
        openapi_tags=TAGS,
        lifespan=lifespan,
        redirect_slashes=False,
    )
    app.state.gateway = gateway
    errors.install(app)
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes)
    app.add_middleware(Observed, metrics=gateway.metrics)  # added last: outermost
    for routes in (generations, stream, artifacts, catalog, health):
        app.include_router(routes.router)
    return app
