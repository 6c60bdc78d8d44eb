"""How we reach Redis: one client with a pool, patience, and errors for people. It knows no key and no job."""

import asyncio
import re
from datetime import timedelta
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import ConstantBackoff
from redis.exceptions import AuthenticationError, ConnectionError, RedisError, TimeoutError

from contracts.errors import BusUnavailable

RETRY_EVERY = timedelta(milliseconds=100)
REQUEST_PATIENCE = timedelta(seconds=2)  # somebody waits for an HTTP answer
WORKER_PATIENCE = timedelta(seconds=60)  # a restart of Redis must not end a job
BLOCK_MS = 1000  # the longest blocking read; below the socket's own time-out of 5 s
MAX_CONNECTIONS = 64
AWAY = (ConnectionError, TimeoutError, OSError)


class Client(Redis):
    """A Redis client that knows its URL and raises BusUnavailable where Redis cannot be reached."""

    def __init__(self, url: str, patience: timedelta) -> None:
        pool = BlockingConnectionPool.from_url(url, max_connections=MAX_CONNECTIONS, retry=retry(patience))
        super().__init__(connection_pool=pool)
        self.auto_close_connection_pool = True
        self.url = url

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command. A command whose answer was lost is sent again, so our scripts allow repetition."""
        canceled_before = _cancel_requests()
        try:
            answer = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
        except AWAY as error:
            _heed_cancel(canceled_before)
            raise BusUnavailable(unreachable(self.url, error)) from error
        _heed_cancel(canceled_before)
        return answer


def connect(url: str, *, patience: timedelta = REQUEST_PATIENCE) -> Client:
    """A client for redis://, rediss:// or unix://. Nothing is sent yet. `patience`: how long a lost connection is tried again.

    Raises BusUnavailable for a URL that is none.
    """
    try:
        return Client(url, patience)
    except ValueError as error:
        raise BusUnavailable(
            f"{masked(url)!r} is no Redis URL ({error}): write redis://host:6379/0 or unix:///path"
        ) from error


async def check(redis: Client) -> None:
    """Raise BusUnavailable, naming the URL without its password, unless Redis answers."""
    try:
        await redis.ping()
    except RedisError as error:
        raise BusUnavailable(unreachable(redis.url, error)) from error


def retry(patience: timedelta) -> Retry:
    """Try again every tenth of a second."""
    attempts = max(1, patience // RETRY_EVERY)
    # The declared type of `supported_errors` is narrower than what it takes.
    return Retry(ConstantBackoff(RETRY_EVERY.total_seconds()), attempts, supported_errors=AWAY)  # type: ignore[arg-type]


def unreachable(url: str, error: BaseException) -> str:
    """The sentence for people."""
    if isinstance(error, AuthenticationError):
        return f"Redis at {masked(url)} refuses us ({error}): check the user and password in MAXWELL_REDIS_URL"
    return f"Redis at {masked(url)} cannot be reached ({error}): check that it runs and that MAXWELL_REDIS_URL is right"


def masked(url: str) -> str:
    """The URL with its password hidden, whether it stands before the host or, as with unix://, in the query."""
    return re.sub(r"(://[^:/@]*:)[^@/]*@|(password=)[^&]*", lambda m: f"{m[1]}***@" if m[1] else f"{m[2]}***", url)


def _cancel_requests() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _heed_cancel(before: int) -> None:
    """Raise the cancellation that came during a command: redis-py swallows it where it comes while a connection is made."""
    if _cancel_requests() > before:
        raise asyncio.CancelledError
