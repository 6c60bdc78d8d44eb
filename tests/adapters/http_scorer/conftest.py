"""What these tests share: a scorer, and that no log holds its token."""

from collections.abc import AsyncIterator, Iterator

import pytest

from .scorer import TOKEN, Scorer, running


@pytest.fixture
async def scorer() -> AsyncIterator[Scorer]:
    """A scorer that scores four pictures 1, 2, 3, 4."""
    async with running() as scorer:
        yield scorer


@pytest.fixture(autouse=True)
def no_token_is_told(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Whatever libraries and we log, at any level, the token is not in it."""
    caplog.set_level("DEBUG")
    yield
    assert TOKEN not in caplog.text
