"""What a file says of its sizes is compared with what it has before a decoder takes memory by it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import differnet.images.header
import differnet_runtime
import differnet_runtime.images
from differnet.errors import ImageError
from differnet.images import load_image
from tests.images.files import PIXELS, deep, with_texts
from tests.images.files import png as encoded


def chunk(kind: bytes, content: bytes, length: int | None = None) -> bytes:
    said = len(content) if length is None else length
    return struct.pack(">I", said) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(*extra: bytes) -> bytes:
    rows = zlib.compress(bytes(64 * (1 + 64 * 3)))
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0))
    return start + b"".join(extra) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def tiff(*tags: tuple[int, int]) -> bytes:
    """A TIFF of 64 x 64 with further tags, of which those that say a size stand twice."""
    rows = zlib.compress(bytes(64 * 64 * 3))
    entries = [
        (256, 64),
        (257, 64),
        (258, 8),
        (259, 8),
        (262, 2),
        (273, 400),
        (277, 3),
        (278, 64),
        (279, len(rows)),
        *tags,
    ]
    content = b"II*\0" + struct.pack("<IH", 8, len(entries))
    content += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries))
    return (content + bytes(4)).ljust(400, b"\0") + rows


def strips(number: int, *, tags: int = 0) -> bytes:
    """A TIFF that says that it has so many strips, and has their places; with further tags that nobody knows."""
    content = tiff(*[(40_000 + i, 1) for i in range(tags)]) + bytes(4 * number)
    for tag in (273, 279):
        content = content.replace(
            struct.pack("<HHI", tag, 4, 1), struct.pack("<HHII", tag, 4, number, len(content) - 4 * number)[:8]
        )
    return content


def jpeg() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 64)).save(buffer, "JPEG")
    content = buffer.getvalue()
    frame = content.index(b"\xff\xc0")
    again = bytearray(content[frame : frame + 2 + struct.unpack_from(">H", content, frame + 2)[0]])
    again[5:9] = struct.pack(">HH", 60_000, 60_000)
    return content[:frame] + bytes(again) + content[frame:]


def scans(number: int) -> bytes:
    """A JPEG whose last scan, of a few bytes, comes so often: a decoder goes through all pixels for each."""
    buffer = io.BytesIO()
    Image.new("L", (64, 64), 128).save(buffer, "JPEG", progressive=True)
    content = buffer.getvalue()
    return content[:-2] + content[content.rindex(b"\xff\xda") : -2] * number + content[-2:]


def test_what_these_are_made_of_is_read() -> None:
    assert load_image(png()).shape == load_image(tiff()).shape == (64, 64, 3)


@pytest.mark.parametrize(
    "content",
    [
        png(chunk(b"tEXt", b"a", length=0xFFFFFFF0)),
        png(chunk(b"zzZz", b"a", length=0x7FFFFFFF)),
        png(chunk(b"IHDR", struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0))),
        tiff((256, 60_000), (257, 60_000)),
        tiff((322, 1 << 20), (323, 1 << 20), (324, 400), (325, 100)),
        tiff((277, 60_000)),
        jpeg(),
    ],
    ids=["text", "unknown chunk", "second header", "two sizes", "tiles", "samples", "second frame"],
)
def test_what_says_more_than_it_has_is_refused_unread(content: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[object] = []
    monkeypatch.setattr("differnet_runtime.images.cv2.imdecode", lambda *given: decoded.append(given))
    with pytest.raises(differnet_runtime.ImageError):
        differnet_runtime.images.load_image(content)
    assert not decoded
    with pytest.raises((ImageError, ValueError)):
        header = differnet.images.header.read_header(content)
        assert header is not None
        if header.width * header.height > 100_000_000:
            raise ValueError("too large")


@pytest.mark.parametrize("load", [load_image, differnet_runtime.images.load_image])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (scans(100), "scans"),
        (b"\xff\xd8" + b"\xff\xfe\0\2" * 100_000 + scans(0)[2:], "segments"),
        (b"\xff\xd8" + b"\xff" * 100_000 + scans(0)[2:], "segments"),
        (b"\xff\xd8\xff\xe0\0\2" + b"\xff\0" * 50_000 + scans(0)[2:], "segments"),
        (png(chunk(b"tEXt", b"a\0b") * 100_000), "chunks"),
        (png(chunk(b"prVt", b"") * 100_000), "chunks"),
        (strips(1000), "strips"),
        (strips(1, tags=5000), "tags"),
    ],
    ids=["scans", "segments", "padding", "escaped padding", "texts", "private chunks", "strips", "tags"],
)
def test_few_bytes_do_not_keep_a_decoder_busy(load: Callable[[bytes], object], content: bytes, said: str) -> None:
    # 200 kB of a hundred scans took 27 s of a processor at 49 megapixels, and 60 MB of padding 77 s.
    with pytest.raises((ImageError, differnet_runtime.ImageError), match=said):
        load(content)


@pytest.mark.parametrize("load", [load_image, differnet_runtime.images.load_image])
def test_what_encoders_write_is_no_effort(load: Callable[[bytes], object]) -> None:
    text = chunk(b"tEXt", b"a\0b")
    # What comes behind the end of a PNG is none of its chunks.
    behind = (png() + bytes(2_000_000), png() + chunk(b"tEXt", b"a") * 110_000, scans(0) + b"\xff\xda" * 1000)
    for content in (scans(20), *behind, png(text * 1000)):
        load(content)


@pytest.mark.parametrize("load", [load_image, differnet_runtime.images.load_image])
def test_texts_of_a_png_are_not_unpacked_beside_its_pixels(
    load: Callable[[bytes], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    # OpenCV keeps what a thousand of them say, up to 8 MB each: 3 MB of 400 took 3 GB.
    decode = cv2.imdecode
    given: list[bytes] = []

    def imdecode(content: NDArray[np.uint8], flags: int) -> object:
        given.append(content.tobytes())
        return decode(content, flags)

    monkeypatch.setattr("cv2.imdecode", imdecode)
    load(with_texts(encoded(deep(16))))
    assert given == [encoded(deep(16))]
    given.clear()
    load(with_texts(encoded(PIXELS)))
    assert given in ([], [encoded(PIXELS)])
