"""Overlays colour what is hot and nothing else, at every size of image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import ImageError, OutputError
from differnet.images import read_image
from differnet.localization.overlay import DISPLAY_TOP, blend_heat, draw_overlay, heat_layer, save_overlay
from differnet.localization.regions import find_regions

MARGIN = 16
CAPTION_HEIGHT = 36


def photograph(height: int, width: int) -> NDArray[np.uint8]:
    """Smooth colours, as a picture that was resized twice would keep them."""
    rows, columns = np.mgrid[:height, :width]
    return np.stack((40 + 150 * rows / height, 60 + 120 * columns / width, rows * 0 + 90), axis=2).astype(np.uint8)


def heat_map(height: int, width: int, value: float = 0.0) -> NDArray[np.float32]:
    return np.full((height, width), value, np.float32)


def pictures(overlay: NDArray[np.uint8], height: int, width: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """The two pictures of an overlay without a caption, of the size at which they are shown."""
    right = 2 * MARGIN + width
    rows = slice(MARGIN, MARGIN + height)
    return overlay[rows, MARGIN : MARGIN + width], overlay[rows, right : right + width]


def luma(colours: NDArray[np.uint8]) -> NDArray[np.float64]:
    return colours @ np.array([0.299, 0.587, 0.114])


def test_nothing_is_laid_over_where_it_is_cool() -> None:
    image = photograph(40, 60)
    np.testing.assert_array_equal(blend_heat(image, heat_map(40, 60, 0.2)), image)


def test_only_the_hot_area_changes_colour() -> None:
    image, heat = photograph(40, 60), heat_map(40, 60)
    heat[10:20, 30:50] = 1.5
    changed = np.abs(blend_heat(image, heat).astype(int) - image).max(axis=2) > 20
    np.testing.assert_array_equal(changed, heat > 0)


@pytest.mark.parametrize("grey", [0, 255])
def test_the_hotter_the_stronger_up_to_the_top_of_the_scale(grey: int) -> None:
    image = np.full((1, 300, 3), grey, np.uint8)
    heat = np.linspace(0.0, 1.5, 300, dtype=np.float32)[None]
    blended = blend_heat(image, heat)
    distance = np.linalg.norm(blended.astype(float) - image, axis=2)[0]
    if grey == 0:
        assert np.all(np.diff(luma(blended)[0]) >= -1.0), "on black, heat is lightness"
    assert distance[-1] > distance[200] > distance[100] > distance[0]
    hot = [blend_heat(image, np.full_like(heat, value)) for value in (DISPLAY_TOP, 7.0, 1e30)]
    np.testing.assert_array_equal(hot[0], hot[1])
    np.testing.assert_array_equal(hot[0], hot[2])


@pytest.mark.parametrize(
    ("size", "shown"),
    [
        ((600, 480), (600, 480)),
        ((1000, 1000), (1000, 1000)),
        ((100, 200), (300, 600)),
        ((479, 479), (958, 958)),
        ((1500, 3000), (500, 1000)),
        ((3000, 1500), (1000, 500)),
    ],
)
def test_small_images_are_enlarged_and_large_ones_reduced(size: tuple[int, int], shown: tuple[int, int]) -> None:
    image = photograph(*size)
    overlay = draw_overlay(image, heat_map(*size), [])
    assert overlay.dtype == np.uint8
    assert overlay.shape[0] == shown[0] + 2 * MARGIN
    plain, heated = pictures(overlay, *shown)
    expected = np.asarray(Image.fromarray(image).resize(shown[::-1], Image.Resampling.BILINEAR))
    assert np.abs(plain.astype(int) - expected).max() <= 4
    np.testing.assert_array_equal(heated, plain)


@pytest.mark.parametrize(
    ("size", "shown"), [((500, 700), (500, 700)), ((60, 120), (240, 480)), ((2000, 1800), (1000, 900))]
)
def test_the_right_hand_picture_shows_the_heat_where_it_is(size: tuple[int, int], shown: tuple[int, int]) -> None:
    height, width = size
    heat = heat_map(height, width)
    hot = (slice(height // 4, height // 2), slice(width // 2, width * 3 // 4))
    heat[hot] = 1.8
    overlay = draw_overlay(photograph(height, width), heat, [])
    plain, heated = pictures(overlay, *shown)
    changed = np.abs(heated.astype(int) - plain).max(axis=2) > 20
    rows, columns = np.flatnonzero(changed.any(axis=1)), np.flatnonzero(changed.any(axis=0))
    found = [rows[0] / shown[0], rows[-1] / shown[0], columns[0] / shown[1], columns[-1] / shown[1]]
    assert found == pytest.approx([0.25, 0.5, 0.5, 0.75], abs=0.01)


def test_the_pictures_of_a_strip_stand_below_one_another() -> None:
    heat = heat_map(100, 800)
    heat[:, 600:700] = 1.8
    overlay = draw_overlay(photograph(100, 800), heat, [])
    above, below = (
        overlay[top : top + 100, MARGIN : MARGIN + 800]
        for top in (overlay.shape[0] // 2 - 100 - MARGIN // 2, overlay.shape[0] // 2 + MARGIN // 2)
    )
    changed = (np.abs(above.astype(int) - below).max(axis=2) > 20).any(axis=0)
    assert changed[605:695].all()
    assert not changed[:590].any()
    assert not changed[710:].any()


def test_regions_are_outlined_around_the_hot_pixels_which_stay_free() -> None:
    image, heat = photograph(500, 500), heat_map(500, 500)
    heat[100:150, 200:280] = 1.8
    regions = find_regions(heat)
    without = pictures(draw_overlay(image, heat, []), 500, 500)[1]
    plain, boxed = pictures(draw_overlay(image, heat, regions), 500, 500)
    np.testing.assert_array_equal(plain, image)
    np.testing.assert_array_equal(boxed[100:150, 200:280], without[100:150, 200:280])
    changed = (boxed != without).any(axis=2)
    assert changed[94:156, 194:286].sum() == changed.sum() > 0
    assert (boxed[94:156, 194:286] == 255).all(axis=2).sum() > 2 * (50 + 80)


def test_a_region_of_the_whole_image_is_outlined_within_the_picture() -> None:
    image, heat = photograph(500, 500), heat_map(500, 500, 1.8)
    with_box, without = (draw_overlay(image, heat, regions) for regions in (find_regions(heat), []))
    changed = (with_box != without).any(axis=2)
    assert changed.any()
    assert changed[:, : 2 * MARGIN + 500].sum() == changed[:, 2 * MARGIN + 1000 :].sum() == 0


@pytest.mark.parametrize("size", [(16, 16), (16, 4000), (4000, 16), (1, 1), (1, 5000), (60, 200)])
def test_every_size_and_shape_is_drawn(size: tuple[int, int]) -> None:
    heat = heat_map(*size, 1.5)
    overlay = draw_overlay(photograph(*size), heat, find_regions(heat), caption="a caption")
    assert overlay.shape[0] >= 160, "the scale keeps its height"
    assert overlay.shape[1] >= 480
    assert max(overlay.shape) < 2300


@pytest.mark.parametrize(
    "caption", ["part 7: score 3.2", "Größe \u4e2d \udcff", "two\nlines", "long " * 2000, "|" * 5000]
)
def test_a_caption_is_one_line_above_the_pictures(caption: str) -> None:
    image, heat = photograph(200, 500), heat_map(200, 500)
    without, captioned = draw_overlay(image, heat, []), draw_overlay(image, heat, [], caption=caption)
    assert captioned.shape == (without.shape[0] + CAPTION_HEIGHT, *without.shape[1:])
    np.testing.assert_array_equal(captioned[MARGIN + CAPTION_HEIGHT :], without[MARGIN:])
    line = captioned[MARGIN : MARGIN + CAPTION_HEIGHT]
    written = np.flatnonzero((line != line[-1, -1]).any(axis=(0, 2)))
    assert written.size > 0
    assert MARGIN <= written[0] <= written[-1] < captioned.shape[1] - MARGIN


@pytest.mark.parametrize("height", [20, 500, 2000])
def test_the_labels_of_the_scale_fit(height: int) -> None:
    overlay = draw_overlay(photograph(height, 500), heat_map(height, 500), [])
    margins = np.concatenate((overlay[:, -MARGIN:].ravel(), overlay[:MARGIN].ravel(), overlay[-MARGIN:].ravel()))
    assert np.unique(margins).size == 1


def test_what_is_given_stays_as_it_is() -> None:
    image, heat = photograph(500, 500), heat_map(500, 500, 1.8)
    draw_overlay(image, heat, find_regions(heat))
    np.testing.assert_array_equal(image, photograph(500, 500))
    np.testing.assert_array_equal(heat, heat_map(500, 500, 1.8))


def test_a_saved_overlay_is_a_png_of_what_is_drawn(tmp_path: Path) -> None:
    image, heat = photograph(60, 200), heat_map(60, 200, 1.2)
    save_overlay(tmp_path / "overlay.jpg", image, heat, find_regions(heat), caption="part 7")
    with Image.open(tmp_path / "overlay.jpg") as opened:
        assert opened.format == "PNG"
    drawn = draw_overlay(image, heat, find_regions(heat), caption="part 7")
    np.testing.assert_array_equal(read_image(tmp_path / "overlay.jpg"), drawn)


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing" / "overlay.png"):
        with pytest.raises(OutputError, match="cannot be written") as caught:
            save_overlay(path, photograph(60, 200), heat_map(60, 200), [])
        assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("image", "heat", "message"),
    [
        (photograph(20, 30)[:, :, 0], heat_map(20, 30), "uint8 RGB"),
        (photograph(20, 30) / 255.0, heat_map(20, 30), "uint8 RGB"),
        (photograph(20, 30), heat_map(30, 20), "20 x 30 pixels, the image 30 x 20"),
        (photograph(20, 30), heat_map(20, 30, -1.0), "finite"),
        (photograph(20, 30), np.zeros((20, 30), np.uint8), "float32"),
    ],
)
def test_what_does_not_fit_together_is_refused(image: NDArray[Any], heat: NDArray[Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        draw_overlay(image, heat, [])
    with pytest.raises(ImageError, match=message):
        blend_heat(image, heat)


def test_heat_layer_laid_over_an_image_shows_what_blend_heat_does() -> None:
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (40, 60, 3), dtype=np.uint8)
    heat = rng.uniform(0.0, 2.5, (40, 60)).astype(np.float32)
    heat[:10] = 0.1
    layer = heat_layer(heat)
    assert layer.shape == (40, 60, 4)
    assert not layer[:10].any()
    laid = Image.alpha_composite(Image.fromarray(image).convert("RGBA"), Image.fromarray(layer))
    difference = np.abs(np.asarray(laid)[:, :, :3].astype(int) - blend_heat(image, heat).astype(int))
    assert difference.max() <= 2
