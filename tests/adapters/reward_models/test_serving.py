"""Reward models are built from their settings alone, loaded once by whoever asks first, and get halves where a device has no room."""

import asyncio
import threading
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from contracts.errors import JudgeError, JudgeUnavailable
from reward_adapters.base import JudgeNotConfigured, JudgeSetupError
from reward_adapters.reward_models.aesthetic import AestheticSettings
from reward_adapters.reward_models.judge import RewardJudge
from reward_adapters.reward_models.loading import affine
from reward_adapters.reward_models.settings import TextSettings

from ..pictures import ask, blots, encoded, plain, sent
from .tiny import NAMES, settings

Checkpoints = Mapping[str, dict[str, str]]
PUBLISHED = {
    "aesthetic": "trl-lib/ddpo-aesthetic-predictor/aesthetic-model.pth",
    "clip": "openai/clip-vit-large-patch14",
    "hpsv2": "xswu/HPSv2/HPS_v2.1_compressed.pt",
    "imagereward": "THUDM/ImageReward/ImageReward.pt",
    "pickscore": "yuvalkirstain/PickScore_v1",
}


def build(name: str, environment: Mapping[str, str]) -> RewardJudge:
    """The judge, by its module's factory."""
    judge = import_module(f"reward_adapters.reward_models.{name}").judge(environment)
    assert isinstance(judge, RewardJudge)
    return judge


async def scores(judge: RewardJudge, pictures: list[bytes], **changed: object) -> list[float]:
    """Of these pictures."""
    verdict = await judge.score(ask(judge.card, len(pictures), **changed), pictures)
    return [one for one in verdict.scores if one is not None]


@pytest.mark.parametrize("name", NAMES)
def test_without_a_model_it_says_which_one_to_set_and_that_nobody_asked_for_it(name: str) -> None:
    with pytest.raises(JudgeNotConfigured, match=f"set MAXWELL_JUDGE_{name.upper()}_MODEL to {PUBLISHED[name]}"):
        build(name, {"MAXWELL_JUDGE_DEVICE": "cpu"})
    with pytest.raises(JudgeSetupError, match=f"set MAXWELL_JUDGE_{name.upper()}_MODEL") as raised:
        build(name, settings(name, batch_size=4))
    assert not isinstance(raised.value, JudgeNotConfigured), "half set up is worth a warning"


@pytest.mark.parametrize("name", NAMES)
async def test_weights_are_read_once_by_the_first_of_many_asks(checkpoints: Checkpoints, name: str) -> None:
    judge = build(name, checkpoints[name])
    load, loads, threads = judge._load, [], []

    def counted() -> Any:
        loads.append(1)
        threads.append(threading.current_thread())
        return load()

    judge._load = counted
    assert not loads, "building reads none"
    pictures = sent(judge.card, 4)
    together = await asyncio.gather(*(scores(judge, pictures) for _ in range(4)))
    assert len(loads) == 1
    assert threads[0] is not threading.main_thread()
    assert together == [together[0]] * 4


@pytest.mark.parametrize("name", NAMES)
async def test_batches_change_nothing_and_a_device_without_room_gets_halves(
    checkpoints: Checkpoints, name: str
) -> None:
    whole = build(name, checkpoints[name])
    pictures = sent(whole.card, 7)
    expected = await scores(whole, pictures)
    small = build(name, checkpoints[name] | settings(name, batch_size=3))
    assert await scores(small, pictures) == pytest.approx(expected, abs=1e-5)
    room = 2
    network = whole._loaded()

    class Cramped:
        def measure(self, prompt: str) -> Callable[[Tensor], Tensor]:
            measure = network.measure(prompt)

            def cramped(batch: Tensor) -> Tensor:
                if len(batch) > room:
                    raise torch.OutOfMemoryError("CUDA out of memory")
                return measure(batch)

            return cramped

    whole._network = Cramped()
    assert await scores(whole, pictures) == pytest.approx(expected, abs=1e-5)
    assert whole.batch_size in (1, 2), "what did not fit is not tried again"
    room = 0
    with pytest.raises(JudgeUnavailable, match="no memory for its network and one picture"):
        await scores(whole, pictures)


async def test_who_waits_for_weights_keeps_nobody_else_waiting(checkpoints: Checkpoints) -> None:
    """Weights may take minutes to fetch, and asks that gave up meanwhile still held the threads that all judges share."""
    judge = build("clip", checkpoints["clip"])
    load, begun, fetched, loads = judge._load, threading.Event(), threading.Event(), []

    def slow() -> Any:
        loads.append(1)
        begun.set()
        assert fetched.wait(60)
        return load()

    judge._load = slow
    pictures = sent(judge.card, 1)
    waiting = [asyncio.create_task(scores(judge, pictures)) for _ in range(40)]  # more than the shared threads, ever
    try:
        async with asyncio.timeout(30):
            assert await asyncio.to_thread(begun.wait, 20)
            for one in waiting:
                one.cancel()
            await asyncio.wait(waiting)
            assert await asyncio.to_thread(len, pictures) == 1
    finally:
        fetched.set()
    assert len(await scores(judge, pictures)) == len(loads) == 1
    await judge.close()


async def test_no_room_for_the_weights_is_unavailable_too_and_tried_again(checkpoints: Checkpoints) -> None:
    judge = build("clip", checkpoints["clip"])
    load = judge._load

    def cramped() -> Any:
        raise torch.OutOfMemoryError("CUDA out of memory")

    judge._load = cramped
    with pytest.raises(JudgeUnavailable):
        await scores(judge, sent(judge.card, 1))
    judge._load = load
    assert len(await scores(judge, sent(judge.card, 1))) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_the_prompt_counts_where_it_should_the_scenario_never(checkpoints: Checkpoints, name: str) -> None:
    judge = build(name, checkpoints[name])
    pictures = sent(judge.card, 3)
    first = await scores(judge, pictures, prompt="a red apple")
    assert await scores(judge, pictures, prompt="a red apple", scenario="a teacher") == first
    other = await scores(judge, pictures, prompt="le le le !")
    assert (other == first) == (name == "aesthetic")


@pytest.mark.parametrize("name", NAMES)
async def test_half_precision_is_near_and_scores_are_whole_floats(checkpoints: Checkpoints, name: str) -> None:
    pictures = [encoded(blots(k)) for k in range(6)]
    exact = torch.tensor(await scores(build(name, checkpoints[name]), pictures))
    near = torch.tensor(await scores(build(name, checkpoints[name] | settings(name, dtype="bfloat16")), pictures))
    assert 0 < float((near - exact).abs().max()) < float(exact.std()), (
        "bfloat16 is used, and does not change the picture"
    )


async def test_tensors_that_are_here_already_get_the_scores_of_their_encoded_pictures(checkpoints: Checkpoints) -> None:
    judge = build("hpsv2", checkpoints["hpsv2"])
    images = [blots(k) for k in range(3)]
    tensors = torch.stack(
        [torch.frombuffer(bytearray(one.tobytes()), dtype=torch.uint8).view(64, 64, 3) for one in images]
    )
    ours = judge.measure("a red apple", tensors.permute(0, 3, 1, 2))
    assert ours == pytest.approx(await scores(judge, [encoded(one) for one in images]), abs=1e-6)


async def test_pictures_of_one_ask_have_one_size(checkpoints: Checkpoints) -> None:
    judge = build("clip", checkpoints["clip"])
    with pytest.raises(JudgeError, match="differ in size"):
        await scores(judge, [encoded(plain("red")), encoded(plain("red", (32, 32)))])


def test_what_changes_a_score_changes_the_fingerprint_and_nothing_else_does(checkpoints: Checkpoints) -> None:
    plain_one = build("clip", checkpoints["clip"]).fingerprint
    assert (
        build("clip", checkpoints["clip"] | settings("clip", batch_size=1, seconds_per_ask=9)).fingerprint == plain_one
    )
    assert build("clip", checkpoints["clip"] | settings("clip", dtype="bfloat16")).fingerprint != plain_one


def test_a_chain_of_linear_layers_is_one_affine_map() -> None:
    """Two of them by hand: 2 (x + 2 y + 1) - 3 (3 x - 1) + 7 = -7 x + 4 y + 12."""
    chain = {"0.weight": [[1.0, 2.0], [3.0, 0.0]], "0.bias": [1.0, -1.0], "3.weight": [[2.0, -3.0]], "3.bias": [7.0]}
    w, b = affine({name: torch.tensor(value) for name, value in chain.items()})
    assert (w.tolist(), float(b)) == ([-7.0, 4.0], 12.0)
    with pytest.raises(ValueError, match="layer 3"):
        affine({name: torch.tensor(value) for name, value in chain.items()} | {"3.weight": torch.ones(1, 3)})


def test_every_setting_and_every_published_checkpoint_is_documented() -> None:
    text = (Path(__file__).parents[3] / "docs" / "reward-models.md").read_text(encoding="utf-8")
    for name, field in (TextSettings.model_fields | AestheticSettings.model_fields).items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `…_{name.upper()}`"))
        assert (
            field.is_required() or field.default is None or f"`{field.default}`" in row or f" {field.default} " in row
        )
    assert [name for name, place in PUBLISHED.items() if f"`{place}`" not in text] == []
