"""What the tests of judges share: a provider of vision-language models."""

from collections.abc import Iterator
from pathlib import Path

import certifi
import pytest

from ..conformance.provider import Provider, running


@pytest.fixture(scope="package", autouse=True)
def one_certificate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Clients trust one certificate instead of all: the provider speaks plain HTTP, and reading them takes longer than most tests."""
    end = "-----END CERTIFICATE-----\n"
    certificate = tmp_path_factory.mktemp("certificates") / "one.pem"
    certificate.write_text(Path(certifi.where()).read_text(encoding="utf-8").partition(end)[0] + end)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(certificate))
        yield


@pytest.fixture(scope="session")
def provider_of_all() -> Iterator[Provider]:
    """One provider for the whole run."""
    with running() as provider:
        yield provider


@pytest.fixture
def provider(provider_of_all: Provider) -> Provider:
    """The provider, which has received nothing yet."""
    provider_of_all.reset()
    return provider_of_all
