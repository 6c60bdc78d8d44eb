"""The pack of pictures with alpha and their words, read into memory. It knows no scene and no network."""

import io
import json
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from .concepts import common_name, learnt

RECOLOURABLE = {"animals & nature", "food & drink", "travel & places", "objects", "activities", "symbols"}
STRESS = 12
WEIGHT = {"animals & nature": 2.0, "food & drink": 1.6, "smileys & emotion": 1.2}


@dataclass(frozen=True)
class Entry:
    """One picture: its concept's words, its style (0..3), its hue and whether it may be recoloured."""

    concept: int
    name: str
    bare: str
    group: str
    style: int
    hue: float
    recolour: bool
    weight: float


class Pack:
    """The learnt part of the pack. `hold_out` leaves one style of every fourth concept out (for the scorer's figures).

    `stressed`: names of concepts that shall be drawn STRESS times as often.
    """

    def __init__(
        self,
        folder: Path,
        *,
        hold_out: bool = False,
        only_held_out: bool = False,
        stressed: Collection[str] = (),
    ) -> None:
        arrays = np.load(folder / "pictures.npz")
        concepts = json.loads((folder / "concepts.json").read_text())["concepts"]
        blob, offset = arrays["blob"].tobytes(), arrays["offset"]
        self.entries: list[Entry] = []
        self._files: list[bytes] = []
        for i, (number, style) in enumerate(zip(arrays["concept"], arrays["style"], strict=True)):
            concept = concepts[int(number)]
            held = int(number) % 4 == 0 and int(style) == (int(number) // 4) % 4
            if not learnt(concept) or (hold_out and held) or (only_held_out and not held):
                continue
            vivid = arrays["hue_conc"][i] > 0.85 and arrays["hue_frac"][i] > 0.5
            name = common_name(concept["name"])
            bare = concept["bare"] if concept["bare"] != concept["name"] else name
            weight = WEIGHT.get(concept["group"], 1.0) * (STRESS if name in stressed else 1)
            self.entries.append(
                Entry(
                    int(number), name, bare, concept["group"], int(style), float(arrays["hue"][i]),
                    bool(vivid) and concept["group"] in RECOLOURABLE, weight,
                )
            )  # fmt: skip
            self._files.append(blob[offset[i] : offset[i + 1]])
        self.by_concept: dict[int, dict[int, int]] = {}
        for i, entry in enumerate(self.entries):
            self.by_concept.setdefault(entry.concept, {})[entry.style] = i

    def styles(self) -> Tensor:
        """[n, 4]: of each picture, the picture of its concept in each style; itself where there is none."""
        return torch.tensor(
            [
                [self.by_concept[entry.concept].get(style, i) for style in range(4)]
                for i, entry in enumerate(self.entries)
            ]
        )

    def concepts(self) -> Tensor:
        """[n]: each picture's concept."""
        return torch.tensor([entry.concept for entry in self.entries])

    def pictures(self, device: str) -> Tensor:
        """uint8 [n, 4, 112, 112], straight alpha."""
        with ThreadPoolExecutor(16) as threads:
            arrays = list(threads.map(_open, self._files))
        return torch.from_numpy(np.stack(arrays)).to(device)


def pack_folder(argument: str) -> Path:
    """The pack's folder, or a sentence on how to make it."""
    folder = Path(argument)
    if not (folder / "pictures.npz").exists():
        raise SystemExit(f"no pack in {folder}: build it first, see training/README.md")
    return folder


def _open(data: bytes) -> NDArray[np.uint8]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGBA")).transpose(2, 0, 1)
