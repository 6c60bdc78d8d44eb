"""Settings of the reward models, read from the environment a factory gets. It knows no network."""

import hashlib
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from ..base import Environment
from ..settings import DEVICE, check_device, device_of_all, read_settings


class RewardSettings(BaseModel):
    """Where the weights are and how they run. Each is the environment's MAXWELL_JUDGE_<NAME>_ + NAME."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(min_length=1, description="A folder, a file, a hub's owner/name, or owner/name/file on a hub.")
    revision: str = Field("main", description="Branch, tag or commit of the model, where it is on a hub.")
    device: str = Field("cpu", description="cpu, cuda, cuda:1 ...")
    dtype: Literal["float32", "bfloat16", "float16"] = "float32"
    batch_size: int = Field(16, ge=1, description="Pictures that the device sees at once.")
    seconds_per_ask: float = Field(0.5, ge=0, allow_inf_nan=False, description="For estimates.")

    @property
    def fingerprint(self) -> str:
        """Of all that a score depends on."""
        told = self.model_dump_json(exclude={"device", "batch_size", "seconds_per_ask"})
        return hashlib.sha256(told.encode()).hexdigest()


class TextSettings(RewardSettings):
    """Of a network that reads the prompt."""

    tokenizer: str | None = Field(None, min_length=1, description="A folder or a hub's name; None: the published one.")


Settings = TypeVar("Settings", bound=RewardSettings)


def prefix_of(judge: str) -> str:
    """What the names of this judge's settings begin with."""
    return f"MAXWELL_JUDGE_{judge.upper()}_"


def read_reward_settings(kind: type[Settings], judge: str, published: str, environment: Environment) -> Settings:
    """The judge's settings. `published` is where its weights are on the hub, for whoever has set no model.

    Raises JudgeNotConfigured where nothing is set, and JudgeSetupError where the model is missing or something is wrong.
    """
    prefix = prefix_of(judge)
    fixes = {"model": f"set {prefix}MODEL to {published}, or to where it lies here"}
    settings = read_settings(kind, judge, prefix, environment, {"device": device_of_all(environment)}, fixes)
    check_device(judge, settings.device, DEVICE)
    return settings
