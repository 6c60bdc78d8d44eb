"""The prompts of the evaluation, real scenes that say the same, and what can be measured on a picture without a network.

A prompt's answer is measured as a person would: the foreground's hue and pieces, the background's colour. Pictures are
[n, 3, h, w] in 0..1. It knows no model; every check is also run on real scenes, which shows what it can reach.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from random import Random

import numpy as np
import torch
from scipy import ndimage
from torch import Tensor

from .drawing import paint, to_arrays
from .nouns import EVALUATED
from .pack import Entry, Pack
from .scenes import BACKGROUNDS, HUES, Scene, Scenes, article, plural

FRAME = 4  # pixels at each side that are taken for background
DIFFERENT = 0.13  # of a channel, from the background
PIECE, SHARE = 0.012, 0.4  # the least area of a piece: of the picture, and of the largest piece
EATEN = 6  # pixels
TOLERANCE = 0.06  # of the circle: 22 degrees
NUMBERS = {"two": 2, "three": 3}
TRIES = 100_000  # scenes drawn for one that says what is asked


@dataclass(frozen=True)
class Case:
    """A prompt, the word its picture is checked for, the entries it is about, and which scenes of those say the same."""

    prompt: str
    asked: str
    about: Callable[[Entry], bool]
    says: Callable[[Scene], bool]


class RealScenes:
    """Scenes as the model was trained on, drawn until one says what a case asks."""

    def __init__(self, pack: Pack, device: str, seed: int) -> None:
        self.pack, self.store, self._seed = pack, pack.pictures(device), seed
        self._unwanted = [replace(entry, weight=0.0) for entry in pack.entries]
        self._scenes: dict[Case, Scenes] = {}

    def __call__(self, cases: Sequence[Case]) -> Tensor:
        """A picture for each case, [n, 3, 128, 128]; cases that recur get new ones."""
        arrays = to_arrays([self._draw(case) for case in cases])
        parts = zip(torch.split(arrays["things"], 256), torch.split(arrays["backdrop"], 256), strict=True)
        return torch.cat([(paint(self.store, things, backdrop) + 1) / 2 for things, backdrop in parts])

    def _draw(self, case: Case) -> Scene:
        if case not in self._scenes:
            part = copy.copy(self.pack)
            pairs = zip(self.pack.entries, self._unwanted, strict=True)
            part.entries = [entry if case.about(entry) else unwanted for entry, unwanted in pairs]
            self._scenes[case] = Scenes(part, self._seed + len(self._scenes))
        for _ in range(TRIES):
            scene = self._scenes[case].draw()
            if case.says(scene):
                return scene
        raise RuntimeError(f"no scene says {case.prompt!r}: do scenes.py and checks.py still use the same phrases?")


def noun_cases() -> list[Case]:
    """One thing of each evaluated noun: large, in its own colour; style and backdrop are left open."""

    def case(noun: str) -> Case:
        return Case(
            article(noun),
            noun,
            lambda entry: entry.name == noun,
            lambda scene: len(scene.things) == 1 and scene.things[0].size > 0.6 and scene.things[0].hue_shift == 0,
        )

    return [case(noun) for noun in EVALUATED]


def colour_cases(pack: Pack, each: int = 10) -> list[Case]:
    """So many things in each colour word, of those at least half of whose pictures may be recoloured."""
    entries: dict[str, list[bool]] = {}
    for entry in pack.entries:
        entries.setdefault(entry.bare, []).append(entry.recolour)
    things = sorted(bare for bare, recolour in entries.items() if sum(recolour) * 2 >= len(recolour))

    def case(colour: str, bare: str) -> Case:
        words = f"{colour} {bare}"
        return Case(
            article(words),
            colour,
            lambda entry: entry.bare == bare and entry.recolour,
            lambda scene: len(scene.things) == 1 and words in scene.caption,
        )

    random = Random(7)
    chosen = [(colour, bare) for colour in HUES for bare in random.sample(things, each)]
    random.shuffle(chosen)
    return [case(*one) for one in chosen]


def background_cases(each: int = 8) -> list[Case]:
    """So many evaluated nouns on each background colour."""

    def case(colour: str, noun: str) -> Case:
        phrases = (f" on {article(colour)} background", f" on a {colour} background")
        return Case(
            f"{article(noun)}{phrases[0]}",
            colour,
            lambda entry: entry.name == noun,
            lambda scene: len(scene.things) == 1 and any(phrase in scene.caption for phrase in phrases),
        )

    random = Random(8)
    chosen = [(colour, noun) for colour in BACKGROUNDS for noun in random.sample(EVALUATED, each)]
    random.shuffle(chosen)
    return [case(*one) for one in chosen]


def count_cases(real: RealScenes, each: int = 30) -> list[Case]:
    """Two and three of so many evaluated nouns, of those that the check counts right in 11 of 12 real scenes of them.

    Things that touch along a whole side, or fall apart, cannot be counted this way, whoever drew them.
    """

    def case(word: str, noun: str) -> Case:
        words = f"{word} {plural(noun)}"
        return Case(
            words,
            word,
            lambda entry: entry.name == noun,
            lambda scene: len(scene.things) == NUMBERS[word] and words in scene.caption,
        )

    nouns = [noun for noun in EVALUATED if not noun.endswith("s")]
    chosen: list[Case] = []
    for noun in Random(9).sample(nouns, len(nouns)):
        both = [case(word, noun) for word in NUMBERS]
        tried = both * 6
        right = [is_count(count, one.asked) for count, one in zip(pieces(real(tried)), tried, strict=True)]
        if sum(right) >= 11:
            chosen += both
        if len(chosen) == each * len(NUMBERS):
            break
    return chosen


def frame(pictures: Tensor) -> Tensor:
    """The pixels of the four sides' strips: [n, 3, m]."""
    top, low = pictures[:, :, :FRAME], pictures[:, :, -FRAME:]
    left, right = pictures[:, :, FRAME:-FRAME, :FRAME], pictures[:, :, FRAME:-FRAME, -FRAME:]
    return torch.cat([part.flatten(2) for part in (top, low, left, right)], 2)


def foreground(pictures: Tensor) -> Tensor:
    """Where a pixel differs from the frame's median and, as a place has sky and ground, from both ends of its row: [n, h, w]."""
    middle = frame(pictures).median(2).values[:, :, None, None]
    ends = [part.median(3, keepdim=True).values for part in (pictures[..., :FRAME], pictures[..., -FRAME:])]
    apart = [(pictures - background).abs().amax(1) > DIFFERENT for background in (middle, *ends)]
    return apart[0] & apart[1] & apart[2]


def hues(pictures: Tensor) -> list[float]:
    """The mean hue of each foreground as a share of the circle, weighted by chroma; NaN where nothing is coloured."""
    red, green, blue = pictures.unbind(1)
    # the same hexagon as HSV, so that a turned hue is found where it was turned to
    value, low = pictures.amax(1), pictures.amin(1)
    chroma = value - low
    safe = chroma.clamp_min(1e-5)
    hue = torch.where(
        value == red,
        ((green - blue) / safe) % 6,
        torch.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    weight = chroma * foreground(pictures) * (chroma > 0.12)
    angle = hue / 6 * math.tau
    x, y = (weight * angle.cos()).sum((1, 2)), (weight * angle.sin()).sum((1, 2))
    turn = torch.atan2(y, x) / math.tau % 1
    found: list[float] = torch.where(weight.sum((1, 2)) > 20, turn, torch.full_like(turn, math.nan)).tolist()
    return found


def is_hue(hue: float, word: str) -> bool:
    """Whether a hue is a colour word's, give or take the tolerance, the short way round the circle."""
    apart = abs(hue - HUES[word])
    return min(apart, 1 - apart) <= TOLERANCE


def lab(rgb: Tensor) -> Tensor:
    """CIE Lab (D65) of sRGB colours [..., 3] in 0..1, where distances are about what eyes see."""
    linear = torch.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = torch.tensor(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], device=rgb.device
    )
    xyz = linear @ to_xyz.T / torch.tensor([0.9505, 1.0, 1.089], device=rgb.device)
    f = torch.where(xyz > 0.008856, xyz.clamp_min(1e-8) ** (1 / 3), 7.787 * xyz + 16 / 116)
    x, y, z = f.unbind(-1)
    return torch.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)


def backgrounds(pictures: Tensor) -> list[str]:
    """The name of the BACKGROUNDS colour nearest in Lab to the frame's median, for each picture."""
    names = list(BACKGROUNDS)
    known = lab(torch.tensor([BACKGROUNDS[name] for name in names], device=pictures.device) / 255)
    nearest = torch.cdist(lab(frame(pictures).median(2).values), known).argmin(1)
    return [names[i] for i in nearest.tolist()]


def pieces(pictures: Tensor) -> list[str]:
    """How many separate things the foreground has, in digits; specks, and what is small beside the largest, do not count.

    Things that touch are taken apart by eating the foreground away from its rim: the most pieces at any depth count.
    """
    counts = []
    for mask in foreground(pictures).cpu().numpy():
        solid = ndimage.binary_fill_holes(ndimage.binary_closing(mask))
        depth = ndimage.distance_transform_edt(np.pad(solid, 1))
        most = 0
        for rim in range(EATEN):
            labelled, found = ndimage.label(depth > rim)
            areas = np.bincount(labelled.ravel(), minlength=found + 1)[1:]
            least = max(PIECE * mask.size * (1 - rim / 12), SHARE * areas.max(initial=0))
            most = max(most, int((areas >= least).sum()))
        counts.append(str(most))
    return counts


def is_count(count: str, word: str) -> bool:
    """Whether so many pieces are what a number word says."""
    return count == str(NUMBERS[word])
