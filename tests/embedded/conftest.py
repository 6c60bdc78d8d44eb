"""The shipped text encoder and judge's network, read once for all tests here."""

import pytest

from embedded.scorer import Scorer
from embedded.text import TextEncoder


@pytest.fixture(scope="session")
def encoder() -> TextEncoder:
    """The shipped text encoder."""
    return TextEncoder()


@pytest.fixture(scope="session")
def scorer() -> Scorer:
    """The judge's network with its text encoder."""
    return Scorer()
