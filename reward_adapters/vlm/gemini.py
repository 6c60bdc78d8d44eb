"""The judge `gemini`: models behind Google's Gemini API.

Its SDK is google-genai; google-generativeai, which that replaces, has had no support since November 2025. How the SDK is set up is
known here, what is said through it is not.
"""

import re
from typing import TYPE_CHECKING

from ..base import Environment, JudgeSetupError
from .building import vlm_judge
from .gemini_chat import GeminiChat, GeminiSettings
from .judge import VlmJudge
from .settings import check_key, check_url, limits_of, read_vlm_settings

if TYPE_CHECKING:
    from google.genai import Client
    from httpx2 import AsyncClient

NAME, GEMINI = "gemini", "MAXWELL_JUDGE_GEMINI_"
ADDRESS = "https://generativelanguage.googleapis.com"


def judge(environment: Environment) -> VlmJudge:
    """The judge `gemini`. Raises JudgeSetupError, and JudgeNotConfigured where none of its settings is set."""
    usual = {"base_url": ADDRESS}
    for name in ("GOOGLE_API_KEY", "GEMINI_API_KEY"):  # the latter, if both are set: it is about nothing else
        if key := environment.get(name, "").strip():
            usual["api_key"] = key
    fixes = {
        "model": f"set {GEMINI}MODEL to the name of a model that sees pictures",
        "api_key": f"set {GEMINI}API_KEY, or GEMINI_API_KEY, to a key of Google AI Studio",
    }
    settings = read_vlm_settings(GeminiSettings, NAME, GEMINI, environment, usual, fixes)
    key = settings.api_key.get_secret_value()
    _check(settings, key)
    chat = GeminiChat(NAME, GEMINI, settings, *_clients(settings, key))
    limits = limits_of(settings, settings.base_url, key)
    return vlm_judge(
        NAME,
        "Asks a vision-language model of Google.",
        settings,
        chat,
        limits,
        address=settings.base_url,
        fineness=settings.resolution,
    )


def _check(settings: GeminiSettings, key: str) -> None:
    """Raises JudgeSetupError for what the SDK would refuse at every ask, and for what would make another address of it."""
    check_key(NAME, GEMINI, key)
    check_url(NAME, GEMINI, settings.base_url, ADDRESS)
    wrong = None
    if key.startswith("auth_tokens/"):
        wrong = f"its API key is a token of the Live API, which takes no other questions: set {GEMINI}API_KEY to a key"
    elif ".." in settings.model:
        wrong = f"{GEMINI}MODEL is no model's name"
    elif re.search(r"/v\d\w*/?$", settings.base_url):
        wrong = f"{GEMINI}BASE_URL ends with a version: leave that to {GEMINI}API_VERSION"
    if wrong:
        raise JudgeSetupError(f"the judge {NAME!r} is misconfigured: {wrong}.")


def _clients(settings: GeminiSettings, key: str) -> "tuple[Client, AsyncClient]":
    """The SDK's client and the HTTP client under it.

    With an HTTP client of its own the SDK does not change to aiohttp, which it else does where any other package brought that along, and
    which repeats requests unasked. No setting of the SDK is left to its own environment variables.
    """
    try:
        from google.genai import Client  # noqa: PLC0415 - half a second, and only for who has set it up
        from google.genai.types import HttpOptions  # noqa: PLC0415

        from .pools import ManyPools  # noqa: PLC0415
    except ImportError as error:
        raise JudgeSetupError(f"the judge {NAME!r} needs the google-genai SDK: pip install 'maxwell[vlm]'.") from error
    http = ManyPools()
    options = HttpOptions(base_url=settings.base_url, api_version=settings.api_version, httpx_async_client=http)
    return Client(vertexai=False, api_key=key, http_options=options), http
