"""The base of every contract: frozen, and strict about unknown fields. It knows no field of its own."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """A value that crosses a process border. Frozen; unknown fields are refused, so a typo is an error and not a default."""

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=())
