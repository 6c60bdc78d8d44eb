"""Runs the gateway under uvicorn until SIGTERM or Ctrl-C. It knows the process; it knows no route."""

import uvicorn

from .app import create_app
from .settings import GatewaySettings

DRAIN_SECONDS = (
    5  # for requests in flight; held `Prefer: wait` answers and event streams are cut then, clients ask again
)


def main() -> None:
    """Serve until told to stop."""
    settings = GatewaySettings()
    uvicorn.run(
        create_app(settings),
        host=settings.host,
        port=settings.port,
        access_log=False,  # our own line carries the request id
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
