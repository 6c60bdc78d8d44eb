"""The judges `openai` and `local-vlm`: models behind the OpenAI protocol, at OpenAI or on a server of one's own.

It knows the protocol and its SDK; how to ask and what an answer is it does not.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from contracts.errors import JudgeMalformed, JudgeRefused
from contracts.judging import JudgeUsage, Tokens

from ..base import Environment, JudgeSetupError
from .building import vlm_judge
from .conversation import Conversation, Reply
from .judge import VlmJudge
from .settings import OpenAISettings, check_key, check_url, read_settings
from .showing import Part

if TYPE_CHECKING:
    from openai import AsyncOpenAI

OPENAI, LOCAL = "MAXWELL_JUDGE_OPENAI_", "MAXWELL_JUDGE_LOCAL_VLM_"


def judge(environment: Environment) -> VlmJudge:
    """The judge `openai`. Raises JudgeSetupError, and JudgeNotConfigured where none of its settings is set."""
    usual = {"base_url": "https://api.openai.com/v1", "detail": "low"}
    if key := environment.get("OPENAI_API_KEY", "").strip():
        usual["api_key"] = key
    fixes = {
        "model": f"set {OPENAI}MODEL to the name of a model that sees pictures",
        "api_key": f"set {OPENAI}API_KEY, or OPENAI_API_KEY, to a key of your provider",
    }
    settings = read_settings(OpenAISettings, "openai", OPENAI, environment, usual, fixes)
    return _built(
        "openai", OPENAI, settings, "Asks a vision-language model at OpenAI, or at a provider of its protocol."
    )


def local_judge(environment: Environment) -> VlmJudge:
    """The judge `local-vlm`: what all servers understand. Raises JudgeSetupError and JudgeNotConfigured."""
    usual = {"api_key": "none", "token_param": "max_tokens", "max_tokens": "1000"}
    fixes = {
        "base_url": f"set {LOCAL}BASE_URL to the address of vLLM, SGLang, Ollama or llama.cpp, like http://127.0.0.1:8001/v1",
        "model": f"set {LOCAL}MODEL to the name of the model that the server runs",
    }
    settings = read_settings(OpenAISettings, "local-vlm", LOCAL, environment, usual, fixes)
    return _built("local-vlm", LOCAL, settings, "Asks a vision-language model on a server of your own.")


def _built(name: str, prefix: str, settings: OpenAISettings, description: str) -> VlmJudge:
    key = settings.api_key.get_secret_value()
    check_key(name, prefix, key)
    check_url(name, prefix, settings.base_url)
    try:
        from openai import AsyncOpenAI  # noqa: PLC0415 - half a second, and only for who has set it up
    except ImportError as error:
        raise JudgeSetupError(f"the judge {name!r} needs the openai SDK: pip install 'maxwell[vlm]'.") from error
    client = AsyncOpenAI(api_key=key, base_url=settings.base_url, max_retries=0)
    return vlm_judge(name, description, settings, OpenAIChat(name, prefix, settings, client))


@dataclass(frozen=True)
class OpenAIChat:
    """One model behind chat.completions, which every compatible server has. The worker retries, the SDK does not."""

    judge: str
    prefix: str
    settings: OpenAISettings
    client: "AsyncOpenAI"

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        """The reply to one request. Raises JudgeError, typed as failures.py says."""
        from openai import OpenAIError  # noqa: PLC0415

        from .failures import typed  # noqa: PLC0415

        request = self.request(conversation)
        try:
            answer = await self.client.chat.completions.with_raw_response.create(**request, timeout=seconds)
        except OpenAIError as error:
            # From None: the SDK's own error holds the request with its key.
            raise typed(error, self.judge, self.prefix, self.settings.api_key.get_secret_value()) from None
        return self._reply(answer.http_response.content)

    async def close(self) -> None:
        """End its connections."""
        await self.client.close()

    def request(self, conversation: Conversation) -> dict[str, Any]:
        """The arguments of chat.completions.create."""
        settings = self.settings
        content = [self._part(part) for part in conversation.parts]
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": conversation.system},
            {"role": "user", "content": content},
        ]
        if conversation.corrected is not None:
            said, correction = conversation.corrected
            messages += [{"role": "assistant", "content": said}, {"role": "user", "content": correction}]
        request: dict[str, Any] = {
            "model": settings.model,
            "messages": messages,
            settings.token_param: settings.max_tokens,
        }
        if settings.schema_mode == "json_schema":
            form = {"name": "choice", "strict": True, "schema": conversation.schema}
            request["response_format"] = {"type": "json_schema", "json_schema": form}
        elif settings.schema_mode == "json_object":
            request["response_format"] = {"type": "json_object"}
        if settings.temperature is not None:
            request["temperature"] = settings.temperature
        return request | ({"extra_body": settings.extra_body} if settings.extra_body else {})

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        image = {"url": f"data:image/jpeg;base64,{base64.b64encode(part).decode()}"}
        return {
            "type": "image_url",
            "image_url": image | ({"detail": self.settings.detail} if self.settings.detail else {}),
        }

    def _reply(self, body: bytes) -> Reply:
        """A body of the status 200. Nothing in it is taken for granted: servers differ, and proxies answer with pages."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            answer = None
        if not isinstance(answer, dict):
            page = "a web page" if body.lstrip()[:1] == b"<" else "no JSON"
            raise JudgeMalformed(
                f"the server of the judge {self.judge!r} answered {page} instead of a completion: is {self.prefix}BASE_URL right?"
            )
        usage = _usage(answer.get("usage"))
        choices = answer.get("choices")
        choice = choices[0] if isinstance(choices, list) and choices and isinstance(choices[0], dict) else {}
        message = choice.get("message")
        if not isinstance(message, dict):
            raise JudgeMalformed(f"the model of the judge {self.judge!r} gave an answer without a message", usage=usage)
        if message.get("refusal") or choice.get("finish_reason") == "content_filter":
            raise JudgeRefused(
                f"the model of the judge {self.judge!r} declined to look at these pictures, this prompt or scenario",
                usage=usage,
            )
        thinking = _text(message.get("reasoning_content")) or _text(message.get("reasoning"))
        return Reply(_text(message.get("content")), thinking, choice.get("finish_reason") == "length", usage)


def _usage(said: object) -> JudgeUsage:
    """One call's tokens; none where the server does not say."""
    told = said if isinstance(said, Mapping) else {}
    details = told.get("prompt_tokens_details")
    image = _count(details.get("image_tokens")) if isinstance(details, Mapping) else 0
    tokens = Tokens(input=_count(told.get("prompt_tokens")), output=_count(told.get("completion_tokens")), image=image)
    return JudgeUsage(tokens=tokens)


def _count(said: object) -> int:
    return said if isinstance(said, int) and said > 0 else 0


def _text(said: object) -> str | None:
    return said if isinstance(said, str) and said.strip() else None
