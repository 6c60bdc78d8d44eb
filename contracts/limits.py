"""What all judge workers together may ask of one account at a provider. It knows no provider and no key of it."""

from pydantic import Field

from ._base import Contract


class JudgeLimits(Contract):
    """Limits shared by every process whose judges use the same account. None: no limit."""

    account: str = Field(
        description="A digest of the provider's address, the key and the model; it gives none of them away."
    )
    requests_per_minute: int | None = Field(None, ge=1)
    tokens_per_minute: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1, description="Calls under way at a time.")
    failures: int = Field(10, ge=1, description="In a row, after which nobody is let through for a while.")
