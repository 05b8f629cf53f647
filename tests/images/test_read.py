"""Images of every admitted kind become the same RGB bytes; everything else is an ImageError that names the file."""

from __future__ import annotations

import os
import struct
import tempfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import ImageError
from differnet.images import DEFAULT_MAX_PIXELS, MIN_SIDE, as_rgb, load_image, read_image

HEIGHT, WIDTH = 24, 36
RNG = np.random.default_rng(0)
COLOUR = RNG.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = RNG.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
DEEP_GREY = RNG.integers(0, 65536, (HEIGHT, WIDTH), dtype=np.uint16)
DEEP_COLOUR = RNG.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
ORIENTATION = 0x0112

# What undoes each EXIF orientation, from the EXIF standard's table of where row 0 and column 0 lie.
UPRIGHT: dict[int, Callable[[NDArray[np.uint8]], NDArray[np.uint8]]] = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.swapaxes(0, 1),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].swapaxes(0, 1),
    8: lambda stored: np.rot90(stored, 1),
}


def as_grey_rgb(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(grey[:, :, None], 3, axis=2)


def write_png_header(file: Path, width: int, height: int) -> Path:
    """A PNG that claims a size and holds not a single pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    file.write_bytes(b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b""))
    return file


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.png", {}),
        ("a.bmp", {}),
        ("a.tif", {}),
        ("a.tiff", {"compression": "tiff_lzw"}),
        ("a.webp", {"lossless": True}),
        ("photo", {"format": "PNG"}),
        ("png_in_truth.jpg", {"format": "PNG"}),
    ],
)
def test_lossless_files_give_the_pixels_that_were_written(tmp_path: Path, name: str, options: dict[str, Any]) -> None:
    Image.fromarray(COLOUR).save(tmp_path / name, **options)
    read = read_image(tmp_path / name)
    assert read.dtype == np.uint8
    np.testing.assert_array_equal(read, COLOUR)


@pytest.mark.parametrize(("name", "options"), [("a.jpg", {"quality": 95, "subsampling": 0}), ("a.webp", {})])
def test_lossy_files_give_nearly_the_pixels_that_were_written(
    tmp_path: Path, name: str, options: dict[str, Any]
) -> None:
    rows, columns = np.mgrid[:48, :64]
    smooth = np.stack((rows * 4, columns * 3, 255 - rows * 2), axis=2).astype(np.uint8)
    Image.fromarray(smooth).save(tmp_path / name, **options)
    difference = np.abs(read_image(tmp_path / name).astype(int) - smooth)
    assert difference.mean() < 3


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_exif_orientation_is_applied(tmp_path: Path, orientation: int, suffix: str) -> None:
    plain, turned = tmp_path / f"plain.{suffix}", tmp_path / f"turned.{suffix}"
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(COLOUR).save(plain)
    Image.fromarray(COLOUR).save(turned, exif=exif)
    np.testing.assert_array_equal(read_image(turned), UPRIGHT[orientation](read_image(plain)))


def test_orientation_of_sixteen_bit_grey_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(DEEP_GREY).save(tmp_path / "deep.png", exif=exif)
    expected = as_grey_rgb(np.rot90((DEEP_GREY >> 8).astype(np.uint8), -1))
    np.testing.assert_array_equal(read_image(tmp_path / "deep.png"), expected)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        pytest.param(Image.fromarray(GREY), as_grey_rgb(GREY), id="L"),
        pytest.param(Image.fromarray(GREY > 99), as_grey_rgb((GREY > 99).astype(np.uint8) * 255), id="1"),
        pytest.param(Image.fromarray(np.dstack((COLOUR, GREY))), COLOUR, id="RGBA"),
        pytest.param(Image.fromarray(np.dstack((GREY, GREY[::-1]))), as_grey_rgb(GREY), id="LA"),
    ],
)
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_grey_and_alpha_become_rgb_and_alpha_is_dropped(
    tmp_path: Path, image: Image.Image, expected: NDArray[np.uint8], suffix: str
) -> None:
    image.save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), expected)


@pytest.mark.parametrize("options", [{}, {"transparency": 0}], ids=["opaque", "transparent"])
def test_palette_images_get_the_colours_of_their_palette(tmp_path: Path, options: dict[str, Any]) -> None:
    palette = RNG.integers(0, 256, (256, 3), dtype=np.uint8)
    image = Image.fromarray(GREY)
    image.putpalette(palette.tobytes())
    image.save(tmp_path / "p.png", **options)
    np.testing.assert_array_equal(read_image(tmp_path / "p.png"), palette[GREY])


def test_cmyk_jpeg_becomes_rgb(tmp_path: Path) -> None:
    # No ink but full cyan: red is gone, green and blue remain.
    Image.new("CMYK", (WIDTH, HEIGHT), (255, 0, 0, 0)).save(tmp_path / "c.jpg")
    difference = np.abs(read_image(tmp_path / "c.jpg").astype(int) - (0, 255, 255))
    assert difference.max() <= 3


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_sixteen_bit_files_keep_the_high_byte(tmp_path: Path, suffix: str) -> None:
    grey, colour = tmp_path / f"grey.{suffix}", tmp_path / f"colour.{suffix}"
    cv2.imwrite(str(grey), DEEP_GREY)
    cv2.imwrite(str(colour), DEEP_COLOUR[:, :, ::-1])
    np.testing.assert_array_equal(read_image(grey), as_grey_rgb((DEEP_GREY >> 8).astype(np.uint8)))
    np.testing.assert_array_equal(read_image(colour), DEEP_COLOUR >> 8)


def test_of_several_pages_the_first_is_read(tmp_path: Path) -> None:
    pages = [Image.fromarray(COLOUR), Image.fromarray(255 - COLOUR)]
    pages[0].save(tmp_path / "pages.tif", save_all=True, append_images=pages[1:])
    np.testing.assert_array_equal(read_image(tmp_path / "pages.tif"), COLOUR)


def test_the_jpeg_files_of_phones_with_a_second_picture_are_read(tmp_path: Path) -> None:
    pages = [Image.new("RGB", (64, 48), (200, 30, 40)), Image.new("RGB", (64, 48), (0, 0, 0))]
    pages[0].save(tmp_path / "phone.jpg", "MPO", save_all=True, append_images=pages[1:])
    assert np.abs(read_image(tmp_path / "phone.jpg").astype(int) - (200, 30, 40)).max() <= 3


@settings(max_examples=40, deadline=None)
@given(
    arrays(np.uint8, st.tuples(st.integers(MIN_SIDE, 24), st.integers(MIN_SIDE, 24), st.just(3))),
)
def test_any_rgb_array_survives_png(pixels: NDArray[np.uint8]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "a.png"
        Image.fromarray(pixels).save(file)
        np.testing.assert_array_equal(load_image(file), pixels)


def saved(image: Image.Image, file: Path) -> Path:
    image.save(file)
    return file


def written(file: Path, content: bytes) -> Path:
    file.write_bytes(content)
    return file


def truncated(file: Path) -> Path:
    content = saved(Image.fromarray(RNG.integers(0, 256, (96, 128, 3), dtype=np.uint8)), file).read_bytes()
    return written(file, content[: len(content) // 2])


def corrupt_tiff(file: Path) -> Path:
    """A TIFF whose offset of the pixels is declared to be text."""
    strip_offsets_as_integer, as_text = struct.pack("<HHI", 273, 4, 1), struct.pack("<HHI", 273, 2, 1)
    content = saved(Image.fromarray(COLOUR), file).read_bytes()
    assert content.count(strip_offsets_as_integer) == 1
    return written(file, content.replace(strip_offsets_as_integer, as_text))


def stretched(file: Path) -> Path:
    """A file that says that it is large, and takes nothing of the disk."""
    os.truncate(file, 3 << 30)
    return file


UNUSABLE: dict[str, tuple[Callable[[Path], Path], str]] = {
    "text": (lambda folder: written(folder / "text.png", b"not an image " * 50), "is not a PNG"),
    "empty": (lambda folder: written(folder / "empty.png", b""), "is not a PNG"),
    "gif": (lambda folder: saved(Image.fromarray(COLOUR), folder / "a.gif"), "is not a PNG"),
    "jpeg": (lambda folder: truncated(folder / "cut.jpg"), "damaged or truncated"),
    "png": (lambda folder: truncated(folder / "cut.png"), "damaged or truncated"),
    "tiff": (lambda folder: truncated(folder / "cut.tif"), "damaged or truncated"),
    "webp": (lambda folder: truncated(folder / "cut.webp"), ""),
    "corrupt-tiff": (lambda folder: corrupt_tiff(folder / "corrupt.tif"), "damaged or truncated"),
    "float-tiff": (
        lambda folder: saved(Image.new("F", (WIDTH, HEIGHT), float("nan")), folder / "float.tif"),
        "no numbers",
    ),
    "dot": (lambda folder: saved(Image.new("RGB", (1, 1)), folder / "dot.png"), "1 x 1"),
    "strip": (lambda folder: saved(Image.new("RGB", (10_000, 3)), folder / "strip.png"), "10000 x 3"),
    "sparse": (
        lambda folder: stretched(saved(Image.new("RGB", (20, 20)), folder / "sparse.png")),
        "more than the 2 GiB",
    ),
    "missing": (lambda folder: folder / "missing.png", "no such file"),
    "folder": (lambda folder: folder, "is a folder"),
}


@pytest.mark.parametrize(("make", "reason"), UNUSABLE.values(), ids=UNUSABLE)
def test_unusable_files_are_image_errors_that_name_the_file(
    tmp_path: Path, make: Callable[[Path], Path], reason: str
) -> None:
    file = make(tmp_path)
    with pytest.raises(ImageError) as raised:
        read_image(file)
    assert str(file) in str(raised.value)
    assert reason in str(raised.value)


@pytest.mark.parametrize("size", [(10_001, 10_000), (50_000, 50_000), (2_000_000_000, 2_000_000_000)])
def test_the_pixel_limit_is_checked_before_decoding(tmp_path: Path, size: tuple[int, int]) -> None:
    # There are no pixels in these files: whoever tried to decode them would call them damaged instead.
    file = write_png_header(tmp_path / "bomb.png", *size)
    with pytest.raises(ImageError, match=f"limit of {DEFAULT_MAX_PIXELS:,}") as raised:
        read_image(file)
    assert str(file) in str(raised.value)


def test_the_pixel_limit_is_the_callers(tmp_path: Path) -> None:
    Image.fromarray(COLOUR).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", max_pixels=HEIGHT * WIDTH).shape == COLOUR.shape
    for source in (tmp_path / "a.png", COLOUR):
        with pytest.raises(ImageError, match="limit of 863"):
            load_image(source, max_pixels=HEIGHT * WIDTH - 1)


def test_the_callers_limit_decides_and_not_pillows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Pillow refuses twice its own limit (179 MP unless changed); smaller here, to spare the memory.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", HEIGHT * WIDTH // 4)
    file = saved(Image.fromarray(COLOUR), tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(file, max_pixels=HEIGHT * WIDTH), COLOUR)


@pytest.mark.parametrize(
    ("array", "expected"),
    [
        pytest.param(COLOUR[:, ::-1], COLOUR[:, ::-1], id="RGB"),
        pytest.param(np.dstack((COLOUR, GREY)), COLOUR, id="RGBA"),
        pytest.param(GREY, as_grey_rgb(GREY), id="HW"),
        pytest.param(GREY[:, :, None], as_grey_rgb(GREY), id="HW1"),
        pytest.param(DEEP_COLOUR, (DEEP_COLOUR >> 8).astype(np.uint8), id="uint16"),
        pytest.param(GREY > 99, as_grey_rgb(np.where(GREY > 99, 255, 0).astype(np.uint8)), id="bool"),
        pytest.param(COLOUR / 255, COLOUR, id="float64"),
        pytest.param((COLOUR / 255).astype(np.float32), COLOUR, id="float32"),
    ],
)
def test_arrays_become_rgb(array: NDArray[Any], expected: NDArray[np.uint8]) -> None:
    image = load_image(array)
    assert image.dtype == np.uint8
    assert image.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(image, expected)


@settings(max_examples=40, deadline=None)
@given(arrays(np.float32, (MIN_SIDE, MIN_SIDE + 1, 3), elements=st.floats(0, 1, width=32)))
def test_floats_become_the_nearest_of_255_steps(array: NDArray[np.float32]) -> None:
    assert np.abs(as_rgb(array) - array.astype(np.float64) * 255).max() <= 0.5 + 1e-4


def floats_with(value: float) -> NDArray[np.float64]:
    array = COLOUR / 255
    array[3, 4, 1] = value
    return array


@pytest.mark.parametrize(
    ("array", "reason"),
    [
        (floats_with(1.01), r"\[0, 1\]"),
        (floats_with(-0.01), r"\[0, 1\]"),
        (floats_with(np.nan), "NaN"),
        (floats_with(np.inf), r"\[0, 1\]"),
        (COLOUR.astype(np.int64), "int64"),
        (COLOUR[0, :, 0], r"\(36,\)"),
        (COLOUR[None], r"\(1, 24, 36, 3\)"),
        (COLOUR.transpose(2, 0, 1), r"\(3, 24, 36\)"),
        (COLOUR[:, :, :2], r"\(24, 36, 2\)"),
        (COLOUR[: MIN_SIDE - 1], "36 x 15"),
        (COLOUR[:0], "36 x 0"),
    ],
)
def test_unusable_arrays_are_image_errors_that_say_why(array: NDArray[Any], reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        load_image(array)
