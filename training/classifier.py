"""The network that names the object of a picture, for evaluation only. It knows pixels and class names, no text and no model.

A small residual network (He et al. 2015) of its own: never a judge, never part of training the denoiser. 7.9 M parameters
with 468 classes.
"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from .nouns import EVALUATED, answers

SIZE = 128
WIDTHS = (64, 128, 256, 384)
WEIGHTS_FILE, CLASSES_FILE = "classifier.safetensors", "classes.json"


class Block(nn.Module):
    """Two 3x3 convolutions beside the identity (or a 1x1 convolution where the shape changes)."""

    def __init__(self, inner: int, outer: int, stride: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(inner, outer, 3, stride, 1, bias=False)
        self.first_norm = nn.BatchNorm2d(outer)
        self.second = nn.Conv2d(outer, outer, 3, 1, 1, bias=False)
        self.second_norm = nn.BatchNorm2d(outer)
        nn.init.zeros_(self.second_norm.weight)  # a block begins as its shortcut
        self.shortcut = (
            nn.Conv2d(inner, outer, 1, stride, bias=False) if stride > 1 or inner != outer else nn.Identity()
        )

    def forward(self, x: Tensor) -> Tensor:
        """[n, inner, h, w] to [n, outer, h / stride, w / stride]."""
        inside = functional.relu(self.first_norm(self.first(x)))
        return functional.relu(self.second_norm(self.second(inside)) + self.shortcut(x))


class ClassifierNetwork(nn.Module):
    """Pictures [n, 3, 128, 128] in 0..1 to logits [n, classes]."""

    def __init__(self, classes: int, widths: tuple[int, ...] = WIDTHS) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, widths[0], 5, 2, 2, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU(inplace=True)
        )
        blocks: list[nn.Module] = []
        inner = widths[0]
        for depth, outer in enumerate(widths):
            blocks += [Block(inner, outer, 1 if depth == 0 else 2), Block(outer, outer, 1)]
            inner = outer
        self.blocks = nn.Sequential(*blocks)
        self.head = nn.Linear(inner, classes)

    def forward(self, pictures: Tensor) -> Tensor:
        features = self.blocks(self.stem(pictures * 2 - 1))
        logits: Tensor = self.head(features.mean((2, 3)))
        return logits


@dataclass(frozen=True)
class Classifier:
    """A trained network with the names of its classes, in the order of its logits."""

    network: ClassifierNetwork
    names: tuple[str, ...]

    @torch.no_grad()
    def classify(self, pictures: Tensor) -> Tensor:
        """Logits [n, classes] in float32 of pictures [n, 3, 128, 128] in 0..1, on whichever device the pictures are."""
        self.network.to(pictures.device)
        found = []
        with torch.autocast(pictures.device.type, torch.bfloat16, enabled=pictures.is_cuda):
            for part in torch.split(pictures.float(), 256):
                found.append(self.network(part.contiguous(memory_format=torch.channels_last)).float())
        return torch.cat(found)


def save(network: ClassifierNetwork, names: tuple[str, ...], folder: Path) -> None:
    """Write matrices in float16, the rest as it is, and the names; the weights are moved over the old ones when complete."""
    folder.mkdir(parents=True, exist_ok=True)
    stored = {
        name: (w.detach().half() if w.dim() > 1 else w.detach()).cpu().contiguous()
        for name, w in network.state_dict().items()
    }
    fresh = (folder / WEIGHTS_FILE).with_suffix(".new")
    save_file(stored, fresh)
    (folder / CLASSES_FILE).write_text(json.dumps(names, indent=0) + "\n")
    fresh.replace(folder / WEIGHTS_FILE)


def load(path: Path) -> Classifier:
    """The classifier of a folder, in float32 on the CPU. A missing file is named, with what makes it."""
    for file in (path / WEIGHTS_FILE, path / CLASSES_FILE):
        if not file.exists():
            raise SystemExit(f"no {file}: train it first with python -m training.train_classifier")
    names = tuple(json.loads((path / CLASSES_FILE).read_text()))
    network = ClassifierNetwork(len(names))
    network.load_state_dict(load_file(path / WEIGHTS_FILE), strict=True)  # copies float16 into float32
    network.to(memory_format=torch.channels_last).eval().requires_grad_(False)  # type: ignore[call-overload]
    return Classifier(network, names)


@torch.no_grad()
def rates(classifier: Classifier, pictures: Tensor, label: Tensor) -> dict[str, Any]:
    """Top-1 and top-5 over all names and over the evaluated ones (`alike`: the answers of nouns.ALIKE count too)."""
    best = classifier.classify(pictures).topk(5, 1).indices
    right = best == label[:, None]
    names = classifier.names
    asked = torch.tensor([names[i] in EVALUATED for i in label.tolist()], device=label.device)
    alike = torch.tensor(
        [names[a] in answers(names[i]) for i, a in zip(label.tolist(), best[:, 0].tolist(), strict=True)]
    ).to(label.device)
    wrong: dict[str, int] = {}
    for row in (asked & ~alike).nonzero()[:, 0].tolist():
        pair = f"{names[int(label[row])]} -> {names[int(best[row, 0])]}"
        wrong[pair] = wrong.get(pair, 0) + 1
    return {
        "pictures": len(label),
        "top1": share(right[:, 0]),
        "top5": share(right.any(1)),
        "evaluated_pictures": int(asked.sum()),
        "evaluated_top1": share(right[asked, 0]),
        "evaluated_top1_alike": share(alike[asked]),
        "evaluated_top5": share(right[asked].any(1)),
        "evaluated_mistakes": dict(sorted(wrong.items(), key=lambda one: -one[1])[:15]),
    }


def share(right: Tensor) -> float:
    """The mean of a boolean tensor, to four places; 0 where it is empty."""
    return round(float(right.float().mean()), 4) if len(right) else 0.0
