"""Runs the gateway under uvicorn until SIGTERM or Ctrl-C. It knows the process; it knows no route."""

import structlog
import uvicorn

from .app import create_app
from .settings import GatewaySettings

# For requests in flight. Held answers (`Prefer: wait`) are cut then, event streams at once; clients ask again.
DRAIN_SECONDS = 5

log = structlog.get_logger()


def main() -> None:
    """Serve until told to stop."""
    settings = GatewaySettings()
    app = create_app(settings)
    log.info("the gateway starts", host=settings.host, port=settings.port)
    uvicorn.run(
        app,
        host=settings.host,
        port=settings.port,
        log_config=None,  # the process has configured its logs
        access_log=False,  # our own line carries the request id
        server_header=False,
        timeout_graceful_shutdown=DRAIN_SECONDS,
    )


if __name__ == "__main__":
    main()
