"""Hot regions are those that SciPy finds, with the numbers that a loop over them would compute."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from numpy.typing import NDArray
from scipy import ndimage

from differnet.errors import ImageError, SettingsError
from differnet.localization.regions import Region, find_regions

Turn = Callable[[NDArray[np.float32]], NDArray[np.float32]]

# Few distinct values, so that equal peaks and whole runs of hot pixels are common.
heats = arrays(
    np.float32,
    array_shapes(min_dims=2, max_dims=2, max_side=24),
    elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0]),
)


def heat_map(height: int = 12, width: int = 20) -> NDArray[np.float32]:
    return np.zeros((height, width), np.float32)


def reference_regions(heat: NDArray[np.float32], level: float, min_area: int) -> list[Region]:
    labels, _ = ndimage.label(heat > level, structure=np.ones((3, 3)))
    found = []
    for label, (rows, columns) in enumerate(ndimage.find_objects(labels), start=1):
        values = np.where(labels == label, heat, -1.0)
        peak_y, peak_x = np.unravel_index(int(values.argmax()), heat.shape)
        area = int((labels == label).sum())
        if area >= min_area:
            found.append(
                Region(
                    x=columns.start,
                    y=rows.start,
                    width=columns.stop - columns.start,
                    height=rows.stop - rows.start,
                    area=area,
                    peak=float(values.max()),
                    mean=float(heat[labels == label].astype(np.float64).mean()),
                    peak_x=int(peak_x),
                    peak_y=int(peak_y),
                )
            )
    return sorted(found, key=lambda region: (-region.peak, -region.area, region.peak_y, region.peak_x))


@given(heat=heats, level=st.sampled_from([0.0, 0.3, 1.0, 2.5]), min_area=st.integers(1, 5))
def test_regions_are_those_that_scipy_finds(heat: NDArray[np.float32], level: float, min_area: int) -> None:
    assert find_regions(heat, level, min_area) == reference_regions(heat, level, min_area)


def test_many_regions_of_noise_are_those_that_scipy_finds() -> None:
    heat = np.random.default_rng(0).uniform(0, 1.2, (100, 120)).astype(np.float32)
    regions, expected = find_regions(heat), reference_regions(heat, 1.0, 1)
    assert len(regions) > 500
    assert [region.mean for region in regions] == pytest.approx([region.mean for region in expected])
    assert [(r.x, r.y, r.area, r.peak) for r in regions] == [(r.x, r.y, r.area, r.peak) for r in expected]


def test_a_map_that_is_not_hot_has_no_regions() -> None:
    assert find_regions(heat_map()) == []
    assert find_regions(np.ones((4, 5), np.float32)) == [], "1 is what good images reach"


def test_a_map_that_is_hot_everywhere_is_one_region() -> None:
    region = Region(x=0, y=0, width=20, height=12, area=240, peak=1.5, mean=1.5, peak_x=0, peak_y=0)
    assert find_regions(heat_map() + np.float32(1.5)) == [region]


def test_a_single_pixel_is_a_region() -> None:
    heat = heat_map()
    heat[11, 19] = 4.0
    region = Region(x=19, y=11, width=1, height=1, area=1, peak=4.0, mean=4.0, peak_x=19, peak_y=11)
    assert find_regions(heat) == [region]
    assert find_regions(heat, min_area=2) == []
    assert find_regions(heat, level=4.0) == []


def test_pixels_that_touch_at_a_corner_are_one_region_and_the_hottest_comes_first() -> None:
    heat = heat_map()
    heat[2, 2], heat[3, 3] = 2.0, 4.0
    heat[8, 10] = 5.0
    hottest, diagonal = find_regions(heat)
    assert (hottest.peak, hottest.peak_x, hottest.peak_y) == (5.0, 10, 8)
    assert (diagonal.x, diagonal.y, diagonal.width, diagonal.height, diagonal.area) == (2, 2, 2, 2, 2)
    assert (diagonal.peak, diagonal.mean, diagonal.peak_x, diagonal.peak_y) == (4.0, 3.0, 3, 3)


@pytest.mark.parametrize("turn", [np.transpose, np.flipud, lambda heat: heat[::2, ::3]])
def test_views_of_arrays_are_read_like_copies(turn: Turn) -> None:
    heat = turn(np.random.default_rng(0).uniform(0, 1.5, (30, 40)).astype(np.float32))
    assert find_regions(heat) == find_regions(heat.copy(order="C"))


def test_a_region_is_plain_numbers_for_json() -> None:
    heat = heat_map()
    heat[3, 4:6] = 1.5
    numbers = find_regions(heat)[0].to_dict()
    expected = {"x": 4, "y": 3, "width": 2, "height": 1, "area": 2, "peak": 1.5, "mean": 1.5, "peak_x": 4, "peak_y": 3}
    assert json.loads(json.dumps(numbers)) == expected


@pytest.mark.parametrize(
    ("heat", "message"),
    [
        (np.zeros((3, 4, 1), np.float32), "shape"),
        (np.zeros((0, 4), np.float32), "shape"),
        (np.zeros((3, 4), np.uint8), "float32"),
        (np.full((3, 4), -0.1, np.float32), "finite"),
        (np.full((3, 4), np.nan, np.float32), "finite"),
        (np.full((3, 4), np.inf, np.float32), "finite"),
    ],
)
def test_what_is_not_a_heat_map_is_refused(heat: NDArray[Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        find_regions(heat)


@pytest.mark.parametrize(
    "options", [{"level": -1.0}, {"level": float("nan")}, {"level": float("inf")}, {"min_area": 0}]
)
def test_a_level_or_area_out_of_range_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(SettingsError, match="must be"):
        find_regions(heat_map(), **options)
