"""What is wrong with the files of a reward model is said in one sentence: as it is built, or when it is first asked, without its folder."""

import json
import re
import shutil
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from reward_adapters.base import JudgeSetupError
from reward_adapters.reward_models.judge import RewardJudge
from workers.judging import Bench

from ..pictures import ask, sent
from .test_serving import PUBLISHED, build
from .tiny import settings
from .tokenizers import bert_tokenizer, clip_tokenizer

Checkpoints = Mapping[str, dict[str, str]]


async def failure(judge: RewardJudge) -> str:
    """What the judge says where its weights cannot serve, as the job would hear it."""
    answer = await Bench({judge.card.name: judge}).answer(ask(judge.card, 2), sent(judge.card, 2))
    assert answer.outcome == "failure"
    assert answer.code == "judge_misconfigured"
    assert "/" not in answer.detail, "users need not know the worker's folders"
    return answer.detail


def test_what_is_not_there_is_said_before_weights_are_read(
    checkpoints: Checkpoints, folder: Path, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    bert = tmp_path / "bert"
    bert.mkdir()
    (bert / "config.json").write_text('{"model_type": "bert"}')
    (bert / "model.safetensors").write_bytes(b"")
    clip, head, reward = str(folder / "clip"), str(folder / "head.pth"), tmp_path / "reward"
    shutil.copytree(folder / "imagereward", reward)
    (reward / "med_config.json").write_text("{}")
    unread = tmp_path / "unread"
    unread.mkdir()
    (unread / "ImageReward.pt").write_bytes(b"")
    cases: list[tuple[str, dict[str, object], str]] = [
        ("clip", {"model": tmp_path / "nowhere"}, r"there is no '.*nowhere' here.* set MAXWELL_JUDGE_CLIP_MODEL"),
        ("clip", {"model": "clip"}, "on a hub it would be owner/name"),
        ("clip", {"model": empty}, "has no file config.json: set MAXWELL_JUDGE_CLIP_MODEL"),
        ("clip", {"model": bert}, "is of the kind 'bert' and no CLIP model"),
        ("clip", {"model": head}, "'head.pth' is one file, and a CLIP model is a folder"),
        (
            "clip",
            {"model": clip, "tokenizer": empty},
            "has no file tokenizer.json or vocab.json: set MAXWELL_JUDGE_CLIP_TOKENIZER",
        ),
        ("clip", {"model": clip, "dtype": "float8"}, "MAXWELL_JUDGE_CLIP_DTYPE"),
        ("clip", {"model": clip, "batch_size": 0}, "MAXWELL_JUDGE_CLIP_BATCH_SIZE"),
        ("clip", {"model": clip, "device": "cuda:99"}, "no device 'cuda:99' here"),
        ("hpsv2", {"model": empty}, "has no file config.json"),
        ("aesthetic", {"model": empty}, "has no file aesthetic-model.pth: set MAXWELL_JUDGE_AESTHETIC_MODEL"),
        ("aesthetic", {"model": head, "clip": bert}, "no CLIP model: set MAXWELL_JUDGE_AESTHETIC_CLIP"),
        ("imagereward", {"model": empty}, "has no file ImageReward.pt"),
        ("imagereward", {"model": unread}, "has no file med_config.json"),
        ("imagereward", {"model": reward}, "the med_config.json of .* cannot be read"),
        (
            "imagereward",
            {"model": folder / "imagereward", "tokenizer": empty},
            "set MAXWELL_JUDGE_IMAGEREWARD_TOKENIZER",
        ),
    ]
    for name, told, words in cases:
        with pytest.raises(JudgeSetupError, match=words):
            build(name, settings(name, **told))


def test_a_hubs_file_that_was_fetched_before_is_found_without_the_hub(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.file_download.constants.HF_HUB_OFFLINE", True)
    kept = tmp_path / "models--xswu--HPSv2"
    (kept / "refs").mkdir(parents=True)
    (kept / "refs" / "main").write_text("c0ffee")
    (kept / "snapshots" / "c0ffee").mkdir(parents=True)
    shutil.copy(folder / "HPS_v2.1_compressed.pt", kept / "snapshots" / "c0ffee")
    told = settings("hpsv2", tokenizer=folder / "clip", model=PUBLISHED["hpsv2"])
    judge = build("hpsv2", told)
    assert len(judge.measure("a red apple", torch.zeros(2, 3, 8, 8, dtype=torch.uint8))) == 2
    with pytest.raises(JudgeSetupError, match="'xswu/other' lies neither here nor on a hub that can be reached"):
        build("hpsv2", told | settings("hpsv2", model="xswu/other/some.pt"))


def test_a_hub_that_does_not_answer_is_waited_for_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.setblocking(False)
        hub = f"http://127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", hub)
        files = hub + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", files)
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", files, raising=False)
        monkeypatch.setattr("reward_adapters.reward_models.places.PATIENCE", 0.2)
        for name in ("clip", "pickscore", "imagereward"):
            with pytest.raises(JudgeSetupError, match="nor on a hub that can be reached"):
                build(name, settings(name, model=PUBLISHED[name]))
        silent.accept()[0].close()
        with pytest.raises(BlockingIOError):
            silent.accept()


@pytest.mark.parametrize("named", ["~no-such-user/some/model", "a" * 300 + "/model"])
def test_a_path_that_cannot_be_looked_at_is_a_wrong_setting(named: str) -> None:
    with pytest.raises(JudgeSetupError, match=r"cannot be looked at \(.*Error\): set MAXWELL_JUDGE_CLIP_MODEL"):
        build("clip", settings("clip", model=named))


async def test_weights_that_cannot_serve_are_said_at_the_first_ask(
    checkpoints: Checkpoints, folder: Path, tmp_path: Path
) -> None:
    weights = torch.load(folder / "HPS_v2.1_compressed.pt", weights_only=True)["state_dict"]
    reward = torch.load(folder / "imagereward" / "ImageReward.pt", weights_only=True)
    less = {name: one for name, one in weights.items() if name != "visual.ln_post.bias"}
    deeper = weights | {name.replace("resblocks.1", "resblocks.2"): one for name, one in weights.items()}
    other = weights | {"visual.conv1.weight": torch.zeros(48, 3, 16, 16)}
    no_text = {name: one for name, one in reward.items() if "layer.1.crossattention.self.key" not in name}
    file = tmp_path / "some.pt"
    for held, words in (
        (less, "post_layernorm.bias is missing in the checkpoint of a CLIPModel"),
        (deeper, "layers.2.* does not belong in the checkpoint"),
        (other, "patch_embedding.weight is of another size in"),
        (weights | {"visual.attnpool.positional_embedding": torch.zeros(1)}, "attnpool.* is no weight of a CLIP model"),
        (reward, "there is no visual.conv1.weight in it, so it is of another architecture"),
        (["a list"], "holds no state dict"),
    ):
        torch.save(held, file)
        said = await failure(build("hpsv2", settings("hpsv2", model=file, tokenizer=folder / "clip")))
        assert _found(words, said), said
        assert "check MAXWELL_JUDGE_HPSV2_MODEL" in said
    file.write_bytes(b"not weights")
    assert "cannot be loaded" in await failure(build("hpsv2", settings("hpsv2", model=file, tokenizer=folder / "clip")))
    there = shutil.copytree(folder / "imagereward", tmp_path / "imagereward")
    torch.save(no_text, there / "ImageReward.pt")
    assert "crossattention.self.key.bias (and 1 more) is missing" in await failure(
        build("imagereward", settings("imagereward", model=there))
    )
    wide = settings("aesthetic", model=tmp_path / "head.pth")
    torch.save({f"layers.{k}.{kind}": one for k, kind, one in _head(768)}, tmp_path / "head.pth")
    assert "vectors of 768 numbers" in await failure(build("aesthetic", checkpoints["aesthetic"] | wide))


async def test_a_checkpoint_that_would_run_code_runs_none(folder: Path, tmp_path: Path) -> None:
    file, trace = tmp_path / "some.pt", tmp_path / "ran"

    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (trace,)

    torch.save({"state_dict": {"visual.conv1.weight": Bad()}}, file)
    assert "cannot be loaded" in await failure(build("hpsv2", settings("hpsv2", model=file, tokenizer=folder / "clip")))
    assert not trace.exists()


async def test_a_tokenizer_of_another_network_is_no_tokenizer(folder: Path, tmp_path: Path) -> None:
    words = clip_tokenizer(tmp_path / "clip")
    told = json.loads((words / "tokenizer.json").read_text())
    told["added_tokens"].append(told["added_tokens"][0] | {"id": 600, "content": "<extra>"})
    (words / "tokenizer.json").write_text(json.dumps(told))
    said = await failure(build("clip", settings("clip", model=folder / "clip", tokenizer=words)))
    assert "its tokenizer knows 521 tokens and its network 520" in said
    small = bert_tokenizer(tmp_path / "bert")
    (small / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n")
    said = await failure(build("imagereward", settings("imagereward", model=folder / "imagereward", tokenizer=small)))
    assert "knows 5 tokens" in said


def _head(width: int) -> list[tuple[int, str, Tensor]]:
    return [(0, "weight", torch.zeros(1, width)), (0, "bias", torch.zeros(1))]


def _found(words: str, said: str) -> bool:
    return re.search(words, said) is not None
