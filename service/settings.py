"""The settings of the gateway, from MAXWELL_* in the environment, read once in main(). It knows no route."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from artifacts.location import default_url


class GatewaySettings(BaseSettings):
    """What the gateway needs to know."""

    model_config = SettingsConfigDict(env_prefix="MAXWELL_", frozen=True, extra="ignore")

    redis_url: str = "redis://127.0.0.1:6379/0"
    state_dir: Path = Path(".maxwell")
    store_url: str | None = Field(
        None, description="Object store of the pictures; by default a folder under state_dir."
    )
    host: str = "127.0.0.1"
    port: int = Field(8000, ge=1, le=65535)
    queue_limit: int = Field(1000, ge=1, description="Jobs that may wait; beyond them a request is answered 429.")
    max_body_bytes: int = Field(2**20, ge=1, description="A longer request body is answered 413.")
    keep_alive_seconds: float = Field(15.0, gt=0, description="A comment on idle event streams, so proxies keep them.")

    @property
    def pictures_url(self) -> str:
        """The object store's URL."""
        return self.store_url or default_url(self.state_dir)
