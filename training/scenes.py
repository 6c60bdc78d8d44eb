"""Random scenes and the captions that describe them: what stands where, in which colour and style, on what. It knows no pixel.

What a caption leaves unsaid (style, background, place) varies freely, so that candidates of one prompt differ visibly.
"""

import random
from dataclasses import dataclass

import numpy as np

from .pack import Pack
from .rubric import Looks

HUES = {"red": 0.0, "orange": 0.075, "yellow": 0.145, "green": 0.34, "blue": 0.61, "purple": 0.76, "pink": 0.90}
BACKGROUNDS = {
    "white": (250, 250, 250), "black": (18, 18, 20), "gray": (150, 150, 155), "red": (214, 48, 49), "orange": (250, 150, 40),
    "yellow": (252, 214, 70), "green": (70, 170, 80), "blue": (50, 100, 215), "light blue": (150, 205, 245), "dark blue": (22, 34, 92),
    "purple": (130, 75, 185), "pink": (250, 165, 195), "brown": (125, 80, 50),
}  # fmt: skip
PLACES = {  # sky, ground, horizon
    "in a green meadow": ((150, 210, 250), (90, 175, 75), 0.62), "on a sandy beach": ((120, 200, 245), (238, 212, 150), 0.65),
    "under water": ((60, 170, 215), (10, 50, 120), 0.5), "at night": ((10, 14, 45), (32, 38, 80), 0.6),
    "at sunset": ((250, 140, 70), (120, 60, 130), 0.5), "in the snow": ((190, 215, 235), (248, 250, 255), 0.6),
    "in the desert": ((140, 200, 240), (226, 170, 95), 0.55), "in space": ((8, 6, 22), (30, 14, 52), 0.5),
    "on a street": ((175, 205, 225), (95, 97, 102), 0.66),
}  # fmt: skip
PALE, DARK = {"gray", "light blue", "pink"}, {"black", "dark blue", "at night", "in space"}
STYLES = (
    ("3d style", "3d render"),
    ("flat style", "flat icon"),
    ("cartoon style", "cartoon"),
    ("sticker style", "sticker"),
)
MIRRORED = {"animals & nature", "food & drink", "travel & places", "activities"}
SLOTS = 3
Colour = tuple[float, float, float]


@dataclass
class Thing:
    """One picture in a scene: which, turned by what hue, where (centre and size as shares of the side), mirrored or not."""

    picture: int
    hue_shift: float
    x: float
    y: float
    size: float
    mirrored: bool


@dataclass
class Scene:
    """Things from back to front, a two-colour backdrop with its horizon and softness, and the caption."""

    things: list[Thing]
    sky: Colour
    ground: Colour
    horizon: float
    softness: float
    caption: str
    looks: Looks


class Scenes:
    """Draws scenes: mostly one thing, some pairs, some twos and threes of one."""

    def __init__(self, pack: Pack, seed: int) -> None:
        self._pack, self._random = pack, random.Random(seed)
        self._cumulative = np.cumsum([entry.weight for entry in pack.entries])

    def draw(self) -> Scene:
        """One scene."""
        r = self._random
        style, kind = r.randrange(4), r.random()
        if kind < 0.76:
            things, text, arrangement = self._single(style)
        elif kind < 0.90:
            things, text, arrangement = self._pair(style)
        else:
            things, text, arrangement = self._several(style)
        sky, ground, horizon, softness, phrase, backdrop = self._backdrop()
        text += phrase
        if r.random() < 0.30:
            word = r.choice(STYLES[style])
            text = f"{text}, {word}" if r.random() < 0.7 else f"{word} of {text}"
        elif r.random() < 0.12:
            text = r.choice(["a picture of ", "an illustration of ", "a drawing of "]) + text
        shown = STYLES[self._pack.entries[things[0].picture].style][0].removesuffix(
            " style"
        )  # some things lack a style
        return Scene(things, sky, ground, horizon, softness, text, Looks(shown, backdrop, arrangement))

    def _pick(self, style: int) -> int:
        i = int(np.searchsorted(self._cumulative, self._random.random() * self._cumulative[-1]))
        return self._pack.by_concept[self._pack.entries[i].concept].get(style, i)

    def _words(self, i: int) -> tuple[str, float]:
        """What picture i is called here, and the hue it is turned by: recoloured with the word said, or not at all."""
        r, entry = self._random, self._pack.entries[i]
        if entry.recolour and r.random() < 0.28:
            colour = r.choice(list(HUES))
            return f"{colour} {entry.bare}", (HUES[colour] - entry.hue + r.uniform(-0.012, 0.012)) % 1.0
        if entry.recolour and r.random() < 0.2:
            colour = _nearest_colour(entry.hue)
            return (entry.name if colour in entry.name else f"{colour} {entry.bare}"), 0.0
        return entry.name, 0.0

    def _thing(self, i: int, shift: float, x: float, y: float, size: float) -> Thing:
        mirrored = self._pack.entries[i].group in MIRRORED and self._random.random() < 0.3
        return Thing(i, shift, x, y, size, mirrored)

    def _single(self, style: int) -> tuple[list[Thing], str, str]:
        i = self._pick(style)
        name, shift = self._words(i)
        u, j = self._random.random(), self._jitter
        x, y, size, tail = 0.5 + j(0.04), 0.5 + j(0.04), self._random.uniform(0.72, 0.92), ""
        arrangement = "large"
        if u < 0.06:
            arrangement = "small"
            size, name, x, y = self._random.uniform(0.36, 0.46), "small " + name, 0.5 + j(0.12), 0.5 + j(0.12)
        elif u < 0.16:
            arrangement = "aside"
            where, x, y = self._random.choice(
                [
                    ("on the left", 0.27, 0.5),
                    ("on the right", 0.73, 0.5),
                    ("at the top", 0.5, 0.27),
                    ("at the bottom", 0.5, 0.73),
                ]
            )
            x, y, size, tail = x + j(0.02), y + j(0.02), self._random.uniform(0.46, 0.52), f" {where}"
        return [self._thing(i, shift, x, y, size)], article(name) + tail, arrangement

    def _pair(self, style: int) -> tuple[list[Thing], str, str]:
        a, b = self._pick(style), self._pick(style)
        (name_a, shift_a), (name_b, shift_b) = self._words(a), self._words(b)
        first, second, j = article(name_a), article(name_b), self._jitter
        if self._random.random() < 0.75:
            places = ((0.265 + j(0.02), 0.5 + j(0.06)), (0.735 + j(0.02), 0.5 + j(0.06)))
            forms = [
                "{0} and {1}",
                "{0} and {1}",
                "{1} and {0}",
                "{0} next to {1}",
                "{0} to the left of {1}",
                "{1} to the right of {0}",
            ]
        else:
            places = ((0.5 + j(0.06), 0.265 + j(0.02)), (0.5 + j(0.06), 0.735 + j(0.02)))
            forms = ["{0} above {1}", "{0} on top of {1}", "{1} below {0}", "{0} and {1}"]
        things = [
            self._thing(i, shift, *place, self._random.uniform(0.44, 0.50))
            for i, shift, place in ((a, shift_a, places[0]), (b, shift_b, places[1]))
        ]
        return things, self._random.choice(forms).format(first, second), "pair"

    def _several(self, style: int) -> tuple[list[Thing], str, str]:
        i = self._pick(style)
        name, shift = self._words(i)
        two = self._random.random() < 0.55
        spots = ((0.265, 0.5), (0.735, 0.5)) if two else ((0.5, 0.27), (0.26, 0.73), (0.74, 0.73))
        size = self._random.uniform(0.44, 0.49) if two else self._random.uniform(0.40, 0.45)
        things = [self._thing(i, shift, x + self._jitter(0.02), y + self._jitter(0.02), size) for x, y in spots]
        return things, ("two " if two else "three ") + plural(name), "several"

    def _backdrop(self) -> tuple[Colour, Colour, float, float, str, str]:
        """Sky, ground, horizon, softness, what the caption says of it (often said, often left open), and its kind."""
        r, u = self._random, self._random.random()
        if u > 0.84:
            name = r.choice(list(PLACES))
            sky, ground, horizon = PLACES[name]
            phrase, kind = f" {name}" if r.random() < 0.85 else "", "dark" if name in DARK else "place"
            softness = 0.04 if "a " in name else 0.22
            return self._tinted(sky), self._tinted(ground), horizon + self._jitter(0.06), softness, phrase, kind
        name = "white" if u < 0.36 else r.choice(list(BACKGROUNDS))
        colour = self._tinted(BACKGROUNDS[name])
        phrase = r.choice([f" on a {name} background", f" on {name}", f", {name} background"])
        kind = "white" if name == "white" else "pale" if name in PALE else "dark" if name in DARK else "bold"
        return colour, colour, 0.5, 0.3, phrase if r.random() < (0.35 if name == "white" else 0.72) else "", kind

    def _jitter(self, width: float) -> float:
        return self._random.uniform(-width, width)

    def _tinted(self, colour: tuple[int, int, int]) -> Colour:
        red, green, blue = (min(255.0, max(0.0, value + self._jitter(8))) for value in colour)
        return red, green, blue


def article(words: str) -> str:
    """With a or an; plurals bare."""
    if words.endswith("s") and not words.endswith("ss"):
        return words
    return ("an " if words[0] in "aeiou" else "a ") + words


def plural(words: str) -> str:
    """The simple plural."""
    if words.endswith("s"):
        return words
    if words.endswith("y") and words[-2] not in "aeiou":
        return words[:-1] + "ies"
    return words + ("es" if words.endswith(("x", "ch", "sh")) else "s")


def _nearest_colour(hue: float) -> str:
    return min(HUES, key=lambda name: min(abs(HUES[name] - hue), 1 - abs(HUES[name] - hue)))
