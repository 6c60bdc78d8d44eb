"""What the tests of judges share: a provider of vision-language models."""

from collections.abc import Iterator

import pytest

from ..conformance.provider import Provider, running


@pytest.fixture(scope="session")
def provider_of_all() -> Iterator[Provider]:
    """One provider for the whole run."""
    with running() as provider:
        yield provider


@pytest.fixture
def provider(provider_of_all: Provider) -> Provider:
    """The provider, which has received nothing yet."""
    provider_of_all.received.clear()
    return provider_of_all
