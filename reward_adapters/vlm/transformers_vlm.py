"""The judge `transformers-vlm`: a vision-language model in the judge worker's own process, for a device of one's own and no server.

It knows when weights are loaded and who is answered together; how a model is asked and loaded is in_process.py's.
"""

import asyncio
import contextlib
import threading
import time
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Literal

from pydantic import Field

from contracts.errors import JudgeError, JudgeUnavailable, first_line
from contracts.judging import NO_CALL

from ..base import Environment, JudgeSetupError
from ..memory import is_out_of_memory
from ..settings import check_device, device_of_all
from .building import vlm_judge
from .conversation import Conversation, Reply
from .in_process import LocalModel
from .judge import VlmJudge
from .settings import VlmSettings, limits_of, read_vlm_settings

NAME, PREFIX = "transformers-vlm", "MAXWELL_JUDGE_TRANSFORMERS_VLM_"


class LocalSettings(VlmSettings):
    """Where the model is and how it runs."""

    device: str = Field("cpu", description="cpu, cuda, cuda:1 ...")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="auto: as the weights are stored."
    )
    revision: str = Field("main", description="Branch, tag or commit, of a model from a hub.")
    max_batch: int = Field(8, ge=1, description="Asks that are answered together.")
    schema_mode: Literal["json_schema", "prompt"] = Field(
        "json_schema", description="json_schema: the answer's form is forced, token by token; prompt: by words alone."
    )


def judge(environment: Environment) -> VlmJudge:
    """The judge `transformers-vlm`; no weights are loaded yet. Raises JudgeSetupError and JudgeNotConfigured."""
    usual = {"device": device_of_all(environment), "max_tokens": "300"}
    fixes = {"model": f"set {PREFIX}MODEL to a folder with a vision-language model, or its name on the hub"}
    settings = read_vlm_settings(LocalSettings, NAME, PREFIX, environment, usual, fixes)
    _check(settings)
    chat = TransformersChat(settings)
    built = vlm_judge(
        NAME, "Asks a vision-language model in this process.", settings, chat, limits_of(settings, "in-process", "none")
    )
    # More asks than two batches would wait here for each other, and not for a worker that is free.
    return replace(built, card=built.card.model_copy(update={"asks_at_once": 2 * settings.max_batch}))


def _check(settings: LocalSettings) -> None:
    """Raises JudgeSetupError where the model or the device is not there. Reads the model's config, not its weights."""
    from transformers import AutoConfig  # noqa: PLC0415
    from transformers.models.auto.modeling_auto import MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING  # noqa: PLC0415

    check_device(NAME, settings.device, f"{PREFIX}DEVICE")
    try:
        config = AutoConfig.from_pretrained(settings.model, revision=settings.revision)
    except (OSError, ValueError, KeyError) as error:
        raise JudgeSetupError(
            f"the judge {NAME!r} is misconfigured: no model {settings.model!r} can be read ({first_line(error)}): set {PREFIX}MODEL to a "
            "folder with its files, or to its name on a hub that can be reached."
        ) from error
    if type(config) not in MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING:
        raise JudgeSetupError(
            f"the judge {NAME!r} is misconfigured: {settings.model!r} is of the kind {config.model_type!r}, which does not answer to "
            f"pictures: set {PREFIX}MODEL to a vision-language model."
        )


@dataclass(eq=False)
class _Waiting:
    """A conversation, until when (monotonic clock) its reply is of use, and where that goes."""

    conversation: Conversation
    until: float
    reply: "Future[Reply]" = field(default_factory=Future)

    @property
    def over(self) -> bool:
        """Whether nobody waits any more."""
        return self.reply.done() or time.monotonic() >= self.until

    def settle(self, said: Reply | Exception) -> None:
        """Hand it over, unless nobody waits."""
        with contextlib.suppress(InvalidStateError):
            if isinstance(said, Exception):
                self.reply.set_exception(said)
            else:
                self.reply.set_result(said)


class TransformersChat:
    """One model and the one thread that it runs in. All that waits when the thread is free is answered together, as a batch."""

    def __init__(self, settings: LocalSettings) -> None:
        self.settings = settings
        self.waiting: list[_Waiting] = []
        self._guard = threading.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=NAME)
        self.model: LocalModel | None = None
        self._closed = False
        self.batches: list[int] = []  # sizes of the last ones, for whoever wants to know

    async def say(self, conversation: Conversation, seconds: float) -> Reply:
        """The model's reply. The first one waits for the weights. Raises JudgeError, typed."""
        one = _Waiting(conversation, time.monotonic() + seconds)
        with self._guard:
            self.waiting.append(one)
        self._thread.submit(self._work)
        return await asyncio.wrap_future(one.reply)

    async def close(self) -> None:
        """End the thread: what is being generated stops at its next token, and what waits is told."""
        self._closed = True
        with self._guard:
            waiting, self.waiting = self.waiting, []
        for one in waiting:
            one.settle(JudgeUnavailable(f"the judge {NAME!r} was closed before it came to this ask", usage=NO_CALL))
        await asyncio.to_thread(self._thread.shutdown, cancel_futures=True)

    def _work(self) -> None:
        """Answer the next batch; nothing where another call has answered all."""
        batch = self._next()
        if not batch:
            return
        try:
            if self.model is None:
                self.model = self._loaded()
        except Exception as error:  # whoever waits must hear of it, and the thread has to live on
            for one in batch:
                one.settle(self._said_of(error))
            return
        self._answer(self.model, [one for one in batch if not self._late(one)])

    def _next(self) -> list[_Waiting]:
        with self._guard:
            batch: list[_Waiting] = []
            while self.waiting and len(batch) < self.settings.max_batch:
                one = self.waiting.pop(0)
                if not self._late(one):
                    batch.append(one)
            return batch

    def _late(self, one: _Waiting) -> bool:
        """Whether it need not be asked any more; then it is told so."""
        if one.over:
            one.settle(JudgeUnavailable(f"the model of the judge {NAME!r} had no time for this ask", usage=NO_CALL))
        return one.over

    def _loaded(self) -> LocalModel:
        settings = self.settings
        return LocalModel.load(NAME, PREFIX, settings.model, settings.revision, settings.device, settings.dtype)

    def _answer(self, model: LocalModel, batch: Sequence[_Waiting]) -> None:
        """Answer all of them, in halves where the whole cannot be: for want of room, or for one that takes the others down with it."""
        if not batch:
            return
        forced = self.settings.schema_mode == "json_schema"
        self.batches = [*self.batches[-99:], len(batch)]

        def over(place: int) -> bool:
            return self._closed or batch[place].over

        try:
            replies = model.answer([one.conversation for one in batch], self.settings.max_tokens, forced, over)
        except Exception as error:  # whoever waits must hear of it, and the thread has to live on
            if len(batch) == 1:
                batch[0].settle(self._said_of(error))
                return
            half = len(batch) // 2
        else:
            for one, said in zip(batch, replies, strict=True):
                one.settle(self._in_time(one, said))
            return
        # Outside the handler: the error holds on to the tensors that did not fit.
        self._answer(model, batch[:half])
        self._answer(model, batch[half:])

    def _in_time(self, one: _Waiting, said: Reply | JudgeError) -> Reply | JudgeError:
        """What was said, unless it was stopped before its end."""
        if isinstance(said, Reply) and (self._closed or time.monotonic() >= one.until):
            return JudgeUnavailable(f"the model of the judge {NAME!r} gave no answer in time", usage=said.usage)
        return said

    def _said_of(self, error: Exception) -> Exception:
        """What whoever waits is told."""
        if not is_out_of_memory(error):
            return error
        return JudgeUnavailable(
            f"the device of the judge {NAME!r} has no memory for its model and this ask: set {PREFIX}MODE=grid, a smaller model, or "
            "ask for fewer candidates"
        )
