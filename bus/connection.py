"""How we reach Redis: one client with a pool, patience, and errors for people. It knows no key and no job."""

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.connection import parse_url
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    ConnectionError,
    OutOfMemoryError,
    ReadOnlyError,
    RedisError,
    ResponseError,
    TimeoutError,
)

from contracts.errors import BusUnavailable, first_line

RETRY_EVERY = timedelta(milliseconds=100)
REQUEST_PATIENCE = timedelta(seconds=2)  # somebody waits for an HTTP answer
WORKER_PATIENCE = timedelta(seconds=60)  # a restart of Redis must not end a job
BLOCK_MS = 1000  # the longest blocking read; below every socket's own time-out
SILENCE = timedelta(seconds=5)  # of a server that took a command and does not answer, as one that is stopped
MAX_CONNECTIONS = 64
AWAY = (ConnectionError, TimeoutError, OSError)

T = TypeVar("T")


class Client(Redis):
    """A Redis client that knows its URL and raises BusUnavailable where Redis cannot be reached or takes no writes.

    `patience`: how long a command is tried again before that.
    """

    def __init__(self, url: str, patience: timedelta) -> None:
        shortest = timedelta(milliseconds=2 * BLOCK_MS)
        seconds = min(SILENCE, max(shortest, patience)).total_seconds()
        # What stands in the URL beside these is the user's. redis-py itself tries nothing again: it would do so inside connect()
        # and around each command, each as often as the other, and hold a connection of the pool meanwhile.
        ours: dict[str, Any] = {
            "max_connections": MAX_CONNECTIONS,
            "timeout": seconds,
            "socket_timeout": seconds,
            "socket_connect_timeout": seconds,
            "retry": Retry(NoBackoff(), 0),
            "protocol": 2,  # the next one answers some reads in another shape
            "decode_responses": False,
        }
        super().__init__(connection_pool=BlockingConnectionPool(**{**parse_url(url), **ours}))
        self.auto_close_connection_pool = True
        self.url = url
        self.patience = patience

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        """Send one command. A command whose answer was lost is sent again, so our scripts allow repetition."""
        canceled_before = _cancel_requests()
        deadline = time.monotonic() + self.patience.total_seconds()
        while True:
            try:
                answer = await super().execute_command(*args, **options)  # type: ignore[no-untyped-call]
            except (RedisError, OSError) as error:
                _heed_cancel(canceled_before)
                if not _may_pass(error):
                    raise
                if isinstance(error, AuthenticationError) or time.monotonic() >= deadline:
                    raise BusUnavailable(unreachable(self.url, error)) from error
            else:
                _heed_cancel(canceled_before)
                return answer
            await asyncio.sleep(RETRY_EVERY.total_seconds())


class Patient(Retry):
    """For connections that are not ours: try again every tenth of a second until `patience` is over, counted from the first try.

    redis-py retries inside connect() and around each command; a number of tries would multiply there, a deadline does not.
    """

    def __init__(self, patience: timedelta) -> None:
        super().__init__(NoBackoff(), -1)
        self.patience = patience

    async def call_with_retry(
        self,
        do: Callable[[], Awaitable[T]],
        fail: Callable[..., Any],
        is_retryable: Callable[[Exception], bool] | None = None,
        with_failure_count: bool = False,
    ) -> T:
        """What `do` returns, or its last exception; `fail` is awaited after each."""
        deadline = time.monotonic() + self.patience.total_seconds()
        failures = 0
        while True:
            try:
                return await do()
            except AWAY as error:
                failures += 1
                await (fail(error, failures) if with_failure_count else fail(error))
                refused = isinstance(error, AuthenticationError) or (is_retryable and not is_retryable(error))
                if refused or time.monotonic() >= deadline:
                    raise
            await asyncio.sleep(RETRY_EVERY.total_seconds())


def connect(url: str, *, patience: timedelta = REQUEST_PATIENCE) -> Client:
    """A client for redis://, rediss:// or unix://. Nothing is sent yet. `patience`: how long a lost connection is tried again.

    Raises BusUnavailable for a URL that is none.
    """
    try:
        reason = _unreadable(url)
        client = None if reason else Client(url, patience)
    except ValueError as error:
        reason, client = str(error), None
    if client is None:
        raise BusUnavailable(
            f"{masked(url)!r} is no Redis URL ({reason}): write redis://host:6379/0 or unix:///path"
        ) from None
    return client


async def check(redis: Client) -> None:
    """Raise BusUnavailable, naming the URL without its password, unless Redis answers."""
    try:
        await redis.ping()
    except RedisError as error:
        raise BusUnavailable(unreachable(redis.url, error)) from error


@contextmanager
def sentences(url: str) -> Iterator[None]:
    """Raise BusUnavailable for what a Client would raise it for, where another client is used."""
    try:
        yield
    except (RedisError, OSError) as error:
        if not _may_pass(error):
            raise
        raise BusUnavailable(unreachable(url, error)) from error


def unreachable(url: str, error: BaseException) -> str:
    """The sentence for people."""
    name = f"Redis at {masked(url)}"
    if isinstance(error, AuthenticationError):
        return f"{name} refuses us ({error}): check the user and password in MAXWELL_REDIS_URL"
    if isinstance(error, OutOfMemoryError):
        return f"{name} is full ({error}): raise its maxmemory, or wait until ended jobs have been removed"
    if isinstance(error, ReadOnlyError):
        return f"{name} is a read-only replica ({error}): let MAXWELL_REDIS_URL name the primary"
    if str(error).startswith("MISCONF"):
        return f"{name} cannot write to its disk ({error}): make room there, and look at its log"
    return f"{name} cannot be reached ({first_line(error)}): check that it runs and that MAXWELL_REDIS_URL is right"


def masked(url: str) -> str:
    """The URL with its password hidden, whether it stands before the host or, as with unix://, in the query.

    Rather too much is hidden than too little: a password may hold what else separates the parts of a URL.
    """
    hidden = re.sub(r"(://[^:]*:).*@", r"\1***@", url, flags=re.DOTALL)
    return re.sub(r"(password=).*?(?=&\w+=|$)", r"\1***", hidden, flags=re.DOTALL)


def _unreadable(url: str) -> str:
    """Why a URL cannot be read, in words that quote none of it; empty where it can."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "it cannot be parsed"
    # Else a part of the password would be taken for host and port, and be shown as such.
    cut = parts.scheme in ("redis", "rediss") and "@" in parts.path + parts.fragment
    return "write / ? # in a password as %2F %3F %23" if cut else ""


def _may_pass(error: Exception) -> bool:
    """Whether it is Redis's state and not our mistake: away, full, a replica for a while, or without room on its disk."""
    return isinstance(error, (*AWAY, OutOfMemoryError, ReadOnlyError)) or (
        isinstance(error, ResponseError) and str(error).startswith("MISCONF")
    )


def _cancel_requests() -> int:
    task = asyncio.current_task()
    return task.cancelling() if task else 0


def _heed_cancel(before: int) -> None:
    """Raise the cancellation that came during a command: redis-py swallows it where it comes while a connection is made."""
    if _cancel_requests() > before:
        raise asyncio.CancelledError
