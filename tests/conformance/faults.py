"""Everything that goes wrong at providers of the OpenAI protocol, in the shapes recorded of them. It knows no judge.

A fault is what the provider answers instead of, or made of, the truthful choice.
"""

import json
from collections.abc import Callable
from typing import Any

from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.types import Receive, Scope, Send

from .sayings import WRAPPED, WRONG, Saying, chosen
from .sight import Sight

TOKENS = 1050  # of every request with its answer
USAGE = {"prompt_tokens": 1000, "completion_tokens": 50, "total_tokens": TOKENS}


class HungUp(Response):
    """Begins an answer and drops the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"1000")]})
        await send({"type": "http.response.body", "body": b'{"id"', "more_body": True})
        await self.before(receive)
        raise ConnectionAbortedError("as planned")

    async def before(self, receive: Receive) -> None:
        """Drops it at once."""


class Stalled(HungUp):
    """Begins an answer and does not go on until the client hangs up."""

    async def before(self, receive: Receive) -> None:
        await receive()


class Said(JSONResponse):
    """JSON in ASCII: so half a character, which models do say, can be sent."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode()


def error(status: int, message: str, headers: dict[str, str] | None = None, **said: Any) -> Response:
    """The error document of the protocol."""
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None} | said}
    return JSONResponse(body, status, headers)


def completion(content: str | None, finish: str = "stop", usage: Any = USAGE, **message: Any) -> Response:
    """A chat.completion."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": content, "refusal": None} | message,
        "logprobs": None,
        "finish_reason": finish,
    }
    body = {"id": "chatcmpl-1", "object": "chat.completion", "created": 1764000000, "model": "m", "choices": [choice]}
    return Said(body | {"usage": usage})


def saying(saying: Saying) -> "Fault":
    """A chat.completion in which the model says so."""
    return lambda seen: completion(saying(seen))


Fault = Callable[[Sight], Response]

ANSWERED: dict[str, Fault] = {  # with a choice that is wrapped, but can be read
    **{name: saying(said) for name, said in WRAPPED.items()},
    "in-reasoning": lambda seen: completion(None, reasoning_content=chosen(seen.redder)),
    "usage-null": lambda seen: completion(chosen(seen.redder), usage=None),
    "usage-odd": lambda seen: completion(chosen(seen.redder), usage={"prompt_tokens": None, "completion_tokens": "7"}),
}
MALFORMED: dict[str, tuple[Fault, str]] = {  # and what has to be said of it
    **{name: (saying(said), words) for name, (said, words) in WRONG.items()},
    "null": (lambda seen: completion(None), "it is empty"),
    "only-thinking": (lambda seen: completion(None, reasoning_content="The red"), "it is empty but for thinking"),
}
LOST: dict[str, tuple[Fault, str, str]] = {  # the code and the words of the failure; nothing was said that could be repaired
    "429": (lambda seen: error(429, "Rate limit", {"Retry-After": "1"}, code="rate_limit_exceeded"), "judge_rate_limited", "(429)"),
    "429-ms": (lambda seen: error(429, "Rate limit", {"retry-after-ms": "300"}), "judge_rate_limited", "(429)"),
    "408": (lambda seen: error(408, "Timeout"), "judge_unavailable", "(408)"),
    "409": (lambda seen: error(409, "Conflict"), "judge_unavailable", "(409)"),
    "500": (lambda seen: error(500, "The server had an error"), "judge_unavailable", "(500)"),
    "503-page": (lambda seen: HTMLResponse("<html>busy</html>", 503), "judge_unavailable", "(503)"),
    "hung-up": (lambda seen: HungUp(), "judge_unavailable", "cannot be reached, or hung up"),
    "quota": (
        lambda seen: error(429, "You exceeded your current quota", type="insufficient_quota", code="insufficient_quota"),
        "judge_quota_exhausted", "no quota left",
    ),
    "402": (lambda seen: error(402, "Insufficient credits"), "judge_quota_exhausted", "no quota left"),
    "403": (lambda seen: error(403, "Project has no access to model"), "judge_misconfigured", "its key may not use this model"),
    "422": (lambda seen: error(422, "Unprocessable"), "judge_misconfigured", "does not take the request"),
    "at-most-1-image": (
        lambda seen: error(400, "At most 1 image(s) may be provided in one prompt.", code=400, type="BadRequestError"),
        "judge_misconfigured", "takes fewer pictures at once",
    ),
    "no-temperature": (
        lambda seen: error(400, "Unsupported value: 'temperature'", param="temperature", code="unsupported_value"),
        "judge_misconfigured", "unset MAXWELL_JUDGE_OPENAI_TEMPERATURE",
    ),
    "no-max_completion_tokens": (
        lambda seen: error(
            400, "Unsupported parameter: 'max_completion_tokens'", param="max_completion_tokens", code="unsupported_parameter"
        ),
        "judge_misconfigured", "set MAXWELL_JUDGE_OPENAI_TOKEN_PARAM=max_tokens",
    ),
    "blind": (
        lambda seen: error(400, "Invalid content type. image_url is only supported by certain models."),
        "judge_misconfigured", "sees no pictures here, set MAXWELL_JUDGE_OPENAI_MODEL",
    ),
    "no-mmproj": (
        lambda seen: error(500, "image input is not supported - hint: you may need to provide the mmproj", type="server_error"),
        "judge_misconfigured", "sees no pictures here, set MAXWELL_JUDGE_OPENAI_MODEL",
    ),
    "refusal": (lambda seen: completion(None, refusal="I'm sorry, I can't help."), "judge_refused", "declined to look"),
    "content-filter": (lambda seen: completion("", "content_filter"), "judge_refused", "declined to look"),
    "policy": (lambda seen: error(400, "Filtered", code="content_filter"), "judge_refused", "declined to look"),
    "cut": (lambda seen: completion('{"rationale": "The', "length"), "judge_malformed", "raise the judge's max_tokens"),
    "page": (lambda seen: HTMLResponse("<!doctype html><p>hotel wifi"), "judge_malformed", "answered a web page"),
    "text": (lambda seen: Response("ok", media_type="text/plain"), "judge_malformed", "answered no JSON"),
    "no-choices": (lambda seen: JSONResponse({"usage": USAGE}), "judge_malformed", "without a message"),
    "choices-empty": (lambda seen: JSONResponse({"choices": []}), "judge_malformed", "without a message"),
    "choices-null": (lambda seen: JSONResponse({"choices": None}), "judge_malformed", "without a message"),
    "message-null": (lambda seen: JSONResponse({"choices": [{"message": None}]}), "judge_malformed", "without a message"),
}  # fmt: skip
FAULTS: dict[str, Fault] = (
    ANSWERED
    | {name: fault for name, (fault, _) in MALFORMED.items()}
    | {name: fault for name, (fault, _, _) in LOST.items()}
)
