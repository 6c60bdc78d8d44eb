"""The judges `openai` and `local-vlm`: models behind the OpenAI protocol, at OpenAI or on a server of one's own.

It knows the protocol and its SDK; how to ask and what an answer is it does not.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import structlog

from contracts.errors import JudgeError, JudgeMalformed, JudgeRefused
from contracts.judging import JudgeUsage, Tokens

from ..base import Environment, JudgeSetupError
from ..bodies import count, json_object, text
from .building import vlm_judge
from .conversation import Conversation, Reply
from .judge import VlmJudge
from .settings import OpenAISettings, check_key, check_url, limits_of, read_vlm_settings
from .showing import Part

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAIError

OPENAI, LOCAL = "MAXWELL_JUDGE_OPENAI_", "MAXWELL_JUDGE_LOCAL_VLM_"

log = structlog.get_logger()


def judge(environment: Environment) -> VlmJudge:
    """The judge `openai`. Raises JudgeSetupError, and JudgeNotConfigured where none of its settings is set."""
    usual = {"base_url": "https://api.openai.com/v1", "detail": "low"}
    if key := environment.get("OPENAI_API_KEY", "").strip():
        usual["api_key"] = key
    fixes = {
        "model": f"set {OPENAI}MODEL to the name of a model that sees pictures",
        "api_key": f"set {OPENAI}API_KEY, or OPENAI_API_KEY, to a key of your provider",
    }
    settings = read_vlm_settings(OpenAISettings, "openai", OPENAI, environment, usual, fixes)
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
    settings = read_vlm_settings(OpenAISettings, "local-vlm", LOCAL, environment, usual, fixes)
    return _built("local-vlm", LOCAL, settings, "Asks a vision-language model on a server of your own.")


def _built(name: str, prefix: str, settings: OpenAISettings, description: str) -> VlmJudge:
    key = settings.api_key.get_secret_value()
    check_key(name, prefix, key)
    check_url(name, prefix, settings.base_url)
    try:
        from openai import AsyncOpenAI  # noqa: PLC0415 - half a second, and only for who has set it up

        from .pools import ManyPools  # noqa: PLC0415
    except ImportError as error:
        raise JudgeSetupError(f"the judge {name!r} needs the openai SDK: pip install 'maxwell[vlm]'.") from error
    client = AsyncOpenAI(api_key=key, base_url=settings.base_url, max_retries=0, http_client=ManyPools())
    chat = OpenAIChat(name, prefix, settings, client)
    limits = limits_of(settings, settings.base_url, key)
    return vlm_judge(name, description, settings, chat, limits, address=settings.base_url, fineness=settings.detail)


@dataclass(frozen=True)
class OpenAIChat:
    """One model behind chat.completions, which every compatible server has. The worker retries, the SDK does not.

    Many models refuse a temperature, whatever it is: what was refused once is in `unsent` and left out from then on.
    """

    judge: str
    prefix: str
    settings: OpenAISettings
    client: "AsyncOpenAI"
    unsent: set[str] = field(default_factory=set)

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        """The reply to one request. Raises JudgeError, typed as failures.py says."""
        import httpx2  # noqa: PLC0415
        from openai import OpenAIError  # noqa: PLC0415

        with_temperature, request = self._sends_temperature(), self.request(conversation)
        try:
            # Not by chat.completions.create: it goes through every part of the request for types that are none in ours.
            answer = await self.client.post(
                "/chat/completions", cast_to=httpx2.Response, body=request, options={"timeout": seconds}
            )
        except OpenAIError as error:
            # From None: the SDK's own error holds the request with its key.
            raise self._failure(error, with_temperature) from None
        return self._reply(answer.content)

    async def close(self) -> None:
        """End its connections."""
        await self.client.close()

    def _failure(self, error: "OpenAIError", with_temperature: bool) -> JudgeError:
        """The error as one of ours. One that only the temperature caused may be tried again, for the next request has none.

        It is no second request made here: who asks again looks at the job's allowance and the provider's limits first.
        """
        from .failures import takes_no, typed  # noqa: PLC0415

        failure = typed(error, self.judge, self.prefix, self.settings.api_key.get_secret_value())
        if with_temperature and takes_no(error, "temperature"):
            failure.retryable = True
            if "temperature" not in self.unsent:
                self.unsent.add("temperature")
                log.warning("the model takes no temperature, asked without it from now on", judge=self.judge)
        return failure

    def _sends_temperature(self) -> bool:
        """Whether the next request has one that can be left out: one in the extra body is the user's own."""
        left_out = self.unsent | self.settings.extra_body.keys()
        return self.settings.temperature is not None and "temperature" not in left_out

    def request(self, conversation: Conversation) -> dict[str, Any]:
        """The body of the request."""
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
        if self._sends_temperature():
            request["temperature"] = settings.temperature
        return request | settings.extra_body

    def _part(self, part: Part) -> dict[str, Any]:
        if isinstance(part, str):
            return {"type": "text", "text": part}
        image = {"url": f"data:image/jpeg;base64,{base64.b64encode(part).decode()}"}
        return {
            "type": "image_url",
            "image_url": image | ({"detail": self.settings.detail} if self.settings.detail else {}),
        }

    def _reply(self, body: bytes) -> Reply:
        """A body of the status 200. Nothing in it is taken for granted."""
        answer = json_object(body, self.judge, self.prefix)
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
        thinking = text(message.get("reasoning_content")) or text(message.get("reasoning"))
        return Reply(text(message.get("content")), thinking, choice.get("finish_reason") == "length", usage)


def _usage(said: object) -> JudgeUsage:
    """One call's tokens; none where the server does not say."""
    told = said if isinstance(said, Mapping) else {}
    details = told.get("prompt_tokens_details")
    image = count(details.get("image_tokens")) if isinstance(details, Mapping) else 0
    tokens = Tokens(input=count(told.get("prompt_tokens")), output=count(told.get("completion_tokens")), image=image)
    return JudgeUsage(tokens=tokens)
