"""Numbers of every kind become the same pixels; the scale of training images is found, other depths are told."""

from __future__ import annotations

import importlib
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from differnet.errors import ImageError
from differnet.images import DecodedImage, Depth, PixelScale, TrainingImages, TrainingLook, decode_image, load_image
from differnet.images.deep import natural_range, to_eight_bits, unlike
from tests.images.files import FILES, PIXELS, deep, png, tiff


@pytest.mark.parametrize("name", FILES)
def test_the_table_of_files(name: str) -> None:
    file = FILES[name]
    if file.expected is None:
        with pytest.raises(ImageError, match=re.escape(file.refusal)):
            load_image(file.content())
        return
    expected = file.expected if file.expected.ndim == 3 else np.repeat(file.expected[:, :, None], 3, axis=2)
    decoded = decode_image(file.content(), scale=file.scale)
    read = decoded.pixels
    assert decoded.pages == file.pages
    assert read.dtype == np.uint8
    assert np.abs(read.astype(int) - expected).max() <= file.tolerance


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 200, (0, 255)),
        (0, 256, (0, 1023)),
        (3, 504, (0, 1023)),
        (0, 2016, (0, 4095)),
        (0, 4096, (0, 16383)),
        (0, 65535, (0, 65535)),
        (-87, 146, (-512, 511)),
        (-5, 100, (-128, 127)),
        (-30000, 9, (-32768, 32767)),
    ],
)
def test_integers_have_the_bits_of_a_camera(low: int, high: int, expected: tuple[float, float]) -> None:
    assert natural_range(Depth("integer", low, high)) == expected


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.0, 0.49, (0, 1)),
        (0.0, 1.0, (0, 1)),
        (-0.01, 1.02, (0, 1)),
        (-0.9, 1.0, (-1, 1)),
        (0.0, 255.0, (0, 255)),
        (0.0, 257.0, (0, 255)),
        (0.0, 4000.0, (0, 4095)),
        (0.0, 7.5, (0, 7.5)),
        (-3.0, 5.0, (-3, 5)),
        (0.0, 1e6, (0, 1e6)),
    ],
)
def test_floating_point_values_have_a_usual_scale_or_their_own_range(
    low: float, high: float, expected: tuple[float, float]
) -> None:
    assert natural_range(Depth("floating", low, high)) == expected


def test_of_integers_the_eight_highest_bits_are_kept() -> None:
    for bits in (10, 12, 14, 16):
        np.testing.assert_array_equal(to_eight_bits(deep(bits), (0.0, 2.0**bits - 1)), PIXELS)


@pytest.mark.parametrize("make", [lambda values: values, png, tiff])
@pytest.mark.parametrize(("bits", "white"), [(10, 1023), (12, 4095), (14, 16383), (16, 65535)])
def test_the_scale_is_that_of_all_training_images(make: Any, bits: int, white: int) -> None:  # noqa: ANN401
    dark = deep(bits) // 16
    look = TrainingLook([make(dark), make(deep(bits)), b"no image", make(dark)])
    assert look.scale() == PixelScale(False, (0.0, float(white)))
    np.testing.assert_array_equal(load_image(make(deep(bits)), scale=look.scale)[:, :, 0], PIXELS)


def test_a_look_takes_note_of_sizes_and_depths(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(deep(12)))
    look = TrainingLook([tmp_path / "a.png", PIXELS])
    assert look.result() is None
    for source in (tmp_path / "a.png", PIXELS, PIXELS[:20]):
        decoded = decode_image(source, scale=look.scale)
        look.note(decoded.pixels.shape[1], decoded.pixels.shape[0], decoded.depth)
    scale = PixelScale(True, (0.0, 4095.0))
    assert look.result() == TrainingImages(scale, (36, 36), (20, 24), (1.5, 1.8))


EIGHT, TWELVE = Depth(), Depth("integer", 0, 4000)


@pytest.mark.parametrize(
    ("depth", "scale", "said"),
    [
        (EIGHT, PixelScale(), None),
        (EIGHT, PixelScale(False, (0.0, 4095.0)), "8 bits a value, training images more than 8 bits"),
        (EIGHT, PixelScale(True, (0.0, 4095.0)), None),
        (TWELVE, PixelScale(), "more than 8 bits a value, training images 8 bits"),
        (TWELVE, PixelScale(False, (0.0, 4095.0)), None),
        (Depth("integer", 0, 60000), PixelScale(False, (0.0, 4095.0)), "values from 0 to 60000"),
        (Depth("integer", 0, 255), PixelScale(False, (0.0, 4095.0)), "up to 255 only, where white is 4095"),
        (TWELVE, PixelScale(False, (0.0, 65535.0)), "up to 4000 only, where white is 65535"),
        (Depth("floating", 0, 1.02), PixelScale(False, None, (0.0, 1.0)), None),
        (Depth("floating", 0, 255), PixelScale(False, None, (0.0, 1.0)), "values from 0 to 255"),
    ],
)
def test_another_depth_is_told(depth: Depth, scale: PixelScale, said: str | None) -> None:
    found = unlike(depth, scale)
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize(
    ("width", "height", "said"),
    [
        (300, 300, None),
        (310, 290, None),
        (330, 330, None),
        (6000, 4000, "another aspect and size: 6000 x 4000 pixels, training images 290-310 x 300"),
        (600, 600, "another size"),
        (150, 150, "another size"),
        (400, 225, "another aspect"),
        (225, 400, "another aspect"),
    ],
)
def test_another_size_or_aspect_is_told(width: int, height: int, said: str | None) -> None:
    images = TrainingImages(PixelScale(), (290, 310), (300, 300), (290 / 300, 310 / 300))
    found = images.unlike(width, height, Depth())
    assert found is None if said is None else said in str(found)


@pytest.mark.parametrize("module", ["differnet.images", "differnet_runtime"])
def test_what_no_images_are_like_is_refused(module: str) -> None:
    images = importlib.import_module(f"{module}.likeness").TrainingImages
    scale = importlib.import_module(f"{module}.deep").PixelScale
    for widths, heights, aspects in (
        ((96, 96), (96, -1), (1.0, 1.0)),
        ((0, 96), (96, 96), (1.0, 1.0)),
        ((96, 90), (96, 96), (1.0, 1.0)),
        ((96, 10**400), (96, 96), (1.0, 1.0)),
        ((96, 96), (96, 96), (float("nan"), 1.0)),
    ):
        with pytest.raises(ValueError, match="sizes"):
            images(scale(), widths, heights, aspects)
    for low, high in ((1.0, 0.0), (0.0, float("inf")), (float("nan"), 1.0)):
        with pytest.raises(ValueError, match="range"):
            scale(True, None, (low, high))


@pytest.mark.parametrize("dtype", [np.int8, np.int16])
def test_arrays_with_a_sign_are_read(dtype: Any) -> None:  # noqa: ANN401
    values: NDArray[Any] = (PIXELS.astype(np.int16) - 128).astype(dtype)
    values = values if dtype == np.int8 else values * 256
    np.testing.assert_array_equal(load_image(values)[:, :, 0], PIXELS)


def test_an_image_that_was_read_is_an_image() -> None:
    read = decode_image(png(deep(12)), scale=PixelScale(False, (0.0, 4095.0)))
    assert isinstance(read, DecodedImage)
    assert read.depth == Depth("integer", float(deep(12).min()), float(deep(12).max()))
    assert load_image(read) is read.pixels
