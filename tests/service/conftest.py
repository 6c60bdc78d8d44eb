"""A gateway for all tests of this part, a client of it, and workers' cards."""

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import structlog

from bus.cards import Cards
from bus.connection import Client
from bus.jobs import Jobs
from bus.server import EmbeddedServer
from service.settings import GatewaySettings

from .by_hand import MODEL, SCORING, SELECTING, running


@pytest.fixture(scope="session", autouse=True)
def plain_tracebacks() -> None:
    """As our processes log them; structlog's default takes seconds for one."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


@pytest.fixture(scope="session")
def settings(server: EmbeddedServer, tmp_path_factory: pytest.TempPathFactory) -> GatewaySettings:
    """Of the gateway."""
    return GatewaySettings(redis_url=server.url, state_dir=tmp_path_factory.mktemp("state"), keep_alive_seconds=0.2)


@pytest.fixture(scope="package")
def gateway_url(settings: GatewaySettings) -> Iterator[str]:
    """The gateway of this part, no longer: it keeps order in the run's Redis. It holds nothing that one test could leave to the next."""
    with running(settings) as url:
        yield url


@pytest.fixture
async def client(gateway_url: str, redis: Client) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the gateway over an empty database."""
    async with httpx.AsyncClient(base_url=gateway_url, timeout=60) as http:
        yield http


@pytest.fixture
async def workers(redis: Client) -> AsyncIterator[None]:
    """A GPU worker and a judge worker offer their cards."""
    cards = Cards(redis)
    async with (
        cards.published("gpu-1", models=[MODEL]),
        cards.published("judge-1", judges=[SELECTING, SCORING]),
    ):
        yield


@pytest.fixture
def jobs(redis: Client) -> Jobs:
    """The jobs as workers see them."""
    return Jobs(redis)
