"""The runtime's OpenCV reads what differnet's Pillow reads, to the same pixels, and refuses the same files."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from differnet.errors import ImageError as DifferNetImageError
from differnet.images import load_image as differnet_load
from differnet_runtime.deep import PixelScale
from differnet_runtime.errors import ImageError
from differnet_runtime.header import read_header
from differnet_runtime.images import DEFAULT_MAX_PIXELS, decode_image, load_image
from tests.images.files import FILES
from tests.images.test_read import UNUSABLE, write_png_header

HEIGHT, WIDTH = 24, 36
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
DEEP = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
SMOOTH = cv2.resize(RNG.integers(0, 256, (8, 8, 3), dtype=np.uint8), (144, 96), interpolation=cv2.INTER_CUBIC)
ORIENTATION = 0x0112


def encoded(image: Image.Image, format_: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def palette() -> Image.Image:
    image = Image.fromarray(GREY)
    image.putpalette(RNG.integers(0, 256, (256, 3), dtype=np.uint8).tobytes())
    return image


MODES: dict[str, Callable[[], Image.Image]] = {
    "RGB": lambda: Image.fromarray(COLOUR),
    "L": lambda: Image.fromarray(GREY),
    "1": lambda: Image.fromarray(GREY > 99),
    "RGBA": lambda: Image.fromarray(np.dstack((COLOUR, GREY))),
    "LA": lambda: Image.fromarray(np.dstack((GREY, GREY[::-1]))),
    "P": palette,
    "I;16": lambda: Image.fromarray(DEEP),
}
LOSSLESS = [("PNG", mode) for mode in MODES] + [("TIFF", mode) for mode in MODES]
LOSSLESS += [("BMP", mode) for mode in ("RGB", "L", "1", "RGBA", "P")] + [("WEBP", mode) for mode in ("RGB", "RGBA")]


def options_of(format_: str) -> dict[str, Any]:
    return {"lossless": True} if format_ == "WEBP" else {}


def assert_same(content: bytes, tolerance: int = 0) -> None:
    ours, expected = load_image(content), differnet_load(content)
    assert ours.dtype == np.uint8
    assert ours.flags["C_CONTIGUOUS"]
    assert ours.shape == expected.shape
    assert np.abs(ours.astype(int) - expected).max() <= tolerance


@pytest.mark.parametrize(("format_", "mode"), LOSSLESS)
def test_pixels_of_lossless_files(format_: str, mode: str) -> None:
    assert_same(encoded(MODES[mode](), format_, **options_of(format_)))


@pytest.mark.parametrize("options", [{"quality": 95, "subsampling": 0}, {"quality": 80}, {"progressive": True}])
@pytest.mark.parametrize("grey", [False, True])
def test_pixels_of_jpeg_files(options: dict[str, Any], grey: bool) -> None:
    image = Image.fromarray(SMOOTH)
    # Decoders of one library, built twice: they may round otherwise.
    assert_same(encoded(image.convert("L") if grey else image, "JPEG", **options), tolerance=2)


def test_files_of_other_kinds() -> None:
    assert_same(encoded(Image.fromarray(SMOOTH), "WEBP", quality=80), tolerance=2)
    assert_same(encoded(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG"), tolerance=3)
    assert_same(encoded(palette(), "PNG", transparency=0))
    assert_same(encoded(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"))
    assert_same(encoded(Image.fromarray(DEEP.astype(np.int32)), "TIFF"))
    pages = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    assert_same(encoded(pages[0], "TIFF", save_all=True, append_images=pages[1:]))
    pages = [Image.fromarray(SMOOTH), Image.new("RGB", (64, 48))]
    assert_same(encoded(pages[0], "MPO", save_all=True, append_images=pages[1:]), tolerance=2)
    for suffix in (".png", ".tif"):
        deep = np.dstack([DEEP, DEEP[::-1], DEEP[:, ::-1]])
        assert_same(cv2.imencode(suffix, deep)[1].tobytes())


@pytest.mark.parametrize("name", FILES)
def test_the_table_of_files(name: str) -> None:
    file = FILES[name]
    if file.expected is None:
        with pytest.raises(DifferNetImageError) as expected:
            differnet_load(file.content())
        with pytest.raises(ImageError) as raised:
            load_image(file.content())
        assert file.refusal in str(raised.value)
        # The same but for what the decoders themselves say, in brackets.
        assert str(raised.value).split(" (")[0] == str(expected.value).split(" (")[0]
        return
    scale = None if file.scale is None else PixelScale(file.scale.eight, file.scale.integer, file.scale.floating)
    decoded = decode_image(file.content(), scale=scale)
    read = decoded.pixels
    assert decoded.pages == file.pages
    np.testing.assert_array_equal(read, differnet_load(file.content(), scale=file.scale))
    shown = file.expected if file.expected.ndim == 3 else np.repeat(file.expected[:, :, None], 3, axis=2)
    assert np.abs(read.astype(int) - shown).max() <= file.tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(("format_", "mode"), [("JPEG", "RGB"), ("PNG", "RGB"), ("PNG", "I;16"), ("TIFF", "RGB")])
def test_orientation_is_applied(format_: str, mode: str, orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    image = Image.fromarray(SMOOTH) if format_ == "JPEG" else MODES[mode]()
    assert_same(encoded(image, format_, exif=exif), tolerance=2 if format_ == "JPEG" else 0)


def test_file_names_beyond_ascii(tmp_path: Path) -> None:
    file = tmp_path / "Prüfling übermaß 検査.png"
    Image.fromarray(COLOUR).save(file)
    np.testing.assert_array_equal(load_image(file), COLOUR)


@pytest.mark.parametrize(("make", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_what_differnet_refuses_is_refused_in_the_same_words(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    file = make(tmp_path)
    with pytest.raises(DifferNetImageError) as expected:
        differnet_load(file)
    with pytest.raises(ImageError) as raised:
        load_image(file)
    assert reason in str(raised.value)
    # The same but for what the decoders themselves say, in brackets.
    assert str(raised.value).split(" (")[0] == str(expected.value).split(" (")[0]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are of POSIX")
def test_a_pipe_is_refused_rather_than_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    writer = os.open(tmp_path / "pipe.png", os.O_RDWR)  # so that whoever reads it all the same is not stuck
    os.write(writer, b"x")
    try:
        with pytest.raises(ImageError, match="is not an ordinary file"):
            load_image(tmp_path / "pipe.png")
    finally:
        os.close(writer)


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("kept", [0.1, 0.5, 0.9])
def test_truncated_files_are_refused(format_: str, kept: float) -> None:
    content = encoded(Image.fromarray(SMOOTH), format_)
    with pytest.raises(ImageError, match="damaged or truncated"):
        load_image(content[: int(len(content) * kept)])


@pytest.mark.parametrize("size", [(10_001, 10_000), (2_000_000_000, 2_000_000_000)])
def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    file = write_png_header(tmp_path / "bomb.png", *size)
    with pytest.raises(ImageError, match=f"limit of {DEFAULT_MAX_PIXELS:,}"):
        load_image(file)


@pytest.mark.parametrize(("format_", "mode"), [*LOSSLESS, ("JPEG", "RGB")])
def test_headers_tell_format_and_size(format_: str, mode: str) -> None:
    header = read_header(encoded(MODES[mode](), format_, **options_of(format_)))
    assert header is not None
    assert (header.format, header.width, header.height) == (format_, WIDTH, HEIGHT)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(["PNG", "JPEG", "TIFF", "WEBP", "BMP"]), st.data())
def test_damaged_files_are_read_or_refused_but_nothing_else(format_: str, data: st.DataObject) -> None:
    content = bytearray(encoded(Image.fromarray(COLOUR), format_))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(ImageError):
        assert load_image(bytes(content)).dtype == np.uint8


ARRAYS = {
    "RGBA": np.dstack((COLOUR, GREY)),
    "grey": GREY,
    "uint16": DEEP,
    "bool": GREY > 99,
    "float": (COLOUR / 255).astype(np.float32),
}


@pytest.mark.parametrize("array", ARRAYS.values(), ids=ARRAYS)
def test_arrays_become_the_same_rgb(array: np.ndarray[Any, Any]) -> None:
    np.testing.assert_array_equal(load_image(array), differnet_load(array))


@pytest.mark.parametrize("array", [COLOUR.astype(np.int64), COLOUR[0], COLOUR / 100, COLOUR[:10]])
def test_unusable_arrays_are_refused_in_the_same_words(array: np.ndarray[Any, Any]) -> None:
    with pytest.raises(DifferNetImageError) as expected:
        differnet_load(array)
    with pytest.raises(ImageError) as raised:
        load_image(array)
    assert str(raised.value) == str(expected.value)
