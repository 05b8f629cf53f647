"""What is cut out comes back to its place, and boxes and masks that make no sense are refused with a reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from differnet.errors import ImageError, SettingsError
from differnet.images.read import MIN_SIDE
from differnet.images.region_of_interest import NEUTRAL_RGB, RegionOfInterest, parse_box

WIDTH, HEIGHT = 60, 40
IMAGE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)


def round_mask() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return (rows - 20) ** 2 + (columns - 30) ** 2 <= 12**2


@st.composite
def regions(draw: st.DrawFn) -> RegionOfInterest:
    """Two boxes and a little noise: masks with holes and with parts that are apart."""
    height, width = draw(st.integers(MIN_SIDE, 50)), draw(st.integers(MIN_SIDE, 50))
    mask = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).random((height, width)) < draw(
        st.sampled_from([0.0, 0.01, 0.5])
    )
    for _ in range(2):
        x, y = draw(st.integers(0, width - MIN_SIDE)), draw(st.integers(0, height - MIN_SIDE))
        mask[y : y + draw(st.integers(MIN_SIDE, 50)), x : x + draw(st.integers(MIN_SIDE, 50))] = True
    return RegionOfInterest(mask)


@given(region=regions())
def test_what_is_cut_out_comes_back_to_its_place(region: RegionOfInterest) -> None:
    width, height = region.size
    numbers = np.arange(1, height * width + 1, dtype=np.float32).reshape(height, width)
    x, y, box_width, box_height = region.box
    placed = region.place(numbers[y : y + box_height, x : x + box_width])
    assert placed.dtype == np.float32
    np.testing.assert_array_equal(placed, np.where(region.mask, numbers, 0))


@given(region=regions(), value=st.integers(0, 255))
def test_a_crop_shows_the_image_inside_and_the_neutral_colour_outside(region: RegionOfInterest, value: int) -> None:
    image = np.full((*region.mask.shape, 3), value, np.uint8)
    crop = region.crop(image)
    inside = region.place(np.ones(crop.shape[:2], np.float32)) == 1
    np.testing.assert_array_equal(inside, region.mask)
    x, y, width, height = region.box
    assert crop.shape == (height, width, 3)
    expected = np.where(inside[:, :, None], image, np.array(NEUTRAL_RGB, np.uint8))
    np.testing.assert_array_equal(crop, expected[y : y + height, x : x + width])


def test_a_box_is_cut_out_as_it_is() -> None:
    region = RegionOfInterest.from_box((7, 5, 30, 20), (WIDTH, HEIGHT))
    assert region.box == (7, 5, 30, 20)
    assert region.size == (WIDTH, HEIGHT)
    assert region.mask.sum() == 600
    np.testing.assert_array_equal(region.crop(IMAGE), IMAGE[5:25, 7:37])


def test_a_box_may_be_the_whole_image() -> None:
    region = RegionOfInterest.from_box((0, 0, WIDTH, HEIGHT), (WIDTH, HEIGHT))
    np.testing.assert_array_equal(region.crop(IMAGE), IMAGE)


def test_the_image_is_not_changed() -> None:
    image = IMAGE.copy()
    RegionOfInterest(round_mask()).crop(image)[:] = 0
    np.testing.assert_array_equal(image, IMAGE)


def test_the_mask_is_a_copy_that_cannot_be_changed() -> None:
    mask = round_mask()
    region = RegionOfInterest(mask)
    mask[:] = False
    assert region.mask.sum() == round_mask().sum()
    with pytest.raises(ValueError, match="read-only"):
        region.mask[:] = False


def test_the_bounding_box_of_a_mask_is_cut_out() -> None:
    region = RegionOfInterest.from_mask(round_mask())
    assert region.box == (18, 8, 25, 25)
    crop = region.crop(IMAGE)
    assert tuple(crop[0, 0]) == NEUTRAL_RGB
    np.testing.assert_array_equal(crop[12], IMAGE[20, 18:43])


def test_grey_masks_are_inside_where_they_are_above_the_middle() -> None:
    grey = np.where(round_mask(), 128, 127).astype(np.uint8)
    np.testing.assert_array_equal(RegionOfInterest.from_mask(grey).mask, round_mask())


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGB", "RGBA"])
def test_mask_files_are_white_inside(tmp_path: Path, mode: str) -> None:
    Image.fromarray(round_mask()).convert(mode).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(RegionOfInterest.from_file(tmp_path / "mask.png").mask, round_mask())


def test_colours_of_a_mask_file_are_not_white(tmp_path: Path) -> None:
    colours = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    colours[:, :, 0] = 255
    colours[round_mask()] = 255
    Image.fromarray(colours).save(tmp_path / "mask.png")
    np.testing.assert_array_equal(RegionOfInterest.from_file(str(tmp_path / "mask.png")).mask, round_mask())


def test_heat_outside_the_mask_is_dropped_whatever_it_is() -> None:
    region = RegionOfInterest(round_mask())
    heat = np.full((25, 25), 2.0, np.float32)
    heat[0, 0] = np.nan
    np.testing.assert_array_equal(region.place(heat), np.where(round_mask(), 2.0, 0.0))


@pytest.mark.parametrize("text", ["120,80,640,480", " 120, 80 ,640,480 "])
def test_boxes_are_read(text: str) -> None:
    assert parse_box(text) == (120, 80, 640, 480)


@pytest.mark.parametrize(
    "text", ["", "1,2,3", "1,2,30,40,5", "1,2,30.5,40", "a,b,c,d", "1;2;30;40", "1,2,30,", "9" * 9999]
)
def test_text_that_is_not_a_box_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="x,y,width,height"):
        parse_box(text)


@pytest.mark.parametrize(
    ("box", "message"),
    [
        ((-1, 0, 20, 20), "begins outside"),
        ((0, -1, 20, 20), "begins outside"),
        ((0, 0, 0, 20), "at least 16"),
        ((0, 0, 20, -20), "at least 16"),
        ((0, 0, MIN_SIDE - 1, 20), "at least 16"),
    ],
)
def test_boxes_that_fit_no_image_are_refused_at_once(box: tuple[int, int, int, int], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        RegionOfInterest.from_box(box, (WIDTH, HEIGHT))
    with pytest.raises(SettingsError, match=message):
        parse_box(",".join(str(number) for number in box))


@pytest.mark.parametrize("box", [(41, 0, 20, 20), (0, 21, 20, 20), (100, 100, 20, 20), (0, 0, HEIGHT, WIDTH)])
def test_boxes_outside_the_image_are_refused(box: tuple[int, int, int, int]) -> None:
    with pytest.raises(SettingsError, match=r"outside the images of 60 x 40 pixels; make it smaller"):
        RegionOfInterest.from_box(box, (WIDTH, HEIGHT))


@pytest.mark.parametrize(
    ("mask", "message"),
    [
        (np.zeros((HEIGHT, WIDTH), np.bool_), "no pixel inside"),
        (np.zeros((HEIGHT, WIDTH), np.uint8), "no pixel inside"),
        (np.zeros((0, 0), np.uint8), "no pixel inside"),
        (round_mask().astype(np.uint8), "no pixel above 127, the highest is 1"),
        (np.eye(MIN_SIDE - 1, dtype=np.bool_), "spans 15 x 15 pixels"),
        (round_mask().astype(np.float32), "must be bool"),
        (round_mask()[:, :, None], "must be bool"),
        (round_mask()[0], "must be bool"),
    ],
)
def test_masks_that_hold_no_region_are_refused(mask: NDArray[Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        RegionOfInterest.from_mask(mask)


def test_mask_files_that_hold_no_region_are_named(tmp_path: Path) -> None:
    Image.new("L", (WIDTH, HEIGHT)).save(tmp_path / "mask.png")
    for name, message in (("mask.png", "no pixel inside"), ("missing.png", "no such file")):
        with pytest.raises(ImageError, match=message) as caught:
            RegionOfInterest.from_file(tmp_path / name)
        assert str(tmp_path / name) in str(caught.value)


def test_images_of_another_size_are_refused_with_both_sizes() -> None:
    region = RegionOfInterest(round_mask())
    with pytest.raises(ImageError, match=r"has 40 x 60 pixels, the region of interest was made for 60 x 40; give"):
        region.crop(IMAGE.swapaxes(0, 1))


@pytest.mark.parametrize("image", [IMAGE[:, :, 0], IMAGE / 255.0, np.dstack((IMAGE, IMAGE[:, :, :1]))])
def test_images_of_another_kind_are_refused(image: NDArray[Any]) -> None:
    with pytest.raises(ImageError, match="uint8 RGB"):
        RegionOfInterest(round_mask()).crop(image)


def test_heat_of_another_size_is_refused() -> None:
    with pytest.raises(ImageError, match=r"\(40, 60\), the region of interest \(25, 25\)"):
        RegionOfInterest(round_mask()).place(np.zeros((HEIGHT, WIDTH), np.float32))
