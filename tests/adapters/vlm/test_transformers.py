"""A vision-language model in this process: two families with random weights are loaded, asked and answered, and what goes wrong is typed.

Random weights judge nothing; what is proved is the road: pictures in, an answer in form out, its tokens counted.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import torch
from structlog.testing import capture_logs

from contracts.errors import JudgeError, JudgeMalformed, JudgeMisconfigured, JudgeUnavailable
from contracts.judging import JudgeFailure, Verdict
from reward_adapters import registry
from reward_adapters.base import REWARD, JudgeNotConfigured, JudgeSetupError
from reward_adapters.vlm.conversation import Conversation
from reward_adapters.vlm.judge import VlmJudge
from reward_adapters.vlm.prompt import SYSTEM, schema
from reward_adapters.vlm.transformers_vlm import NAME, PREFIX, TransformersChat
from workers.judging import Bench

from ...conftest import wait_until
from ..pictures import ask
from .asking import reds
from .tiny_vlm import FAMILIES, LONGEST, tiny_vlm

LEVELS = (10, 200, 30, 150)
QUICK = {"max_tokens": "70"}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder with a model of each family."""
    return {family: tiny_vlm(tmp_path_factory.mktemp(family), family) for family in FAMILIES}


@asynccontextmanager
async def judging(model: Path | str, **settings: str) -> AsyncIterator[VlmJudge]:
    """The judge as the worker builds it. Its thread ends with the block."""
    told = QUICK | {"model": str(model)} | settings
    judge = registry.build(NAME, {PREFIX + name.upper(): value for name, value in told.items()})
    assert isinstance(judge, VlmJudge)
    try:
        yield judge
    finally:
        await judge.close()


def chat_of(judge: VlmJudge) -> TransformersChat:
    """The chat behind it."""
    assert isinstance(judge.chat, TransformersChat)
    return judge.chat


def chosen(verdict: Verdict | JudgeFailure) -> int:
    """How many pictures were."""
    assert isinstance(verdict, Verdict), verdict
    return sum(score == REWARD for score in verdict.scores)


@pytest.mark.parametrize("family", FAMILIES)
async def test_even_a_model_that_knows_nothing_answers_in_form_and_its_tokens_are_counted(
    models: dict[str, Path], family: str
) -> None:
    async with judging(models[family]) as judge:
        bench = Bench({NAME: judge})
        first = await bench.answer(ask(judge.card, 4), reds(*LEVELS))
        again = await bench.answer(ask(judge.card, 4), reds(*LEVELS))
        many = await bench.answer(ask(judge.card, 6, seed=3), reds(0, 40, 80, 120, 160, 200))
    assert isinstance(first, Verdict)
    assert isinstance(again, Verdict)
    assert (first.scores, first.rationale) == (again.scores, again.rationale), "same ask, same verdict"
    assert (chosen(first), chosen(many)) == (2, 3)
    assert first.rationale is not None
    tokens = first.usage.tokens
    assert tokens.image == 16, "four pictures, 2 x 2 tokens each"
    assert tokens.image < tokens.input < LONGEST
    assert 0 < tokens.output <= 70
    assert (first.usage.calls, first.usage.estimated) == (1, False)


@pytest.mark.parametrize("family", FAMILIES)
async def test_asked_by_words_alone_it_is_malformed_and_no_verdict_is_made_up(
    models: dict[str, Path], family: str
) -> None:
    async with judging(models[family], schema_mode="prompt", max_tokens="50") as judge:
        with pytest.raises(JudgeMalformed, match=r"no usable answer.*cut off") as raised:
            await judge.score(ask(judge.card, 4), reds(*LEVELS))
    assert (raised.value.usage.calls, raised.value.usage.tokens.output) == (1, 50)


@pytest.mark.parametrize("mode", ["grid", "pairwise"])
async def test_the_other_modes_are_answered_too(models: dict[str, Path], mode: str) -> None:
    async with judging(models["qwen2_vl"], mode=mode) as judge:
        verdict = await Bench({NAME: judge}).answer(ask(judge.card, 3), reds(10, 90, 200))
    assert isinstance(verdict, Verdict), verdict
    assert verdict.usage.calls == (1 if mode == "grid" else 6)


@pytest.mark.parametrize("family", FAMILIES)
async def test_what_waits_together_is_answered_together_as_it_would_be_alone(
    models: dict[str, Path], family: str
) -> None:
    async with judging(models[family], max_batch="3") as judge:
        asks = [(ask(judge.card, count, seed=count), reds(*range(5, 5 + 40 * count, 40))) for count in (2, 5, 3)]
        alone = [await judge.score(*one) for one in asks]
        chat_of(judge).batches.clear()
        together = await asyncio.gather(*(judge.score(*one) for one in asks))
        assert sum(chat_of(judge).batches) == 3
        assert max(chat_of(judge).batches) in (2, 3)  # the first may go before the others are there
    assert [one.usage.tokens for one in together] == [one.usage.tokens for one in alone], "padding is not counted"
    assert [one.scores for one in together] == [one.scores for one in alone]


async def test_a_malformed_answer_that_is_told_again_shows_the_same_pictures(models: dict[str, Path]) -> None:
    async with judging(models["idefics3"]) as judge:
        chat = chat_of(judge)
        asked = Conversation(SYSTEM, ("look", *reds(10, 200)), schema(["A", "B"]), 1)
        plain = await chat.say(asked, 60)
        corrected = await chat.say(replace(asked, corrected=("A and B", "again")), 60)
    assert plain.usage.tokens.image == corrected.usage.tokens.image == 8
    assert corrected.usage.tokens.input > plain.usage.tokens.input
    assert json.loads(corrected.text or "")["selected"] in (["A"], ["B"])


async def test_how_a_model_usually_generates_does_not_change_its_verdict(tmp_path: Path) -> None:
    """As real ones say it in their generation_config.json: penalties, chance, beams, tokens that they shall not begin with."""
    folder, asked = tiny_vlm(tmp_path, "qwen2_vl"), (10, 60, 110, 160, 210)
    async with judging(folder) as judge:
        usual = await judge.score(ask(judge.card, 5), reds(*asked))
    told = json.loads((folder / "generation_config.json").read_text())
    unlike = {
        "do_sample": True, "temperature": 5.0, "top_k": 50, "repetition_penalty": 20.0, "no_repeat_ngram_size": 1, "num_beams": 2,
        "begin_suppress_tokens": [*range(700)], "min_new_tokens": 65,
    }  # fmt: skip
    (folder / "generation_config.json").write_text(json.dumps(told | unlike))
    async with judging(folder) as judge:
        assert await judge.score(ask(judge.card, 5), reds(*asked)) == usual


async def test_the_deadline_stops_the_generation_and_the_next_ask_is_answered(models: dict[str, Path]) -> None:
    async with judging(models["qwen2_vl"], schema_mode="prompt", max_tokens="5000") as judge:
        await told_as_malformed(judge, "50")
        late = ask(judge.card, 4, deadline=datetime.now(UTC) + timedelta(seconds=0.5))
        with pytest.raises(JudgeUnavailable, match="in time"):
            await judge.score(late, reds(*LEVELS))
        cancelled = await being_answered(judge)
        cancelled.cancel()
        await told_as_malformed(judge, "50")  # the thread is free again: it does not write 5000 tokens for nobody


async def being_answered(judge: VlmJudge) -> "asyncio.Task[Verdict]":
    """An ask that the model has begun with."""
    batches = chat_of(judge).batches
    asked = asyncio.create_task(judge.score(ask(judge.card, 4), reds(*LEVELS)))
    await wait_until(lambda: len(chat_of(judge).batches) > len(batches), "the model has begun")
    return asked


async def told_as_malformed(judge: VlmJudge, most: str) -> None:
    """An ask of so few tokens that it is answered at once."""
    chat = chat_of(judge)
    settings = chat.settings
    chat.settings = settings.model_copy(update={"max_tokens": int(most)})
    with pytest.raises(JudgeMalformed):
        await judge.score(ask(judge.card, 4), reds(*LEVELS))
    chat.settings = settings


async def test_closing_stops_what_is_being_generated_and_tells_what_waits(models: dict[str, Path]) -> None:
    async with judging(models["qwen2_vl"], schema_mode="prompt", max_tokens="5000", max_batch="1") as judge:
        await told_as_malformed(judge, "50")
        begun = await being_answered(judge)
        waiting = asyncio.create_task(judge.score(ask(judge.card, 4), reds(*LEVELS)))
        await wait_until(lambda: len(chat_of(judge).waiting) == 1, "another ask waits")
        await judge.close()
        with pytest.raises(JudgeUnavailable):
            await begun
        with pytest.raises(JudgeUnavailable, match="was closed") as raised:
            await waiting
        assert raised.value.usage.calls == 0


async def test_a_conversation_longer_than_the_model_takes_fails_alone(models: dict[str, Path]) -> None:
    async with judging(models["qwen2_vl"]) as judge:
        chat = chat_of(judge)
        good = Conversation(SYSTEM, ("look", *reds(10, 200)), schema(["A", "B"]), 1)
        long = replace(good, parts=("no end. " * LONGEST, *good.parts))
        said = await asyncio.gather(*(chat.say(one, 60) for one in (good, long, good)), return_exceptions=True)
    assert isinstance(said[1], JudgeMisconfigured)
    assert "fewer candidates" in str(said[1])
    assert [getattr(said[k], "text", None) for k in (0, 2)].count(None) == 0


async def test_a_model_without_a_template_or_one_that_shows_no_pictures_is_misconfigured(tmp_path: Path) -> None:
    folder = tiny_vlm(tmp_path, "qwen2_vl")
    template = folder / "chat_template.jinja"
    template.write_text("{% for message in messages %}{{ message.role }}{% endfor %}")
    async with judging(folder) as judge:
        assert "pictures" in str(await failure(judge))
    template.unlink()
    async with judging(folder) as judge:
        assert "no chat template" in str(await failure(judge))


async def failure(judge: VlmJudge) -> JudgeError:
    """What comes of an ask."""
    with pytest.raises(JudgeMisconfigured) as raised:
        await judge.score(ask(judge.card, 4), reds(*LEVELS))
    return raised.value


async def test_a_device_without_room_gets_half_of_the_batch_and_at_last_an_error_with_the_fix(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with judging(models["qwen2_vl"]) as judge:
        await judge.score(ask(judge.card, 2), reds(10, 200))
        model = chat_of(judge).model
        assert model is not None
        generate, room = model.model.generate, 1

        def cramped(**inputs: Any) -> Any:
            if len(inputs["input_ids"]) > room:
                raise torch.OutOfMemoryError("CUDA out of memory")
            return generate(**inputs)

        monkeypatch.setattr(model.model, "generate", cramped)
        asks = [judge.score(ask(judge.card, 4, seed=seed), reds(*LEVELS)) for seed in range(3)]
        assert [chosen(one) for one in await asyncio.gather(*asks)] == [2, 2, 2]
        room = 0
        with pytest.raises(JudgeUnavailable, match="no memory"):
            await judge.score(ask(judge.card, 4), reds(*LEVELS))


async def test_an_ask_that_cannot_be_answered_takes_no_other_down_with_it(
    models: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Answered together are asks of different jobs. One that has no room, or that the library chokes on, fails alone."""
    async with judging(models["qwen2_vl"]) as judge:
        await judge.score(ask(judge.card, 2), reds(10, 200))
        chat = chat_of(judge)
        assert chat.model is not None
        generate = chat.model.model.generate
        for trouble, kind in (
            (torch.OutOfMemoryError("CUDA out of memory"), JudgeUnavailable),
            (KeyError("odd"), KeyError),
        ):

            def choosy(trouble: Exception = trouble, **inputs: Any) -> Any:
                if (inputs["input_ids"] == chat.model.processor.image_token_id).sum(dim=1).max() > 16:  # type: ignore[union-attr]
                    raise trouble
                return generate(**inputs)

            monkeypatch.setattr(chat.model.model, "generate", choosy)
            counts = (4, 3, 8, 2, 4)
            asks = (judge.score(ask(judge.card, n, seed=n), reds(*range(5, 5 + 30 * n, 30))) for n in counts)
            said = await asyncio.gather(*asks, return_exceptions=True)
            assert [type(one) for one in said] == [Verdict, Verdict, kind, Verdict, Verdict]


async def test_weights_that_cannot_be_read_are_misconfigured_and_their_folder_is_for_the_log_only(
    tmp_path: Path,
) -> None:
    folder = tiny_vlm(tmp_path, "qwen2_vl")
    weights = folder / "model.safetensors"
    whole = weights.read_bytes()
    for damage in (lambda: weights.write_bytes(whole[:1000]), weights.unlink):
        damage()
        async with judging(folder) as judge:
            with capture_logs() as logs:
                said = str(await failure(judge))
        assert "its model cannot be loaded" in said
        assert str(folder) not in said
        assert [line["judge"] for line in logs if "cannot be loaded" in line["event"]] == [NAME]


def test_what_is_not_there_is_said_with_the_fix_before_weights_are_read(tmp_path: Path) -> None:
    with pytest.raises(JudgeNotConfigured, match=f"set {PREFIX}MODEL"):
        registry.build(NAME, {})
    folder = tmp_path / "text"
    folder.mkdir()
    for model, more, words in (
        (tmp_path / "nowhere", {}, "no model"),
        (folder, {}, "no model"),
        (folder, {"DEVICE": "cuda:99"}, "no device 'cuda:99'"),
        (folder, {"DTYPE": "float8"}, f"{PREFIX}DTYPE"),
    ):
        told = {PREFIX + "MODEL": str(model)} | {PREFIX + name: value for name, value in more.items()}
        with pytest.raises(JudgeSetupError, match=words):
            registry.build(NAME, told)
    (folder / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(JudgeSetupError, match="does not answer to pictures"):
        registry.build(NAME, {PREFIX + "MODEL": str(folder)})
