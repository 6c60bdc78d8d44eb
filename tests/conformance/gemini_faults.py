"""Everything that goes wrong at the Gemini API, in the shapes recorded of it. It knows no judge.

The counterpart of faults.py: the same models by the same names where both protocols have the fault.
"""

from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response

from .faults import TOKENS, Fault, HungUp, Said
from .sayings import WRAPPED, WRONG, Saying, chosen

USAGE = {
    "promptTokenCount": 1000,
    "candidatesTokenCount": 30,
    "thoughtsTokenCount": 20,
    "totalTokenCount": TOKENS,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 400}, {"modality": "IMAGE", "tokenCount": 600}],
}
NAMES = {
    400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 409: "ABORTED",
    429: "RESOURCE_EXHAUSTED", 499: "CANCELLED", 500: "INTERNAL", 503: "UNAVAILABLE", 504: "DEADLINE_EXCEEDED",
}  # fmt: skip
RPC = "type.googleapis.com/google.rpc."
EXHAUSTED = "You exceeded your current quota, please check your plan and billing details."


def error(status: int, message: str, *details: dict[str, Any], headers: dict[str, str] | None = None) -> Response:
    """The error document of the protocol."""
    said = {"code": status, "message": message, "status": NAMES.get(status, "UNKNOWN"), "details": list(details)}
    return JSONResponse({"error": said}, status, headers)


def quota(*ids: str, value: str = "60") -> dict[str, Any]:
    """The detail that names the quotas exceeded."""
    violations = [
        {"quotaMetric": "generativelanguage.googleapis.com/x", "quotaId": one, "quotaValue": value} for one in ids
    ]
    return {"@type": RPC + "QuotaFailure", "violations": violations}


def retry(delay: str) -> dict[str, Any]:
    """The detail that says when to come back."""
    return {"@type": RPC + "RetryInfo", "retryDelay": delay}


def unknown_key(_: str = "") -> Response:
    """What an unknown key is told, with the status 400."""
    info = {"@type": RPC + "ErrorInfo", "reason": "API_KEY_INVALID", "domain": "googleapis.com"}
    return error(400, "API key not valid. Please pass a valid API key.", info)


def answer(*parts: dict[str, Any], finish: str | None = "STOP", usage: Any = USAGE) -> Response:
    """A GenerateContentResponse of one candidate; without parts it has no content."""
    candidate: dict[str, Any] = {"content": {"role": "model"} | ({"parts": list(parts)} if parts else {}), "index": 0}
    candidate |= {"finishReason": finish} if finish else {}
    body = {"candidates": [candidate], "modelVersion": "m", "responseId": "r"}
    return Said(body | ({"usageMetadata": usage} if usage is not None else {}))


def says(content: str, finish: str = "STOP", usage: Any = USAGE) -> Response:
    """An answer of one text."""
    return answer({"text": content}, finish=finish, usage=usage)


def saying(saying: Saying) -> Fault:
    """An answer in which the model says so."""
    return lambda seen: says(saying(seen))


def thought(text: str) -> dict[str, Any]:
    """A part that is thinking and no answer."""
    return {"text": text, "thought": True}


def blocked(reason: str) -> Response:
    """A prompt that was not shown to the model."""
    usage = {"promptTokenCount": 1000, "totalTokenCount": 1000}
    return JSONResponse({"promptFeedback": {"blockReason": reason}, "usageMetadata": usage})


def _halves(text: str) -> list[dict[str, Any]]:
    return [{"text": text[:20]}, {"text": text[20:]}]


ODD_USAGE = {
    "promptTokenCount": None,
    "candidatesTokenCount": "7",
    "promptTokensDetails": [None, {"modality": "IMAGE"}],
}
ANSWERED: dict[str, Fault] = {
    **{name: saying(said) for name, said in WRAPPED.items()},
    "in-parts": lambda seen: answer(*_halves(chosen(seen.redder))),
    "after-thought": lambda seen: answer(thought('Maybe {"selected": ["?"]}'), {"text": chosen(seen.redder)}),
    "signed": lambda seen: answer({"text": chosen(seen.redder), "thoughtSignature": "c2lnbmVk"}),
    "in-reasoning": lambda seen: answer(thought(chosen(seen.redder))),
    "no-finish": lambda seen: answer({"text": chosen(seen.redder)}, finish=None),
    "new-finish": lambda seen: says(chosen(seen.redder), "REASON_OF_NEXT_YEAR"),
    "usage-null": lambda seen: answer({"text": chosen(seen.redder)}, usage=None),
    "usage-odd": lambda seen: says(chosen(seen.redder), usage=ODD_USAGE),
}
MALFORMED: dict[str, tuple[Fault, str]] = {
    **{name: (saying(said), words) for name, (said, words) in WRONG.items()},
    "no-parts": (lambda seen: answer(), "it is empty"),
    "only-thinking": (lambda seen: answer(thought("The red")), "it is empty but for thinking"),
    "recitation": (lambda seen: answer(finish="RECITATION"), "it is empty"),
    "malformed-response": (lambda seen: answer(finish="MALFORMED_RESPONSE"), "it is empty"),
}
LOST: dict[str, tuple[Fault, str, str]] = {
    "429": (
        lambda seen: error(429, EXHAUSTED, quota("GenerateRequestsPerMinutePerProjectPerModel"), retry("0.9s")),
        "judge_rate_limited", "(429)",
    ),
    "429-ms": (lambda seen: error(429, "Slow down", retry("0.3s")), "judge_rate_limited", "(429)"),
    "429-header": (lambda seen: error(429, "Slow down", headers={"Retry-After": "1"}), "judge_rate_limited", "(429)"),
    "429-bare": (lambda seen: error(429, "Resource has been exhausted (e.g. check quota)."), "judge_rate_limited", "(429)"),
    "408": (lambda seen: error(408, "Timeout"), "judge_unavailable", "(408)"),
    "409": (lambda seen: error(409, "Conflict"), "judge_unavailable", "(409)"),
    "499": (lambda seen: error(499, "The operation was cancelled."), "judge_unavailable", "(499)"),
    "500": (lambda seen: error(500, "An internal error has occurred."), "judge_unavailable", "(500)"),
    "503": (lambda seen: error(503, "The model is overloaded.", retry("1s")), "judge_unavailable", "(503)"),
    "503-page": (lambda seen: HTMLResponse("<html>busy</html>", 503), "judge_unavailable", "(503)"),
    "503-latin": (lambda seen: HTMLResponse("<p>occupé".encode("latin-1"), 503), "judge_unavailable", "cannot be read"),
    "504": (lambda seen: error(504, "Deadline expired before operation could complete."), "judge_unavailable", "(504)"),
    "list": (lambda seen: JSONResponse([{"error": {"code": 503, "message": "busy"}}], 503), "judge_unavailable", "(503)"),
    "no-object": (lambda seen: JSONResponse("busy", 503), "judge_unavailable", "(503)"),
    "hung-up": (lambda seen: HungUp(), "judge_unavailable", "cannot be reached, or hung up"),
    "quota": (
        lambda seen: error(
            429, EXHAUSTED,
            quota("GenerateContentInputTokensPerModelPerMinute", "GenerateRequestsPerDayPerProjectPerModel"), retry("14s"),
        ),
        "judge_quota_exhausted", "no quota left",
    ),
    "quota-of-nothing": (
        lambda seen: error(429, EXHAUSTED, quota("GenerateRequestsPerMinutePerProjectPerModel-FreeTier", value="0"), retry("9s")),
        "judge_quota_exhausted", "no quota left",
    ),
    "quota-billing": (lambda seen: error(429, EXHAUSTED), "judge_quota_exhausted", "no quota left"),
    "bad-key": (lambda seen: unknown_key(), "judge_misconfigured", "check MAXWELL_JUDGE_GEMINI_API_KEY"),
    "401": (lambda seen: error(401, "Invalid authentication credentials"), "judge_misconfigured", "GEMINI_API_KEY"),
    "403": (lambda seen: error(403, "Your API key was reported as leaked."), "judge_misconfigured", "may not use this model"),
    "too-large": (
        lambda seen: error(400, "Request payload size exceeds the limit: 20971520 bytes."),
        "judge_misconfigured", "set MAXWELL_JUDGE_GEMINI_MODE=grid",
    ),
    "no-thinking-level": (
        lambda seen: error(400, "Thinking level is not supported for this model."),
        "judge_misconfigured", "check MAXWELL_JUDGE_GEMINI_THINKING_LEVEL",
    ),
    "unknown-field": (
        lambda seen: error(400, 'Invalid JSON payload received. Unknown name "mediaResolution": Cannot find field.'),
        "judge_misconfigured", "API_VERSION",
    ),
    "moved": (lambda seen: Response(status_code=302, headers={"Location": "/login"}), "judge_misconfigured", "BASE_URL"),
    "safety": (lambda seen: answer(finish="SAFETY"), "judge_refused", "declined to look"),
    "prohibited": (lambda seen: says("I", "PROHIBITED_CONTENT"), "judge_refused", "declined to look"),
    "prompt-blocked": (lambda seen: blocked("SAFETY"), "judge_refused", "declined to look"),
    "prompt-blocked-anew": (lambda seen: blocked("REASON_OF_NEXT_YEAR"), "judge_refused", "declined to look"),
    "cut": (lambda seen: says('{"rationale": "The', "MAX_TOKENS"), "judge_malformed", "raise the judge's max_tokens"),
    "cut-thinking": (lambda seen: answer(finish="MAX_TOKENS"), "judge_malformed", "raise the judge's max_tokens"),
    "page": (lambda seen: HTMLResponse("<!doctype html><p>hotel wifi"), "judge_malformed", "answered a web page"),
    "text": (lambda seen: Response("ok", media_type="text/plain"), "judge_malformed", "answered no JSON"),
    "nothing": (lambda seen: Response(), "judge_malformed", "answered no JSON"),
    "no-candidates": (lambda seen: JSONResponse({"usageMetadata": USAGE}), "judge_malformed", "without a candidate"),
    "candidates-empty": (lambda seen: JSONResponse({"candidates": []}), "judge_malformed", "without a candidate"),
    "candidates-null": (lambda seen: JSONResponse({"candidates": None}), "judge_malformed", "without a candidate"),
    "candidate-odd": (lambda seen: JSONResponse({"candidates": ["A"]}), "judge_malformed", "without a candidate"),
}  # fmt: skip
FAULTS: dict[str, Fault] = (
    ANSWERED
    | {name: fault for name, (fault, _) in MALFORMED.items()}
    | {name: fault for name, (fault, _, _) in LOST.items()}
)
