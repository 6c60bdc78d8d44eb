"""MAXWELL_MODELS names what a worker serves; what cannot be served is refused in one sentence that says what to write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import embedded
from contracts.errors import ModelUnavailable
from workers.models import load_models
from workers.models.latent_diffusion import best_device, best_dtype
from workers.models.registry import Entry, parse


def test_an_entry_has_a_name_a_family_and_a_source() -> None:
    text = (
        "embedded, toy,sd15=stable_diffusion:runwayml/stable-diffusion-v1-5,sd.x=stable_diffusion:/a folder/with:colon"
    )
    assert parse(text) == [
        Entry("embedded", "embedded", None),
        Entry("toy", "toy", None),
        Entry("sd15", "stable_diffusion", "runwayml/stable-diffusion-v1-5"),
        Entry("sd.x", "stable_diffusion", "/a folder/with:colon"),
    ]


def test_models_are_served_under_their_names() -> None:
    models = load_models("toy,second=toy", "cpu")
    assert {name: model.card.name for name, model in models.items()} == {"toy": "toy", "second": "second"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (" , ", "MAXWELL_MODELS is empty: name a model"),
        ("sdxl", r"'sdxl': write a family \(embedded, toy, stable_diffusion\) or name=family:path-or-hub-id"),
        ("My Model=toy", "'My Model=toy': write a family"),
        ("toy,toy", "names the model 'toy' twice"),
        ("toy:/folder", "'toy' takes no path, but MAXWELL_MODELS gives '/folder'"),
        ("sd=stable_diffusion", "needs a folder or hub id: sd=stable_diffusion:path-or-hub-id"),
    ],
)
def test_what_cannot_be_served_is_refused_in_a_sentence(text: str, sentence: str) -> None:
    with pytest.raises(ModelUnavailable, match=sentence):
        load_models(text, "cpu")


def test_a_folder_without_a_pipeline_is_named(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=f"'sd' cannot be loaded from '{tmp_path}' as a Stable Diffusion pipeline"
    ):
        load_models(f"sd=stable_diffusion:{tmp_path}", "cpu")


def test_a_folder_that_is_not_there_is_named() -> None:
    with pytest.raises(
        ModelUnavailable, match="'sd' cannot be loaded from '/not/there' as a Stable Diffusion pipeline"
    ):
        load_models("sd=stable_diffusion:/not/there", "cpu")


def test_an_installation_without_the_weights_says_so(tmp_path: Path) -> None:
    """The package's code without its data, in a process of its own."""
    package = Path(embedded.__file__).parent
    shutil.copytree(package, tmp_path / "embedded", ignore=shutil.ignore_patterns("*.safetensors"))
    (tmp_path / "try.py").write_text("from workers.models import load_models\nload_models('embedded', 'cpu')\n")
    path = os.pathsep.join([str(tmp_path), str(package.parent)])
    tried = subprocess.run(
        [sys.executable, "try.py"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    (last,) = [line for line in tried.stderr.splitlines() if line.startswith("contracts.errors.ModelUnavailable")]
    assert f"the model 'embedded' cannot be loaded (no *.safetensors in {tmp_path}" in last
    assert "install the program again" in last


def test_bfloat16_only_where_the_device_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_device("cuda:1") == torch.device("cuda:1")
    assert best_dtype(torch.device("cuda:1")) is torch.bfloat16
    assert best_dtype(torch.device("cpu")) is torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert best_dtype(torch.device("cpu")) is torch.bfloat16
