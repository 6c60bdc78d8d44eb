"""Every error as the user sees it: `application/problem+json` (RFC 9457), in one place. It knows no route."""

import json
from collections.abc import Mapping, Sequence
from datetime import timedelta
from http import HTTPStatus
from math import ceil
from typing import Any

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from contracts.errors import MaxwellError, Problem, Violation, problem_of

TRY_AGAIN = timedelta(seconds=5)  # for what passes by itself and says no time of its own
MAX_VIOLATIONS = 20  # a body may hold very many mistakes
UNEXPECTED = "the gateway failed unexpectedly: its log has the details under the X-Request-Id of this answer"
PLAIN_CODES = {
    400: "malformed_request",
    404: "not_found",
    405: "method_not_allowed",
    413: "too_large",
    415: "not_json",
    500: "internal",
}

log = structlog.get_logger()


class ProblemResponse(JSONResponse):
    """A problem document. Plain ASCII, so that whatever a user sent can be quoted back."""

    media_type = "application/problem+json"

    def __init__(self, problem: Problem, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(problem_content(problem), status_code=problem.status, headers=headers)

    def render(self, content: Any) -> bytes:
        return json.dumps(content).encode("ascii")


def problem_content(problem: Problem) -> dict[str, Any]:
    """The problem as JSON, without what it has nothing to say about."""
    return {key: value for key, value in problem.model_dump(mode="json").items() if value not in (None, [])}


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""

    @app.exception_handler(MaxwellError)
    async def _ours(request: Request, error: MaxwellError) -> Response:
        if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            log.warning("request failed", code=error.code, reason=str(error))
        after = getattr(error, "retry_after", None) or (TRY_AGAIN if error.retryable else None)
        headers = {"Retry-After": str(ceil(after.total_seconds()))} if after else None
        return ProblemResponse(problem_of(error, request.url.path), headers)

    @app.exception_handler(RequestValidationError)
    async def _invalid(request: Request, error: RequestValidationError) -> Response:
        return ProblemResponse(_validation_problem(request, error))

    @app.exception_handler(HTTPException)
    async def _http(request: Request, error: HTTPException) -> Response:
        headers, detail = dict(error.headers or {}), error.detail
        if error.status_code == HTTPStatus.NOT_FOUND:
            detail = f"there is nothing at {request.url.path}: /docs lists what there is"
        elif error.status_code == HTTPStatus.BAD_REQUEST:
            detail = "the body cannot be read as JSON in UTF-8: correct it"
        elif error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = allowed = _methods(app, request) or headers.get("Allow", "")
            detail = f"{request.method} is not possible at {request.url.path}: {allowed} is"
        return ProblemResponse(_plain(error.status_code, detail, request.url.path), headers)


def unexpected(path: str) -> ProblemResponse:
    """The answer where something failed that should not fail. What it was is in the log, under the request's id."""
    return ProblemResponse(_plain(HTTPStatus.INTERNAL_SERVER_ERROR, UNEXPECTED, path))


def pointer(location: Sequence[str | int], body: Any) -> str:
    """The JSON pointer (RFC 6901) of a place in the body, as deep as the body goes.

    Pydantic's locations also name the branch of a union or a key that was checked; no such place exists in the body.
    """
    parts: list[str] = []
    for part in location:
        if isinstance(body, dict) and (part in body or part == location[-1]):  # the last part may be a missing field
            body = body.get(part)
        elif isinstance(body, list) and isinstance(part, int) and part < len(body):
            body = body[part]
        else:
            break
        parts.append("/" + str(part).replace("~", "~0").replace("/", "~1"))
    return "".join(parts)


def _validation_problem(request: Request, error: RequestValidationError) -> Problem:
    mistakes = error.errors()
    if mistakes and mistakes[0]["type"] == "json_invalid":
        detail = (
            f"the body is not JSON ({mistakes[0]['ctx']['error']} at character {mistakes[0]['loc'][-1]}): correct it"
        )
        return _plain(HTTPStatus.BAD_REQUEST, detail, request.url.path)
    return Problem(
        title="The request cannot be accepted",
        status=HTTPStatus.UNPROCESSABLE_ENTITY,
        detail="the request is not valid: correct what `errors` names",
        code="validation_failed",
        instance=request.url.path,
        errors=tuple(_violation(mistake, error.body) for mistake in mistakes[:MAX_VIOLATIONS]),
    )


def _violation(mistake: Mapping[str, Any], body: Any) -> Violation:
    where, *path = mistake["loc"]
    name = pointer(path, body) if where == "body" else str(path[0] if path else where)
    return Violation(pointer=name, detail=mistake["msg"].removeprefix("Value error, "))


def _methods(app: FastAPI, request: Request) -> str:
    """All that the API offers at the request's path; the framework itself names one route's methods only."""
    path = getattr(request.scope.get("route"), "path", None)
    return ", ".join(sorted(method.upper() for method in app.openapi()["paths"].get(path, {})))


def _plain(status: int, detail: str, path: str) -> Problem:
    code = PLAIN_CODES.get(status, "refused")
    return Problem(title=HTTPStatus(status).phrase, status=status, detail=detail, code=code, instance=path)
