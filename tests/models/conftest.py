"""Networks in float32 whatever the machine: tolerances here are float32's."""

import pytest
import torch


@pytest.fixture(autouse=True)
def float32(monkeypatch: pytest.MonkeyPatch) -> None:
    """A processor that computes in bfloat16 would serve networks in it."""
    monkeypatch.setattr(torch.cpu, "get_capabilities", dict)
