"""What a request body must be before anybody reads it: short, and JSON. It knows no field of it."""

import email.message

from fastapi import HTTPException, Request
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class BodyLimit:
    """Answers 413 where a body is longer than `limit` bytes, as soon as that is known: by its declared length, or while it comes.

    The framework's own limit answers in plain text.
    """

    def __init__(self, app: ASGIApp, limit: int) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = Headers(scope=scope).get("content-length", "")
        received = 0

        async def limited() -> Message:
            nonlocal received
            if declared.isdecimal() and int(declared) > self._limit:
                raise self._too_large()
            message = await receive()
            received += len(message.get("body", b""))
            if received > self._limit:
                raise self._too_large()
            return message

        await self._app(scope, limited, send)

    def _too_large(self) -> HTTPException:
        return HTTPException(413, f"the body is longer than {self._limit} bytes, the most that is read: shorten it")


def json_only(request: Request) -> None:
    """Refuse a body that is not declared as JSON."""
    declared = email.message.Message()
    declared["content-type"] = sent = request.headers.get("content-type", "")
    kind = declared.get_content_type()
    if not sent or not (kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))):
        raise HTTPException(
            415, f"the body comes as {sent or 'nothing'}: send JSON with Content-Type: application/json"
        )
