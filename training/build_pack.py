"""Make the training pack of rendered pictures: squared, shrunk, measured for hue, and stored as WebP beside their words.

It knows files and pixels, no scene and no network.
  python -m training.build_pack --raw .train/raw --out .train/pack
"""

import argparse
import io
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

STYLES = ("3d", "flat", "cartoon", "sticker")
LICENCES = {
    "3d": "Fluent Emoji 3D, (c) Microsoft Corporation, MIT (npm @lobehub/fluent-emoji-3d 1.1.0)",
    "flat": "Fluent Emoji Flat, (c) Microsoft Corporation, MIT (npm @iconify-json/fluent-emoji-flat 1.2.6)",
    "cartoon": "Noto Emoji, (c) Google Inc., Apache-2.0 (npm @iconify-json/noto 1.2.9)",
    "sticker": "Twemoji, (c) Twitter, Inc. and other contributors, CC-BY-4.0 (npm @iconify-json/twemoji 1.2.5)",
    "captions": "emojibase-data 17.0.0, (c) Miles Johnson, MIT; names from Unicode CLDR, Unicode-3.0",
}
_COLOUR = re.compile(r"\b(red|orange|yellow|green|blue|purple|brown|black|white|pink|grey|gray|light blue)\b ")
_SEEN, _SOLID = 12, 200  # alpha of 255

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Hue:
    """Mean hue as a share of the circle, how concentrated it is (0..1), and what share of the picture has a colour."""

    mean: float
    concentration: float
    coloured: float


def squared(path: Path, size: int) -> Pixels | None:
    """A picture cut to what is seen of it, centred in a square of `size`: [size, size, 4], or None where nothing is."""
    picture = Image.open(path).convert("RGBA")
    ys, xs = np.nonzero(np.asarray(picture.getchannel("A")) > _SEEN)
    if len(ys) < 20:
        return None
    picture = picture.crop((int(xs.min()), int(ys.min()), int(xs.max()) + 1, int(ys.max()) + 1))
    side = max(picture.size)
    square = Image.new("RGBA", (side, side), (0, 0, 0, 0))
    square.paste(picture, ((side - picture.width) // 2, (side - picture.height) // 2))
    straight = np.asarray(square).astype(np.float32)
    alpha = straight[..., 3:] / 255
    # Resized premultiplied, or the colour of transparent pixels bleeds into the edges.
    premultiplied = np.concatenate([straight[..., :3] * alpha, straight[..., 3:]], -1)
    channels = [
        np.asarray(Image.fromarray(premultiplied[..., i]).resize((size, size), Image.Resampling.LANCZOS))
        for i in range(4)
    ]
    small = np.stack(channels, -1)
    alpha = small[..., 3:].clip(0, 255)
    rgb = np.where(alpha > 1, small[..., :3] * 255 / np.maximum(alpha, 1), 0)
    return np.concatenate([rgb, alpha], -1).clip(0, 255).round().astype(np.uint8)


def hue_of(picture: Pixels) -> Hue:
    """The hue of a picture's solid pixels [h, w, 4], weighted by saturation: its circular mean and the mean's length."""
    solid = picture[picture[..., 3] > _SOLID][:, :3].astype(np.float32) / 255
    if len(solid) < 50:
        return Hue(-1, 0, 0)
    value, chroma = solid.max(1), solid.max(1) - solid.min(1)
    red, green, blue = solid.T
    safe = np.maximum(chroma, 1e-6)
    sixths = np.where(
        value == red,
        ((green - blue) / safe) % 6,
        np.where(value == green, (blue - red) / safe + 2, (red - green) / safe + 4),
    )
    weight = np.where(chroma > 0.15, chroma / np.maximum(value, 1e-6), 0)
    mean = (weight * np.exp(2j * np.pi * sixths / 6)).sum() / max(float(weight.sum()), 1e-6)
    turn = float(np.angle(mean)) / (2 * np.pi) % 1
    return Hue(turn, float(abs(mean)), float((weight > 0.25).mean()))


def words_of(concept: dict[str, Any]) -> dict[str, Any]:
    """What a concept is called: its name, the name without a colour, and up to eight other words for it."""
    name = re.sub(r"[“”]", "", concept["label"].lower().replace("’", "'"))
    name = " ".join(re.sub(r"[:()]", " ", name).split())
    if concept["subgroup"].startswith("animal"):
        name = name.removesuffix(" face")
    tags = [
        tag.lower()
        for tag in concept["tags"]
        if re.fullmatch(r"[a-zA-Z' -]{3,24}", tag) and tag.lower() not in name.split()
    ]
    return {
        "hex": concept["hex"],
        "name": name,
        "bare": _COLOUR.sub("", name),
        "tags": tags[:8],
        "group": concept["group"],
        "subgroup": concept["subgroup"],
    }


def webp(picture: Pixels, quality: int) -> bytes:
    """A picture [h, w, 4] as a WebP file."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "WEBP", quality=quality, alpha_quality=90, method=6)
    return buffer.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--raw", type=Path, default=Path(".train/raw"), help="what render/render.mjs wrote")
    parser.add_argument("--out", type=Path, default=Path(".train/pack"))
    parser.add_argument("--size", type=int, default=112)
    parser.add_argument("--quality", type=int, default=86)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    files: list[bytes] = []
    rows: list[tuple[int, int, Hue]] = []
    concepts: list[dict[str, Any]] = []
    for concept in json.loads((args.raw / "concepts.json").read_text()):
        found = False
        for style, folder in enumerate(STYLES):
            for path in (args.raw / folder).glob(f"{concept['hex']}.*"):
                picture = squared(path, args.size)
                if picture is not None:
                    files.append(webp(picture, args.quality))
                    rows.append((len(concepts), style, hue_of(picture)))
                    found = True
        if found:
            concepts.append(words_of(concept))
    np.savez(
        args.out / "pictures.npz",
        blob=np.frombuffer(b"".join(files), np.uint8),
        offset=np.cumsum([0, *map(len, files)], dtype=np.int64),
        concept=np.array([concept for concept, _, _ in rows], np.int32),
        style=np.array([style for _, style, _ in rows], np.int8),
        hue=np.array([hue.mean for _, _, hue in rows], np.float32),
        hue_conc=np.array([hue.concentration for _, _, hue in rows], np.float32),
        hue_frac=np.array([hue.coloured for _, _, hue in rows], np.float32),
        size=np.int32(args.size),
    )
    listing = {"styles": STYLES, "concepts": concepts, "licences": LICENCES}
    (args.out / "concepts.json").write_text(json.dumps(listing, separators=(",", ":")))
    print(f"{len(files)} pictures of {len(concepts)} concepts, {sum(map(len, files)) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
