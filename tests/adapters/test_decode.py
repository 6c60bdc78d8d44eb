"""Pictures are read defensively: what is readable is RGB, everything else is a JudgeError, never another exception."""

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from contracts.errors import JudgeError
from reward_adapters.base import decode

from .pictures import blots, encoded, plain

PNG, JPEG = encoded(blots(1), "png"), encoded(blots(1), "jpeg")


def test_png_is_exact_and_jpeg_close() -> None:
    assert decode(PNG).tobytes() == blots(1).tobytes()
    assert decode(JPEG).size == blots(1).size
    assert decode(JPEG).mode == "RGB"


@pytest.mark.parametrize("mode", ["L", "P", "1", "LA", "RGBA", "I;16"])
def test_other_modes_become_rgb(mode: str) -> None:
    image = Image.new(mode, (4, 4), 1)
    assert decode(encoded(image)).mode == "RGB"


@pytest.mark.parametrize("encoding", ["gif", "bmp", "tiff", "webp"])
def test_other_formats_are_refused(encoding: str) -> None:
    with pytest.raises(JudgeError, match="hold no readable PNG or JPEG"):
        decode(encoded(plain("red"), encoding))


def test_a_picture_of_enormous_size_is_refused_unread() -> None:
    """A PNG header alone claims 9000 x 9000 pixels."""
    with pytest.raises(JudgeError, match="9000 x 9000 pixels is too large"):
        decode(png_claiming(9000, 9000))
    with pytest.raises(JudgeError, match="DecompressionBomb"):
        decode(png_claiming(60000, 60000))


def png_claiming(width: int, height: int) -> bytes:
    """A PNG whose header claims this size."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, data, b"IEND")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


@given(st.sampled_from([PNG, JPEG]), st.data())
def test_damaged_pictures_are_read_or_refused(picture: bytes, data: st.DataObject) -> None:
    """Cut short, with bytes flipped, or with bytes put in."""
    damaged = bytearray(picture[: data.draw(st.integers(0, len(picture)))])
    for place, value in data.draw(
        st.lists(st.tuples(st.integers(0, len(picture) - 1), st.integers(0, 255)), max_size=8)
    ):
        if place < len(damaged):
            damaged[place] = value
    damaged += data.draw(st.binary(max_size=8))
    read_or_refused(bytes(damaged))


@given(st.binary(max_size=200), st.sampled_from([b"", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"]))
def test_random_bytes_are_refused(data: bytes, start: bytes) -> None:
    read_or_refused(start + data)


def read_or_refused(data: bytes) -> None:
    try:
        image = decode(data)
    except JudgeError as error:
        assert str(error)  # noqa: PT017 - both ends are right; a third one is not
    else:
        image.save(io.BytesIO(), "PNG")
