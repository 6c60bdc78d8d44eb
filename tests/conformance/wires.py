"""The protocols as the provider sees them: where a request comes in, what it may hold, the shapes of answers. It knows no model."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from . import faults, gemini_faults
from .limits import Refusal
from .rules import gemini_complaint, openai_complaint
from .sayings import chosen

Body = dict[str, Any]
A_DAY = 86_400.0  # seconds; for what never comes


@dataclass(frozen=True)
class Wire:
    """One protocol. A body is a request's JSON, with the key `model` wherever the protocol has it."""

    path: str
    key_of: Callable[[Request], str]
    model_of: Callable[[Request, Body], str]
    complaint: Callable[[Body], str | None]
    corrected: Callable[[Body], bool]
    says: Callable[[str], Response]
    error: Callable[[int, str], Response]
    unknown_key: Callable[[str], Response]
    unknown_model: Callable[[str], Response]
    refused: Callable[[Refusal], Response]
    tells_limits: bool  # in headers, with every answer
    faults: Mapping[str, faults.Fault]

    def choice(self, labels: list[str]) -> Response:
        """An answer that chooses these."""
        return self.says(chosen(labels))


def _refused_by_openai(refusal: Refusal) -> Response:
    wait = min(refusal.seconds, A_DAY)
    headers = {"Retry-After": str(math.ceil(wait)), "retry-after-ms": str(math.ceil(wait * 1000))}
    message = f"Rate limit reached for {refusal.of}: limit {refusal.limit:g}. Please try again in {wait:.3f}s."
    return faults.error(429, message, headers, type=refusal.of, code="rate_limit_exceeded")


OPENAI = Wire(
    path="/v1/chat/completions",
    key_of=lambda request: request.headers.get("authorization", "").removeprefix("Bearer "),
    model_of=lambda _, body: str(body["model"]),
    complaint=openai_complaint,
    corrected=lambda body: len(body["messages"]) > 2,
    says=faults.completion,
    error=faults.error,
    unknown_key=lambda key: faults.error(
        401, f"Incorrect API key provided: {key[:8]}***{key[-4:]}.", code="invalid_api_key"
    ),
    unknown_model=lambda model: faults.error(404, f"The model `{model}` does not exist", code="model_not_found"),
    refused=_refused_by_openai,
    tells_limits=True,
    faults=faults.FAULTS,
)


def _refused_by_gemini(refusal: Refusal) -> Response:
    quotas = {
        "requests": "GenerateRequestsPerMinutePerProjectPerModel",
        "tokens": "GenerateContentInputTokensPerModelPerMinute",
    }
    if refusal.of not in quotas:
        return gemini_faults.error(429, "Resource has been exhausted (e.g. check quota).")
    quota = gemini_faults.quota(quotas[refusal.of], value=f"{refusal.limit:g}")
    wait = gemini_faults.retry(f"{min(refusal.seconds, A_DAY):.3f}s")
    return gemini_faults.error(429, gemini_faults.EXHAUSTED, quota, wait)


GEMINI = Wire(
    path="/{version}/models/{model}:generateContent",
    key_of=lambda request: request.headers.get("x-goog-api-key", ""),
    model_of=lambda request, _: str(request.path_params["model"]),
    complaint=gemini_complaint,
    corrected=lambda body: len(body["contents"]) > 1,
    says=gemini_faults.says,
    error=gemini_faults.error,
    unknown_key=gemini_faults.unknown_key,
    unknown_model=lambda model: gemini_faults.error(404, f"models/{model} is not found for API version v1."),
    refused=_refused_by_gemini,
    tells_limits=False,
    faults=gemini_faults.FAULTS,
)
