"""The table of files: what every reader makes of them. Both packages are tried on it, `differnet` and the runtime."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from differnet.images import PixelScale

__all__ = ["FILES", "PIXELS", "TableFile", "png", "tiff"]

HEIGHT, WIDTH = 24, 36
# Every value, from a fixed place on.
PIXELS = ((np.arange(HEIGHT * WIDTH) * 37) % 256).astype(np.uint8).reshape(HEIGHT, WIDTH)
COLOUR = np.dstack((PIXELS, PIXELS[::-1], PIXELS[:, ::-1]))

SMOOTH = np.asarray(Image.fromarray(COLOUR).resize((9, 6)).resize((144, 96), Image.Resampling.BICUBIC))

Content = Callable[[], bytes]


@dataclass(frozen=True)
class TableFile:
    """A file, and what is read of it.

    Attributes:
        content: Makes the file.
        expected: uint8 (height, width) or (height, width, 3); None if it is refused.
        refusal: What the refusal says.
        scale: Of the model's training images; None if there is no model.
        tolerance: Of lossy files.
        pages: Or frames, of which the first is read.
    """

    content: Content
    expected: NDArray[np.uint8] | None = None
    refusal: str = ""
    scale: PixelScale | None = None
    tolerance: int = 0
    pages: int = 1


def png(values: NDArray[Any]) -> bytes:
    """A PNG of uint8 or uint16, (height, width) or (height, width, 3) RGB."""
    return bytes(cv2.imencode(".png", values if values.ndim == 2 else values[:, :, ::-1])[1].tobytes())


def tiff(values: NDArray[Any], *, inverted: bool = False, **tags: int) -> bytes:
    """An uncompressed little-endian TIFF of any numbers; written by hand, since no library at hand writes them all."""
    height, width = values.shape[:2]
    samples = 1 if values.ndim == 2 else values.shape[2]
    bits = 8 * values.dtype.itemsize
    number = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    photometric = tags.get("photometric", 2 if samples == 3 else 0 if inverted else 1)
    data = values.astype(values.dtype.newbyteorder("<")).tobytes()
    arrays = struct.pack("<3H3H", *([bits] * 3), *([number] * 3))
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, samples, bits if samples == 1 else 8 + len(data)),
        (259, 3, 1, tags.get("compression", 1)),
        (262, 3, 1, photometric),
        (273, 4, 1, 8),
        (277, 3, 1, samples),
        (278, 3, 1, height),
        (279, 4, 1, len(data)),
        (339, 3, samples, number if samples == 1 else 8 + len(data) + 6),
    ]
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return struct.pack("<2sHI", b"II", 42, 8 + len(data) + len(arrays)) + data + arrays + directory + b"\0\0\0\0"


def pillow(image: Image.Image, format_: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    stream = io.BytesIO()
    image.save(stream, format_, **options)
    return stream.getvalue()


def deep(bits: int, values: NDArray[np.uint8] = PIXELS) -> NDArray[np.uint16]:
    """8-bit values as a camera of more bits gives them, its low bits in use."""
    low = (np.arange(values.size, dtype=np.uint16) % 2 ** (bits - 8)).reshape(values.shape)
    return (values.astype(np.uint16) << (bits - 8)) + low


def jpeg(pixels: NDArray[np.uint8] = SMOOTH, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    return pillow(Image.fromarray(pixels), "JPEG", quality=95, **options)


def turned() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 6
    return exif


def inks(*, luminance: bool = False, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    """A JPEG of four inks, as programs of Adobe write them; with luminance, and the colours beside it, if so asked."""
    if not luminance:
        return pillow(Image.fromarray(SMOOTH).convert("CMYK"), "JPEG", quality=95, **options)
    planes = 255 - np.asarray(Image.fromarray(255 - SMOOTH).convert("YCbCr"))
    bands = [Image.fromarray(plane) for plane in (*planes.transpose(2, 0, 1), np.zeros_like(planes[:, :, 0]))]
    content = pillow(Image.merge("CMYK", bands), "JPEG", quality=95)
    transform = content.index(b"Adobe") + 11
    return content[:transform] + b"\2" + content[transform + 1 :]


def transparent(mode: str) -> Image.Image:
    """Grey or colours with a transparency that has all values."""
    image = Image.fromarray(PIXELS if mode == "LA" else COLOUR).convert(mode)
    image.putalpha(Image.fromarray(PIXELS[::-1].copy()))
    return image


def palette(**options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    image = Image.fromarray((PIXELS // 16).astype(np.uint8)).convert("P")
    image.putpalette([value for grey in range(16) for value in (17 * grey, 255 - 17 * grey, 9)])
    return pillow(image, "PNG", **options)


def frames(format_: str, **options: Any) -> bytes:  # noqa: ANN401 - Pillow's options
    """Three pages or frames, of which the first shows COLOUR."""
    others = [Image.fromarray(COLOUR[::-1].copy()), Image.fromarray(255 - COLOUR)]
    return pillow(Image.fromarray(COLOUR), format_, save_all=True, append_images=others, **options)


def with_gamma(content: bytes) -> bytes:
    chunk = b"gAMA" + struct.pack(">I", 100000)
    return content[:33] + struct.pack(">I", 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + content[33:]


def of_adobe(space: str) -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile(space)).tobytes()  # type: ignore[arg-type]


def overwritten(content: bytes, what: bytes) -> bytes:
    middle = (content.index(b"\xff\xda") + len(content)) // 2
    return content[:middle] + what + content[middle + len(what) :]


def up_to(white: float) -> PixelScale:
    return PixelScale(False, (0.0, white), (0.0, white))


UNIT = (PIXELS / 255).astype(np.float32)
SIGNED = PIXELS.astype(np.int16) - 128


def with_texts(content: bytes) -> bytes:
    """A PNG with packed texts, each longer than Pillow takes, before its pixels and after."""

    def chunk(kind: bytes, said: bytes) -> bytes:
        return struct.pack(">I", len(said)) + kind + said + struct.pack(">I", zlib.crc32(kind + said))

    packed = zlib.compress(bytes(1 << 21))
    texts = [
        chunk(b"zTXt", b"a\0\0" + packed),
        chunk(b"iTXt", b"b\0\1\0\0\0" + packed),
        chunk(b"iCCP", b"c\0\0" + packed),
    ]
    end = content.index(b"IEND") - 4
    return content[:33] + b"".join(texts) + content[33:end] + texts[0] + content[end:]


PALETTE = np.dstack((17 * (PIXELS // 16), 255 - 17 * (PIXELS // 16), np.full_like(PIXELS, 9)))

FILES: dict[str, TableFile] = {
    "png-8": TableFile(lambda: png(PIXELS), PIXELS),
    "png-8-colour": TableFile(lambda: png(COLOUR), COLOUR),
    "png-16": TableFile(lambda: png(deep(16)), PIXELS),
    "png-16-colour": TableFile(lambda: png(deep(16, COLOUR)), COLOUR),
    "png-12-in-16": TableFile(lambda: png(deep(12)), PIXELS, scale=up_to(4095)),
    "png-12-in-16-colour": TableFile(lambda: png(deep(12, COLOUR)), COLOUR, scale=up_to(4095)),
    "png-10-in-16": TableFile(lambda: png(deep(10)), PIXELS, scale=up_to(1023)),
    "png-14-in-16": TableFile(lambda: png(deep(14)), PIXELS, scale=up_to(16383)),
    "png-12-in-16-without-a-model": TableFile(lambda: png(deep(12)), PIXELS // 16),
    "png-16-on-12-bits": TableFile(
        lambda: png(deep(16)), np.minimum(deep(16) >> 4, 255).astype(np.uint8), scale=up_to(4095)
    ),
    "png-8-on-12-bits": TableFile(lambda: png(PIXELS), PIXELS, scale=up_to(4095)),
    "png-8-long-texts": TableFile(lambda: with_texts(png(PIXELS)), PIXELS),
    "png-16-long-texts": TableFile(lambda: with_texts(png(deep(16))), PIXELS),
    "tiff-8": TableFile(lambda: tiff(PIXELS), PIXELS),
    "tiff-8-colour": TableFile(lambda: tiff(COLOUR), COLOUR),
    "tiff-8-min-is-white": TableFile(lambda: tiff(PIXELS, inverted=True), 255 - PIXELS),
    "tiff-16": TableFile(lambda: tiff(deep(16)), PIXELS),
    "tiff-16-colour": TableFile(lambda: tiff(deep(16, COLOUR)), COLOUR),
    "tiff-16-min-is-white": TableFile(lambda: tiff(deep(16), inverted=True), 255 - PIXELS),
    "tiff-12-in-16": TableFile(lambda: tiff(deep(12)), PIXELS, scale=up_to(4095)),
    "tiff-12-in-16-min-is-white": TableFile(lambda: tiff(deep(12), inverted=True), 255 - PIXELS, scale=up_to(4095)),
    "tiff-int8": TableFile(lambda: tiff(SIGNED.astype(np.int8)), PIXELS),
    "tiff-int16-negative": TableFile(lambda: tiff(SIGNED << 8), PIXELS),
    "tiff-int16-negative-10-bits": TableFile(
        lambda: tiff(SIGNED << 2), PIXELS, scale=PixelScale(False, (-512.0, 511.0))
    ),
    "tiff-int16-positive": TableFile(lambda: tiff(deep(12).astype(np.int16)), PIXELS, scale=up_to(4095)),
    "tiff-int32": TableFile(lambda: tiff(deep(16).astype(np.int32)), PIXELS),
    "tiff-uint32": TableFile(lambda: tiff(deep(12).astype(np.uint32)), PIXELS, scale=up_to(4095)),
    "tiff-int32-too-large": TableFile(lambda: tiff(deep(16).astype(np.int32) * 2), refusal="need more than 16 bits"),
    "tiff-float-unit": TableFile(lambda: tiff(UNIT), PIXELS),
    "tiff-float-unit-colour": TableFile(lambda: tiff((COLOUR / 255).astype(np.float32)), COLOUR),
    "tiff-float64-unit": TableFile(lambda: tiff(UNIT.astype(np.float64)), PIXELS),
    "tiff-float-255": TableFile(lambda: tiff(PIXELS.astype(np.float32)), PIXELS),
    "tiff-float-4095": TableFile(lambda: tiff(UNIT * 4095), PIXELS),
    "tiff-float-dark-on-4095": TableFile(
        lambda: tiff(UNIT * 819), np.rint(PIXELS / 5).astype(np.uint8), scale=up_to(4095)
    ),
    "tiff-float-own-range": TableFile(lambda: tiff(UNIT * 7), PIXELS),
    "tiff-float-symmetric": TableFile(
        lambda: tiff(UNIT * 2 - 1), np.rint(PIXELS.astype(float)).astype(np.uint8), tolerance=1
    ),
    "tiff-float-nan": TableFile(
        lambda: tiff(np.where(PIXELS == 7, np.nan, UNIT).astype(np.float32)), refusal="no numbers, or infinite"
    ),
    "tiff-lab": TableFile(lambda: tiff(COLOUR, photometric=8), refusal="CIE L*a*b*"),
    "tiff-zstandard": TableFile(lambda: tiff(PIXELS, compression=50000), refusal="Zstandard"),
    "tiff-lzma": TableFile(lambda: tiff(PIXELS, compression=34925), refusal="LZMA"),
    "tiff-jpeg-xl": TableFile(lambda: tiff(PIXELS, compression=50002), refusal="JPEG XL"),
    "tiff-jpeg-2000": TableFile(lambda: tiff(PIXELS, compression=34712), refusal="JPEG 2000"),
    "tiff-unknown": TableFile(lambda: tiff(PIXELS, compression=12345), refusal="number 12345"),
    "tiff-lzw": TableFile(lambda: pillow(Image.fromarray(COLOUR), "TIFF", compression="tiff_lzw"), COLOUR),
    "tiff-deflate": TableFile(
        lambda: pillow(Image.fromarray(COLOUR), "TIFF", compression="tiff_adobe_deflate"), COLOUR
    ),
    "tiff-packbits": TableFile(lambda: pillow(Image.fromarray(PIXELS), "TIFF", compression="packbits"), PIXELS),
    "tiff-16-lzw": TableFile(lambda: pillow(Image.fromarray(deep(16)), "TIFF", compression="tiff_lzw"), PIXELS),
    "bmp": TableFile(lambda: pillow(Image.fromarray(COLOUR), "BMP"), COLOUR),
    "webp": TableFile(lambda: pillow(Image.fromarray(COLOUR), "WEBP", lossless=True), COLOUR),
    "jpeg": TableFile(jpeg, SMOOTH, tolerance=12),
    "jpeg-grey": TableFile(lambda: jpeg(SMOOTH[:, :, 0]), SMOOTH[:, :, 0], tolerance=12),
    "jpeg-progressive": TableFile(lambda: jpeg(progressive=True), SMOOTH, tolerance=12),
    "jpeg-turned": TableFile(lambda: jpeg(exif=turned()), np.rot90(SMOOTH, -1), tolerance=12),
    "jpeg-padded": TableFile(lambda: jpeg()[:-2] + b"\0" * 20 + jpeg()[-2:], SMOOTH, tolerance=12),
    "jpeg-zeroed": TableFile(
        lambda: overwritten(jpeg(), b"\0" * 200), refusal="damaged or truncated (corrupt JPEG data"
    ),
    "jpeg-overwritten": TableFile(lambda: overwritten(jpeg(), b"\xd5" * 40), refusal="damaged or truncated"),
    "jpeg-cut": TableFile(lambda: jpeg()[:-300], refusal="damaged or truncated"),
    "jpeg-inks": TableFile(inks, SMOOTH, tolerance=12),
    "jpeg-inks-with-luminance": TableFile(lambda: inks(luminance=True), SMOOTH, tolerance=12),
    "jpeg-inks-turned": TableFile(lambda: inks(exif=turned()), np.rot90(SMOOTH, -1), tolerance=12),
    "jpeg-inks-cut": TableFile(lambda: inks()[:-300], refusal="damaged or truncated"),
    "jpeg-profile": TableFile(lambda: jpeg(icc_profile=of_adobe("LAB")), SMOOTH, tolerance=12),
    "png-profile": TableFile(lambda: pillow(Image.fromarray(COLOUR), "PNG", icc_profile=of_adobe("LAB")), COLOUR),
    "tiff-profile": TableFile(lambda: pillow(Image.fromarray(COLOUR), "TIFF", icc_profile=of_adobe("sRGB")), COLOUR),
    "png-gamma": TableFile(lambda: with_gamma(png(COLOUR)), COLOUR),
    "png-16-gamma": TableFile(lambda: with_gamma(png(deep(16))), PIXELS),
    "png-1": TableFile(lambda: pillow(Image.fromarray(PIXELS > 127), "PNG"), np.where(PIXELS > 127, 255, 0)),
    "tiff-1": TableFile(lambda: pillow(Image.fromarray(PIXELS > 127), "TIFF"), np.where(PIXELS > 127, 255, 0)),
    "tiff-1-fax": TableFile(
        lambda: pillow(Image.fromarray(PIXELS > 127), "TIFF", compression="group4"), np.where(PIXELS > 127, 255, 0)
    ),
    "png-transparent": TableFile(lambda: pillow(transparent("RGBA"), "PNG"), COLOUR),
    "png-transparent-grey": TableFile(lambda: pillow(transparent("LA"), "PNG"), PIXELS),
    "tiff-transparent": TableFile(lambda: pillow(transparent("RGBA"), "TIFF"), COLOUR),
    "webp-transparent": TableFile(lambda: pillow(transparent("RGBA"), "WEBP", lossless=True, exact=True), COLOUR),
    "png-palette": TableFile(palette, PALETTE),
    "png-palette-transparent": TableFile(lambda: palette(transparency=bytes(range(0, 256, 16))), PALETTE),
    "tiff-16-big-endian": TableFile(
        lambda: pillow(Image.frombytes("I;16B", (WIDTH, HEIGHT), deep(16).astype(">u2").tobytes()), "TIFF"), PIXELS
    ),
    "png-turned": TableFile(lambda: pillow(Image.fromarray(COLOUR), "PNG", exif=turned()), np.rot90(COLOUR, -1)),
    "tiff-turned": TableFile(lambda: pillow(Image.fromarray(COLOUR), "TIFF", exif=turned()), np.rot90(COLOUR, -1)),
    "tiff-16-turned": TableFile(lambda: pillow(Image.fromarray(deep(16)), "TIFF", exif=turned()), np.rot90(PIXELS, -1)),
    "webp-turned": TableFile(
        lambda: pillow(Image.fromarray(COLOUR), "WEBP", lossless=True, exif=turned()), np.rot90(COLOUR, -1)
    ),
    "tiff-pages": TableFile(lambda: frames("TIFF"), COLOUR, pages=3),
    "tiff-pages-16": TableFile(
        lambda: pillow(
            Image.fromarray(deep(16)), "TIFF", save_all=True, append_images=[Image.fromarray(deep(16)[::-1].copy())]
        ),
        PIXELS,
        pages=2,
    ),
    "png-frames": TableFile(lambda: frames("PNG"), COLOUR, pages=3),
    "png-frames-beside-a-picture": TableFile(lambda: frames("PNG", default_image=True), COLOUR, pages=3),
    "webp-frames": TableFile(lambda: frames("WEBP", lossless=True), COLOUR, pages=3),
    "jpeg-preview": TableFile(
        lambda: pillow(
            Image.fromarray(SMOOTH),
            "MPO",
            save_all=True,
            quality=95,
            append_images=[Image.fromarray(255 - SMOOTH)],
        ),
        SMOOTH,
        tolerance=12,
    ),
    "empty": TableFile(lambda: b"", refusal="is empty"),
    "text": TableFile(lambda: b"no image at all " * 9, refusal="is not a PNG"),
}
