"""A vision-language model of `transformers` in this process: loaded from a folder or a hub, one batch of conversations at a time.

It knows tensors and the library; no judge's settings, no threads and no deadline but a question that it asks at every token.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import structlog

from contracts.errors import JudgeError, JudgeMisconfigured, first_line
from contracts.judging import JudgeUsage, Tokens

from ..base import decode
from ..memory import is_out_of_memory
from .conversation import Conversation, Reply
from .forced_form import Forcing, Vocabulary, form, rationale_room

if TYPE_CHECKING:
    from torch import Tensor

log = structlog.get_logger()


@dataclass(frozen=True)
class LocalModel:
    """Weights, and how texts and pictures become tensors for them."""

    judge: str
    prefix: str
    processor: Any
    model: Any
    words: Vocabulary

    @classmethod
    def load(cls, judge: str, prefix: str, model: str, revision: str, device: str, dtype: str) -> "LocalModel":
        """Read everything. Takes seconds to minutes. Raises JudgeMisconfigured where it cannot serve, saying why."""
        import torch  # noqa: PLC0415
        from safetensors import SafetensorError  # noqa: PLC0415
        from transformers import AutoModelForImageTextToText  # noqa: PLC0415

        try:
            processor = _processor(model, revision)
            kind = "auto" if dtype == "auto" else getattr(torch, dtype)
            loaded = AutoModelForImageTextToText.from_pretrained(model, revision=revision, dtype=kind).to(device).eval()
        except (OSError, ValueError, ImportError, RuntimeError, KeyError, SafetensorError) as error:
            if is_out_of_memory(error):
                raise
            # Users see the sentence, and what the library says names folders and addresses.
            log.warning("the model of a judge cannot be loaded", judge=judge, reason=first_line(error))
            raise JudgeMisconfigured(
                f"the judge {judge!r} is misconfigured: its model cannot be loaded ({type(error).__name__}, the worker's log says why): "
                f"check {prefix}MODEL, _DEVICE and _DTYPE"
            ) from error
        if wrong := _unfit(processor):
            raise JudgeMisconfigured(
                f"the judge {judge!r} is misconfigured: {wrong}: set {prefix}MODEL to an instruct model that sees pictures"
            )
        words = Vocabulary.of(processor.tokenizer, loaded.config.get_text_config().vocab_size)
        loaded.generation_config = _plain_generation(loaded.generation_config, words.end)
        return cls(judge, prefix, processor, loaded, words)

    def answer(
        self, conversations: Sequence[Conversation], most: int, forced: bool, over: Callable[[int], bool]
    ) -> list[Reply | JudgeError]:
        """What the model says to each of them, at most so many tokens; one error for each that it cannot be asked.

        `over(k)`, asked at every token, says whether conversation k need not go on; its reply is then whatever was said so far.
        """
        texts = [self._text(one) for one in conversations]
        inputs = self._inputs(conversations, texts)
        lengths = inputs["attention_mask"].sum(dim=1).tolist()
        errors = [
            self._complaint(int(length), most, ids) for length, ids in zip(lengths, inputs["input_ids"], strict=True)
        ]
        asked = [k for k, error in enumerate(errors) if error is None]
        if not asked:
            return [error for error in errors if error is not None]
        if len(asked) < len(conversations):  # what cannot be asked must not take part: it may not fit the device
            rest = iter(self.answer([conversations[k] for k in asked], most, forced, lambda k: over(asked[k])))
            return [next(rest) if error is None else error for error in errors]
        said = self._generated(inputs, conversations, most, forced, over)
        return [self._reply(ids, told, most) for ids, told in zip(inputs["input_ids"], said, strict=True)]

    def _text(self, conversation: Conversation) -> str:
        content = [
            {"type": "text", "text": one} if isinstance(one, str) else {"type": "image"} for one in conversation.parts
        ]
        messages: list[dict[str, Any]] = [
            {"role": "system", "content": [{"type": "text", "text": conversation.system}]},
            {"role": "user", "content": content},
        ]
        if conversation.corrected is not None:
            said, correction = conversation.corrected
            messages.append({"role": "assistant", "content": [{"type": "text", "text": said}]})
            messages.append({"role": "user", "content": [{"type": "text", "text": correction}]})
        template = self.processor.chat_template or self.processor.tokenizer.chat_template
        quiet = {"enable_thinking": False} if "enable_thinking" in str(template) else {}
        text: str = self.processor.apply_chat_template(messages, add_generation_prompt=True, tokenize=False, **quiet)
        return text

    def _inputs(self, conversations: Sequence[Conversation], texts: Sequence[str]) -> Any:
        pictures = [[decode(part) for part in one.parts if isinstance(part, bytes)] for one in conversations]
        try:
            return self.processor(
                text=list(texts),
                images=pictures,
                padding=True,
                padding_side="left",
                add_special_tokens=False,
                return_tensors="pt",
            )
        except ValueError as error:
            raise JudgeMisconfigured(
                f"the judge {self.judge!r} is misconfigured: its model's processor takes no pictures in a conversation "
                f"({first_line(error)}): set {self.prefix}MODEL to a model that sees pictures"
            ) from error

    def _complaint(self, length: int, most: int, ids: "Tensor") -> JudgeError | None:
        room = getattr(self.model.config.get_text_config(), "max_position_embeddings", None)
        if room is not None and length + most > room:
            return JudgeMisconfigured(
                f"the judge {self.judge!r} is misconfigured for this job: {length} tokens of text and pictures and {most} of an answer are "
                f"more than the {room} that its model takes: ask for fewer candidates, set {self.prefix}MODE=grid, or lower _MAX_TOKENS"
            )
        if self._pictured(ids) == 0:
            return JudgeMisconfigured(
                f"the judge {self.judge!r} is misconfigured: its model's chat template shows it no pictures: set {self.prefix}MODEL to one "
                "that sees them"
            )
        return None

    def _pictured(self, ids: "Tensor") -> int:
        """Tokens that stand for pictures."""
        return int((ids == self.processor.image_token_id).sum())

    def _generated(
        self, inputs: Any, conversations: Sequence[Conversation], most: int, forced: bool, over: Callable[[int], bool]
    ) -> "Tensor":
        """Token ids [rows, tokens] of the answers, greedily chosen, so that the same question has the same answer."""
        import torch  # noqa: PLC0415
        from transformers import GenerationConfig, StoppingCriteria  # noqa: PLC0415

        class Over(StoppingCriteria):  # type: ignore[misc]
            def __call__(self, input_ids: "Tensor", _scores: "Tensor", **_: Any) -> "Tensor":
                stopped = [over(row) for row in range(len(input_ids))]
                return torch.tensor(stopped, dtype=torch.bool, device=input_ids.device)

        def forms() -> Forcing:
            asked = [(_options(one), one.count) for one in conversations]
            return Forcing([form(self.words, *one, rationale_room(self.words, *one, most)) for one in asked])

        with torch.inference_mode():
            whole = self.model.generate(
                **inputs.to(self.model.device, dtype=self.model.dtype),
                generation_config=GenerationConfig(max_new_tokens=most, do_sample=False),
                logits_processor=[forms()] if forced else [],
                stopping_criteria=[Over()],
            )
        answers: Tensor = whole[:, inputs["input_ids"].shape[1] :].cpu()
        return answers

    def _reply(self, asked: "Tensor", said: "Tensor", most: int) -> Reply:
        ends = self.model.generation_config.eos_token_id
        ids = said.tolist()
        length = next((place + 1 for place, token in enumerate(ids) if token in ends), len(ids))
        pads = self.processor.tokenizer.pad_token_id
        tokens = Tokens(
            input=int((asked != pads).sum()) if pads is not None else len(asked),
            output=length,
            image=self._pictured(asked),
        )
        text = self.processor.tokenizer.decode(ids[:length], skip_special_tokens=True)
        cut = length == most and ids[length - 1] not in ends
        return Reply(text, cut=cut, usage=JudgeUsage(tokens=tokens))


def _unfit(processor: Any) -> str | None:
    """Why a model with this processor cannot be asked; None: it can."""
    if not (processor.chat_template or processor.tokenizer.chat_template):
        return "its model has no chat template, so it is none to talk with"
    if getattr(processor, "image_token_id", None) is None:
        return "its model's processor names no token that stands for a picture"
    return None


def _plain_generation(usual: Any, end: int) -> Any:
    """Of how a model usually generates only what ends and pads: its penalties would weigh on labels, and its beams mix up the forms."""
    from transformers import GenerationConfig  # noqa: PLC0415

    ends = usual.eos_token_id if isinstance(usual.eos_token_id, list) else [usual.eos_token_id]
    pad = end if usual.pad_token_id is None else usual.pad_token_id
    return GenerationConfig(eos_token_id=sorted({*ends, end} - {None}), pad_token_id=pad)


def _options(conversation: Conversation) -> list[str]:
    options: list[str] = conversation.schema["properties"]["selected"]["items"]["enum"]
    return options


def _processor(model: str, revision: str) -> Any:
    """The model's processor; where it wants a package for films that is not here, the same one without films."""
    from transformers import AutoConfig, AutoImageProcessor, AutoProcessor, AutoTokenizer  # noqa: PLC0415
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING  # noqa: PLC0415

    try:
        return AutoProcessor.from_pretrained(model, revision=revision)
    except ImportError:
        kind = _without_films(PROCESSOR_MAPPING[type(AutoConfig.from_pretrained(model, revision=revision))])
        pictures = AutoImageProcessor.from_pretrained(model, revision=revision)
        tokenizer = AutoTokenizer.from_pretrained(model, revision=revision)
        told, _ = kind.get_processor_dict(model, revision=revision)
        known = {name: told[name] for name in ("chat_template", "image_seq_len") if name in told}
        return kind(image_processor=pictures, tokenizer=tokenizer, video_processor=None, **known)


def _without_films(kind: Any) -> Any:
    """The same class of processors, content with none for films."""

    class Filmless(kind):  # type: ignore[misc]
        def check_argument_for_proper_class(self, argument_name: str, argument: Any) -> Any:
            if argument_name == "video_processor" and argument is None:
                return type(None)
            return super().check_argument_for_proper_class(argument_name, argument)

    return Filmless
