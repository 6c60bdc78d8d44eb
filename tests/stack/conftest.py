"""One quick service for all tests of this part."""

from collections.abc import Iterator

import httpx
import pytest
import redis as sync_redis

from ..conftest import leaked_keys
from .running import Running, Witness, environment, gone, new_stack


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """The service; at the end neither a key that never goes away nor one of its processes is left."""
    folder = tmp_path_factory.mktemp("service")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environment(folder).items():
            patch.setenv(name, value)
        stack = new_stack(folder / "state")
        stack.__enter__()
    try:
        with httpx.Client(base_url=stack.url, timeout=30) as http:
            yield Running(stack, http, Witness(folder))
        pids = list(stack.pids.values())
        assert not gone(pids)
        with sync_redis.Redis.from_url(stack._environment["MAXWELL_REDIS_URL"]) as client:
            assert leaked_keys(client) == []
    finally:
        stack.stop()
    assert gone(pids)


@pytest.fixture
def service(whole: Running) -> Iterator[Running]:
    """The service with a witness that answers at once."""
    yield whole
    whole.witness.release()
