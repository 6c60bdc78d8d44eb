"""Keeps order while the gateway runs: overdue jobs end, and what is kept of removed ones goes, also where no worker runs.

Several gateways may do so at once. It knows when; what is over, the bus knows.
"""

import asyncio
from datetime import timedelta

import structlog

from artifacts import ArtifactStore
from bus.jobs import Jobs
from contracts.errors import MaxwellError

TIDY_EVERY = timedelta(seconds=5)

log = structlog.get_logger()


async def tidy_forever(jobs: Jobs, store: ArtifactStore) -> None:
    """Until cancelled; Redis and the picture store may be away for a while."""
    while True:
        try:
            await jobs.expire()
            await jobs.remove_old(store.delete_all)
        except MaxwellError as error:
            log.warning("cannot keep order, will try again", code=error.code, reason=str(error))
        except Exception:  # of one pass; without the next ones jobs would wait for ever
            log.exception("keeping order failed unexpectedly, will try again")
        await asyncio.sleep(TIDY_EVERY.total_seconds())
