"""The built-in pair of pictures that a judge is tried on: a red apple, and noise. It knows no judge."""

import io
import random

from PIL import Image, ImageDraw, ImageFilter

from contracts.judging import JudgeCard

PROMPT = "a red apple"
SIZE = 256  # px
_FINE = 2  # drawn so many times larger, for smooth edges
_JPEG_QUALITY = 90  # as workers send them


def apple() -> Image.Image:
    """What the prompt asks for: a red apple with stem and leaf on a pale ground."""
    side = _FINE * SIZE
    image = Image.new("RGB", (side, side), (238, 234, 224))
    image.paste((205, 198, 184), (0, int(0.74 * side), side, side))
    _blot(image, (0.22, 0.80, 0.82, 0.92), (120, 112, 100), blur=0.02)  # its shadow
    body = Image.new("L", image.size)
    shape = ImageDraw.Draw(body)
    for box in ((0.17, 0.27, 0.59, 0.80), (0.41, 0.27, 0.83, 0.80), (0.25, 0.42, 0.75, 0.87)):
        shape.ellipse(_pixels(box, side), fill=255)
    body = body.filter(ImageFilter.GaussianBlur(0.012 * side)).point(lambda level: 255 * (level > 127))
    skin = Image.new("RGB", image.size, (178, 18, 24))
    _blot(skin, (0.20, 0.28, 0.70, 0.72), (222, 44, 40), blur=0.07)
    _blot(skin, (0.27, 0.35, 0.45, 0.55), (250, 150, 132), blur=0.04)  # where the light falls
    _blot(skin, (0.40, 0.27, 0.60, 0.36), (110, 8, 14), blur=0.015)  # the dimple
    image.paste(skin, mask=body)
    draw = ImageDraw.Draw(image)
    stem = [(0.505, 0.325), (0.515, 0.22), (0.555, 0.14)]
    draw.line([(x * side, y * side) for x, y in stem], (84, 52, 24), width=int(0.024 * side), joint="curve")
    leaf = [(0.53, 0.22), (0.60, 0.13), (0.72, 0.10), (0.76, 0.14), (0.68, 0.22), (0.58, 0.245)]
    draw.polygon([(x * side, y * side) for x, y in leaf], fill=(58, 140, 52))
    return image.resize((SIZE, SIZE), Image.Resampling.LANCZOS)


def noise() -> Image.Image:
    """What nobody asked for: every pixel of a colour of its own, the same ones each time."""
    return Image.frombytes("RGB", (SIZE, SIZE), random.Random(0).randbytes(3 * SIZE * SIZE))


def encoded(image: Image.Image, card: JudgeCard) -> bytes:
    """The picture as the judge's card wants it."""
    if card.picture_size is not None and card.picture_size < SIZE:
        image = image.resize((card.picture_size, card.picture_size), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    image.save(buffer, card.encoding.upper(), quality=_JPEG_QUALITY)
    return buffer.getvalue()


def _blot(
    image: Image.Image, box: tuple[float, float, float, float], colour: tuple[int, int, int], blur: float
) -> None:
    """A soft ellipse; box and blur in sides of the picture."""
    mask = Image.new("L", image.size)
    ImageDraw.Draw(mask).ellipse(_pixels(box, image.width), fill=255)
    image.paste(colour, mask=mask.filter(ImageFilter.GaussianBlur(blur * image.width)))


def _pixels(box: tuple[float, float, float, float], side: int) -> tuple[float, float, float, float]:
    left, top, right, bottom = (edge * side for edge in box)
    return left, top, right, bottom
