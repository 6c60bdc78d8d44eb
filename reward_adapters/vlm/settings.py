"""Settings of the judges that ask models, read from the environment a factory gets. It knows no SDK."""

import hashlib
import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Literal, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, Json, SecretStr

from contracts.limits import JudgeLimits

from ..base import Environment, JudgeSetupError
from ..settings import read_settings
from .pricing import PRICES, Price, read_prices
from .showing import Mode


class VlmSettings(BaseModel):
    """What every judge that asks a model has to be told. Each is the environment's PREFIX + NAME."""

    model_config = ConfigDict(frozen=True)

    model: str = Field(min_length=1, description="The model's name, as the provider writes it.")
    max_tokens: int = Field(2000, ge=50, description="Of one answer, thinking included.")
    max_images: int = Field(64, ge=2, description="Of one request; more candidates need the mode grid or pairwise.")
    mode: Mode = "separate"
    selected: int | None = Field(None, ge=1, description="How many to choose; by default half of the pictures.")
    votes: int = Field(1, ge=1, le=15, description="Calls about the same pictures, each in another order.")
    rounds: int = Field(4, ge=1, description="Of the mode pairwise: in how many pairs each picture is compared.")
    requests_per_minute: int | None = Field(None, ge=1, description="Of all judge workers together, as the next three.")
    tokens_per_minute: int | None = Field(None, ge=1)
    concurrency: int | None = Field(None, ge=1, description="Calls under way at a time.")
    breaker_failures: int = Field(
        10, ge=1, description="Failed calls in a row, after which it is left alone for a while."
    )
    tokens_per_picture: int | None = Field(
        None,
        ge=0,
        description="For estimates, of one picture or of the grid; by default what models of this name are known for.",
    )
    answer_tokens: int = Field(150, ge=0, description="For estimates: of a usual answer, thinking included.")
    seconds_per_ask: float = Field(3.0, ge=0, allow_inf_nan=False, description="For estimates.")
    prices: Mapping[str, Price] = Field(
        default_factory=dict,
        exclude=True,
        description=f"Of {PRICES}, which is for all judges: by model, in dollars per million tokens.",
    )


class OpenAISettings(VlmSettings):
    """What an OpenAI-compatible server needs to be told besides, and how."""

    api_key: SecretStr
    base_url: str = Field(description="With the version: http://127.0.0.1:8001/v1.")
    schema_mode: Literal["json_schema", "json_object", "prompt"] = "json_schema"
    token_param: Literal["max_completion_tokens", "max_tokens"] = "max_completion_tokens"
    temperature: float | None = Field(None, ge=0, description="Not sent by default: many models refuse it.")
    detail: Literal["auto", "low", "high", "original"] | None = None
    extra_body: Json[dict[str, Any]] = Field(default_factory=dict, description="JSON, added to each request.")


Settings = TypeVar("Settings", bound=VlmSettings)


def read_vlm_settings(
    kind: type[Settings],
    judge: str,
    prefix: str,
    environment: Environment,
    usual: Mapping[str, str],
    fixes: Mapping[str, str],
) -> Settings:
    """The settings of one judge as `read_settings` reads them, and the prices that are set for all."""
    settings = read_settings(kind, judge, prefix, environment, usual, fixes)
    return settings.model_copy(update={"prices": read_prices(environment)})


def limits_of(settings: VlmSettings, address: str, key: str) -> JudgeLimits:
    """What all judge workers may ask of this account. Providers count by key and model, servers of one's own by address."""
    account = hashlib.sha256("\n".join((address.rstrip("/"), key, settings.model)).encode()).hexdigest()[:32]
    return JudgeLimits(
        account=account,
        requests_per_minute=settings.requests_per_minute,
        tokens_per_minute=settings.tokens_per_minute,
        concurrency=settings.concurrency,
        failures=settings.breaker_failures,
    )


def check_key(judge: str, prefix: str, key: str) -> None:
    """Raises JudgeSetupError for a key that no HTTP header could carry; the sentence does not show it."""
    if not (key.isascii() and key.isprintable() and " " not in key):
        raise JudgeSetupError(
            f"the judge {judge!r} is misconfigured: its API key has characters no key has: set {prefix}API_KEY anew."
        )


def check_url(judge: str, prefix: str, base_url: str, example: str = "http://127.0.0.1:8001/v1") -> None:
    """Raises JudgeSetupError for what is no address of a server."""
    try:
        url = urlsplit(base_url)
        host = url.hostname or ""
        if re.fullmatch(r"[\d.]+|.*:.*", host):
            ipaddress.ip_address(host)
        good = url.scheme in ("http", "https") and bool(host) and (url.port or 1) > 0
        good = good and base_url.isprintable() and " " not in base_url
    except ValueError:  # a port that is no number, or four numbers that are no address
        good = False
    if not good:
        raise JudgeSetupError(
            f"the judge {judge!r} is misconfigured: {prefix}BASE_URL is no address: write one like {example}."
        )
