"""One model behind generateContent: a conversation in the Gemini API's words, and what comes back read with nothing taken for granted.

It knows the protocol; how to ask, what an answer is and how the SDK is set up it does not.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from contracts.errors import JudgeMalformed, JudgeRefused
from contracts.judging import JudgeUsage, Tokens

from ..bodies import count, json_object, text
from .conversation import Conversation, Reply
from .settings import VlmSettings
from .showing import Part

if TYPE_CHECKING:
    from google.genai import Client, types
    from httpx2 import AsyncClient

REFUSALS = (
    "SAFETY", "PROHIBITED_CONTENT", "BLOCKLIST", "SPII", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "LANGUAGE", "ESCALATION",
    "MODEL_ARMOR", "PUP_LIMITED_DISABLED",
)  # fmt: skip


class GeminiSettings(VlmSettings):
    """What the Gemini API needs to be told besides, and how."""

    model: Annotated[str, BeforeValidator(lambda said: said.removeprefix("models/"))] = Field(
        pattern=r"^[^\s?&#%]+$", description="The model's name, as Google writes it."
    )
    api_key: SecretStr
    base_url: str = Field(description="Without the version.")
    api_version: str = Field("v1", pattern=r"^v\d\w*$", description="v1beta knows newer models and their aliases.")
    media_resolution: Literal["low", "medium", "high", "unspecified"] | None = Field(
        None,
        description="What a picture costs. By default low, and for a sheet, where details are small, the provider's.",
    )
    thinking_level: Literal["minimal", "low", "medium", "high", "xhigh"] | None = Field(
        None, description="Not sent by default: each model knows its own."
    )
    temperature: float | None = Field(None, ge=0, le=2, description="Not sent by default.")

    @property
    def resolution(self) -> str | None:
        """The media resolution that is sent."""
        if self.media_resolution is None:
            return None if self.mode == "grid" else "low"
        return None if self.media_resolution == "unspecified" else self.media_resolution


@dataclass(frozen=True)
class GeminiChat:
    """One model behind generateContent. The worker retries; the SDK does not, unless it is told to."""

    judge: str
    prefix: str
    settings: GeminiSettings
    client: "Client"
    http: "AsyncClient"

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        """The reply to one request. Raises JudgeError, typed as gemini_failures.py says."""
        from .gemini_failures import RAISED, typed  # noqa: PLC0415

        request = self.request(conversation, seconds)
        try:
            answer = await self.client.aio.models.generate_content(**request)
        except RAISED as error:
            # From None: the SDK's own error holds the request with its key.
            raise typed(error, self.judge, self.prefix, self.settings.api_key.get_secret_value()) from None
        http = answer.sdk_http_response
        return self._reply(json_object((http.body if http else None) or "", self.judge, self.prefix))

    async def close(self) -> None:
        """End its connections."""
        await self.http.aclose()
        self.client.close()

    def request(self, conversation: Conversation, seconds: float) -> dict[str, Any]:
        """The arguments of generate_content."""
        from google.genai import types  # noqa: PLC0415

        said = [("user", conversation.parts)]
        if conversation.corrected is not None:
            answer, correction = conversation.corrected
            said += [("model", (answer,)), ("user", (correction,))]
        contents = [types.Content(role=role, parts=[_part(part) for part in parts]) for role, parts in said]
        config = self._config(conversation, math.ceil(seconds * 1000))
        return {"model": self.settings.model, "contents": contents, "config": config}

    def _config(self, conversation: Conversation, milliseconds: int) -> "types.GenerateContentConfig":
        from google.genai import types  # noqa: PLC0415

        settings = self.settings
        resolution, level = settings.resolution, settings.thinking_level
        # The order in which the answer's keys are to come is said as well: a rationale after the choice would be no reason for it.
        schema = conversation.schema | {"propertyOrdering": list(conversation.schema["properties"])}
        return types.GenerateContentConfig(
            system_instruction=conversation.system,
            max_output_tokens=settings.max_tokens,
            temperature=settings.temperature,
            response_mime_type="application/json",
            response_json_schema=schema,
            media_resolution=None
            if resolution is None
            else types.MediaResolution[f"MEDIA_RESOLUTION_{resolution.upper()}"],
            thinking_config=None
            if level is None
            else types.ThinkingConfig(thinking_level=types.ThinkingLevel[level.upper()]),
            http_options=types.HttpOptions(timeout=milliseconds),
            should_return_http_response=True,  # the body as it came: what the SDK makes of an odd one hides what is in it
            automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True),
            automatic_continuation=False,
        )

    def _reply(self, answer: Mapping[str, Any]) -> Reply:
        """A body of the status 200. Nothing in it is taken for granted."""
        usage = _usage(answer.get("usageMetadata"))
        feedback, candidates = answer.get("promptFeedback"), answer.get("candidates")
        candidate = candidates[0] if isinstance(candidates, list) and candidates else None
        finish = candidate.get("finishReason") if isinstance(candidate, Mapping) else None
        if finish in REFUSALS or (isinstance(feedback, Mapping) and feedback.get("blockReason")):
            raise JudgeRefused(
                f"the model of the judge {self.judge!r} declined to look at these pictures, this prompt or scenario",
                usage=usage,
            )
        if not isinstance(candidate, Mapping):
            raise JudgeMalformed(
                f"the model of the judge {self.judge!r} gave an answer without a candidate", usage=usage
            )
        content = candidate.get("content")
        said = content.get("parts") if isinstance(content, Mapping) else None
        parts = [part for part in said if isinstance(part, Mapping)] if isinstance(said, list) else []
        return Reply(_joined(parts, thought=False), _joined(parts, thought=True), finish == "MAX_TOKENS", usage)


def _part(part: Part) -> "types.Part":
    from google.genai import types  # noqa: PLC0415

    return types.Part(text=part) if isinstance(part, str) else types.Part.from_bytes(data=part, mime_type="image/jpeg")


def _joined(parts: list[Mapping[str, Any]], thought: bool) -> str | None:
    """The texts of the answer, or of the thinking apart from it."""
    return text("".join(text(part.get("text")) or "" for part in parts if bool(part.get("thought")) is thought))


def _usage(said: object) -> JudgeUsage:
    """One call's tokens; none where the server does not say."""
    told = said if isinstance(said, Mapping) else {}
    details = told.get("promptTokensDetails")
    shown = [one for one in details if isinstance(one, Mapping)] if isinstance(details, list) else []
    tokens = Tokens(
        input=count(told.get("promptTokenCount")),
        output=count(told.get("candidatesTokenCount")) + count(told.get("thoughtsTokenCount")),
        image=sum(count(one.get("tokenCount")) for one in shown if one.get("modality") == "IMAGE"),
    )
    return JudgeUsage(tokens=tokens)
