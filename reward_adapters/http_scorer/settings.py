"""The settings of the judge `http`, read from the environment that its factory gets. It knows no request."""

import hashlib
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from contracts.judging import JudgeKind
from contracts.limits import JudgeLimits

from ..base import Environment, JudgeSetupError
from ..settings import read_settings
from .addresses import AddressRefused, check, literal, says_it_is_near

PREFIX = "MAXWELL_JUDGE_HTTP_"


class HttpSettings(BaseModel):
    """What the judge has to be told. Each is the environment's PREFIX + NAME."""

    model_config = ConfigDict(frozen=True)

    url: str = Field(description="Where the scorer takes its requests.")
    token: SecretStr = Field(SecretStr(""), description="Sent as a bearer token; empty: none.")
    kind: JudgeKind = Field(
        "scoring", description="selecting: of the scores only the better half counts, as +5 and -5."
    )
    objective: str = Field("what the operator's scorer prefers", description="What a higher score means, for users.")
    timeout: float = Field(30.0, gt=0, le=3600, allow_inf_nan=False, description="Seconds, of one request in all.")
    picture_size: int = Field(512, ge=0, le=8192, description="Longest side in pixels; 0: as drawn.")
    encoding: Literal["jpeg", "png"] = "jpeg"
    max_pictures: int = Field(64, ge=2, description="Of one request.")
    concurrency: int | None = Field(None, ge=1, description="Requests under way at a time, of all judge workers.")
    allow_private: bool | None = Field(None, description="Addresses of one's own network; by default as the URL says.")

    @property
    def host(self) -> str:
        """The URL's, an address without brackets."""
        return urlsplit(self.url).hostname or ""

    @property
    def private_allowed(self) -> bool:
        """Whether the scorer may have a private address: where it is not said, if the URL itself means something near."""
        return says_it_is_near(self.host) if self.allow_private is None else self.allow_private

    @property
    def secret(self) -> str:
        """The token itself."""
        return self.token.get_secret_value()

    @property
    def limits(self) -> JudgeLimits:
        """What all judge workers may ask of this scorer."""
        account = hashlib.sha256(f"{self.url}\n{self.secret}".encode()).hexdigest()[:32]
        return JudgeLimits(account=account, concurrency=self.concurrency)


def read_http_settings(environment: Environment) -> HttpSettings:
    """The settings, checked. Raises JudgeNotConfigured where none is set, and JudgeSetupError; no sentence shows token or address."""
    fix = f"set {PREFIX}URL to where your scorer takes its requests, like http://127.0.0.1:8100/score"
    settings = read_settings(HttpSettings, "http", PREFIX, environment, {}, {"url": fix})
    if not (settings.secret.isascii() and settings.secret.isprintable() and " " not in settings.secret):
        raise _wrong("TOKEN", "it has characters no token has")
    _check_url(settings)
    return settings


def _check_url(settings: HttpSettings) -> None:
    try:
        url = urlsplit(settings.url)
        good = url.scheme in ("http", "https") and bool(url.hostname) and (url.port or 1) > 0
    except ValueError:  # a port that is no number, for one
        good = False
    if not good or not settings.url.isascii() or not settings.url.isprintable() or " " in settings.url:
        raise _wrong("URL", "it is no address: write one like http://127.0.0.1:8100/score, in ASCII")
    if url.username is not None or url.password is not None:
        raise _wrong("URL", f"it holds a name or a password: set {PREFIX}TOKEN instead")
    if (address := literal(settings.host)) is not None:
        try:
            check(address, settings.private_allowed)
        except AddressRefused as error:
            raise _wrong("URL", refusal(error)) from None


def refusal(error: AddressRefused) -> str:
    """Why an address is not asked, and what to do."""
    if error.private:
        return f"it leads to a private address: if the scorer is in your own network, set {PREFIX}ALLOW_PRIVATE=1"
    return (
        "it leads to an address of a cloud's own services, of link-local or of no host at all, which is never asked: "
        f"set {PREFIX}URL to the scorer's own address, and see who runs its DNS"
    )


def _wrong(name: str, why: str) -> JudgeSetupError:
    return JudgeSetupError(f"the judge 'http' is misconfigured: {PREFIX}{name}: {why}.")
