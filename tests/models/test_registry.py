"""MAXWELL_MODELS names what a worker serves; what cannot be served is refused in one sentence that says what to write."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError

import embedded.parts
from contracts.errors import ModelUnavailable
from embedded.parts import load_unet
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
    assert (
        f"the model 'embedded' cannot be loaded from {tmp_path}/embedded/weights (no *.safetensors in {tmp_path}"
        in last
    )
    assert "install the program again" in last


FULL = "does not fit into the device's memory: free some, serve fewer models"


@pytest.mark.parametrize(
    ("failure", "words"),
    [
        (
            torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20 MiB."),
            rf"\(OutOfMemoryError: CUDA out .*{FULL}",
        ),
        (
            SafetensorError("Error while deserializing header: MetadataIncompleteBuffer"),
            r"\(SafetensorError: Error while",
        ),
        (
            RuntimeError("Error(s) in loading state_dict for UNet:\n size mismatch"),
            r"\(RuntimeError: Error\(s\) in load",
        ),
        (RuntimeError(), r"\(RuntimeError: RuntimeError\): install the program again"),
    ],
)
def test_whatever_keeps_the_embedded_model_from_being_loaded_is_a_sentence(
    failure: Exception, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(**_: object) -> None:
        raise failure

    monkeypatch.setattr(embedded.parts, "load_unet", fail)
    with pytest.raises(ModelUnavailable, match=f"the model 'embedded' cannot be loaded from .*weights {words}") as said:
        load_models("embedded", "cpu")
    assert "\n" not in str(said.value)


def test_spoilt_weights_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "weights"
    shutil.copytree(embedded.WEIGHTS, folder)
    for file in (folder / "unet").glob("*.safetensors"):
        file.write_bytes(b"cut short")
    monkeypatch.setattr(embedded.parts, "load_unet", lambda **_: load_unet(folder))
    with pytest.raises(ModelUnavailable, match=r"'embedded' cannot be loaded .*deserializing header"):
        load_models("embedded", "cpu")


def test_bfloat16_only_where_the_device_computes_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert best_device("cuda:1") == torch.device("cuda:1")
    for capability, dtype in (((9, 0), torch.bfloat16), ((8, 0), torch.bfloat16), ((7, 5), torch.float16)):
        monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device, capability=capability: capability)
        assert best_dtype(torch.device("cuda:1")) is dtype
    assert best_dtype(torch.device("cpu")) is torch.float32
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    assert best_dtype(torch.device("cpu")) is torch.bfloat16
