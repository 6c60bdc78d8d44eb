"""The settings of a GPU worker, from MAXWELL_* in the environment, read once in main(). It knows no default of a model."""

from pathlib import Path

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

from artifacts.location import default_url


class GpuWorkerSettings(BaseSettings):
    """What one GPU worker needs to know."""

    model_config = SettingsConfigDict(env_prefix="MAXWELL_", frozen=True, extra="ignore", protected_namespaces=())

    redis_url: str = "redis://127.0.0.1:6379/0"
    state_dir: Path = Path(".maxwell")
    store_url: str | None = Field(
        None, description="Object store of the pictures; by default a folder under state_dir."
    )
    models: str = Field(
        "embedded,toy", description="What to serve: name, or name=family:path-or-hub-id, comma-separated."
    )
    device: str | None = Field(None, description="cpu, cuda, cuda:1 …; by default cuda where there is one.")
    threads: int | None = Field(None, ge=1, description="CPU threads of the networks; by default all cores.")
    room: int = Field(32, ge=1, description="Jobs in flight at once; most of them wait for their judge.")
    row_budget: int | None = Field(None, ge=1, description="Network rows a forward; found at warm-up if left out.")
    judge_seconds: float = Field(
        120.0, gt=0, description="How long a judge may take for one ask before it counts as failed."
    )

    @property
    def pictures_url(self) -> str:
        """The object store's URL."""
        return self.store_url or default_url(self.state_dir)
