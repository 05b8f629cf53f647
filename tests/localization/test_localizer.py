"""Heat maps: hottest at the defect, in the image's own size, on one scale, blind outside the region of interest."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from differnet.errors import NotFittedError
from differnet.extractors import build_extractor, find_weights
from differnet.features import FeatureExtraction
from differnet.flow import NormalizingFlow
from differnet.images import RegionOfInterest
from differnet.localization.localizer import Localizer, display_scale
from differnet.localization.neighbours.cells import CellProjection
from differnet.localization.neighbours.nearest_cells import NearestCells, NearestCellsCollector
from differnet.settings import LocalizationSettings
from differnet.views import View, resize
from tests.conftest import plate

# The default size: of small images there are too few cells to tell places apart.
SIZE, DIMENSIONS = 448, 64
SETTINGS = LocalizationSettings(method="neighbours", dimensions=DIMENSIONS)
# x, y, width, height
BOX = (16, 32, 64, 48)


@pytest.fixture(scope="module")
def extraction() -> FeatureExtraction:
    return FeatureExtraction(build_extractor("alexnet", find_weights("alexnet")), size=SIZE, scales=1)


@pytest.fixture(scope="module")
def local(extraction: FeatureExtraction) -> NearestCells:
    describer = CellProjection(extraction.extractor, DIMENSIONS)
    collector = NearestCellsCollector(12, 500, seed=0)
    for place in range(12):
        collector.add(place, extraction.describe(part(place), describer))
    return collector.fit()


@pytest.fixture(scope="module")
def flow(extraction: FeatureExtraction) -> NormalizingFlow:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NormalizingFlow(extraction.features, blocks=2, hidden=16).eval()


@pytest.fixture(scope="module")
def localizer(extraction: FeatureExtraction, local: NearestCells, flow: NormalizingFlow) -> Localizer:
    return Localizer(extraction, (View(), View(degrees=90.0)), SETTINGS, flow=flow, local=local)


@pytest.fixture(scope="module")
def within_box(extraction: FeatureExtraction, local: NearestCells) -> Localizer:
    return Localizer(extraction, (View(),), SETTINGS, local=local, region=RegionOfInterest.from_box(BOX, (96, 96)))


def part(seed: int) -> NDArray[np.uint8]:
    """A good part as the extractor sees it."""
    return resize(plate(np.random.default_rng(seed)), SIZE)


def spoilt(x: int, y: int, seed: int = 100) -> NDArray[np.uint8]:
    """A part with a dark blot."""
    image = part(seed).copy()
    rows, columns = np.mgrid[:SIZE, :SIZE]
    image[(rows - y) ** 2 + (columns - x) ** 2 < 40**2] = 5
    return image


def rank(values: NDArray[np.float32]) -> NDArray[np.intp]:
    return np.argsort(values.ravel(), kind="stable")


@pytest.mark.parametrize(("x", "y"), [(100, 100), (300, 100), (100, 340), (370, 370), (224, 224)])
def test_the_hottest_place_lies_on_the_defect(localizer: Localizer, x: int, y: int) -> None:
    raw = localizer.raw_map(spoilt(x, y), "neighbours")
    assert raw.shape == (SIZE // 4, SIZE // 4)
    assert raw.dtype == np.float32
    row, column = np.unravel_index(int(raw.argmax()), raw.shape)
    # In pixels, to within the radius of the blot.
    assert np.hypot(4 * column + 2 - x, 4 * row + 2 - y) < 40


def test_a_defect_is_hotter_than_good_parts_get(localizer: Localizer) -> None:
    good = [localizer.peak(localizer.raw_map(part(seed), "neighbours")) for seed in range(50, 62)]
    assert localizer.peak(localizer.raw_map(spoilt(200, 240), "neighbours")) > 1.5 * max(good)


@pytest.mark.parametrize("method", ["neighbours", "gradient"])
def test_heat_ranks_pixels_as_the_raw_map_and_is_1_at_the_scale(localizer: Localizer, method: str) -> None:
    raw = localizer.raw_map(spoilt(200, 240), method)
    height, width = raw.shape
    scale = float(np.sort(raw.ravel())[-20])
    heat = localizer.heat(raw, method, scale, width, height)
    assert heat.dtype == np.float32
    assert (heat > 0).all()
    assert heat.ravel()[rank(raw)].tolist() == sorted(heat.ravel().tolist())
    assert heat[raw == np.float32(scale)] == pytest.approx(1.0, rel=1e-5)
    assert ((heat > 1.0 + 1e-5) == (raw > scale * (1 + 1e-4))).mean() > 0.999


def test_heat_stays_positive_and_ranked_far_below_what_is_usual(localizer: Localizer) -> None:
    raw = np.linspace(-30.0, 50.0, 64, dtype=np.float32).reshape(8, 8)
    for scale in (-5.0, 3.0, 40.0):
        heat = localizer.heat(raw, "neighbours", scale, 8, 8)
        assert (np.diff(heat.ravel()) > 0).all()
        assert (heat > 0).all()
        assert np.isfinite(heat).all()


@pytest.mark.parametrize("size", [(96, 96), (300, 40), (33, 200)])
def test_heat_has_the_images_own_size(localizer: Localizer, size: tuple[int, int]) -> None:
    raw = localizer.raw_map(part(0), "neighbours")
    assert localizer.heat(raw, "neighbours", 1.0, *size).shape == size[::-1]


def test_without_what_a_method_needs_it_says_so(extraction: FeatureExtraction) -> None:
    bare = Localizer(extraction, (View(),), SETTINGS)
    with pytest.raises(NotFittedError, match=r"localization\.method=neighbours"):
        bare.raw_map(part(0), "neighbours")
    with pytest.raises(NotFittedError, match="fit"):
        bare.raw_map(part(0), "gradient")


def test_gradient_maps_are_made_in_float32_whatever_the_extractor_computes_in(flow: NormalizingFlow) -> None:
    maps = []
    for dtype in (torch.float32, torch.bfloat16):
        network = build_extractor("alexnet", find_weights("alexnet"))
        extraction = FeatureExtraction(network, size=SIZE, scales=1, dtype=dtype)
        localizer = Localizer(extraction, (View(),), SETTINGS, flow=flow)
        maps.append(localizer.raw_map(spoilt(200, 240), "gradient"))
        assert next(network.parameters()).dtype == dtype
        assert np.array_equal(maps[-1], localizer.raw_map(spoilt(200, 240), "gradient"))
    assert maps[0].shape == (SIZE, SIZE)
    # The weights were rounded, no more.
    assert np.corrcoef(maps[0].ravel(), maps[1].ravel())[0, 1] > 0.9


def test_heat_is_zero_outside_the_region_of_interest_and_positive_inside(within_box: Localizer) -> None:
    raw = within_box.raw_map(part(0), "neighbours")
    heat = within_box.heat(raw, "neighbours", 1.0, 96, 96)
    x, y, width, height = BOX
    inside = np.zeros((96, 96), bool)
    inside[y : y + height, x : x + width] = True
    assert (heat[inside] > 0).all()
    assert (heat[~inside] == 0).all()


def test_the_peak_only_looks_inside_the_mask(extraction: FeatureExtraction, local: NearestCells) -> None:
    mask = np.zeros((96, 96), np.uint8)
    cv2.circle(mask, (48, 40), 30, 255, -1)
    region = RegionOfInterest.from_mask(mask)
    masked = Localizer(extraction, (View(),), SETTINGS, local=local, region=region)
    raw = np.full((112, 112), 2.0, np.float32)
    raw[56, 56] = 3.0
    raw[0, 0] = raw[-1, -1] = 9.0  # corners of the box, which the circle does not reach
    assert masked.peak(raw) == 3.0
    heat = masked.heat(raw, "neighbours", masked.peak(raw), 96, 96)
    assert (heat[mask == 0] == 0).all()
    assert heat.max() < 1.2


def test_the_smallest_region_is_a_cell_of_the_image_or_of_the_box(localizer: Localizer, within_box: Localizer) -> None:
    assert localizer.smallest_region("neighbours", SIZE, SIZE) == 256
    assert localizer.smallest_region("neighbours", 2 * SIZE, SIZE) == 512
    assert localizer.smallest_region("gradient", SIZE, SIZE) == 49
    assert localizer.smallest_region("gradient", 16, 16) == 1
    whole, of_box = (of.smallest_region("neighbours", 960, 960) for of in (localizer, within_box))
    assert (whole, of_box) == (round(960**2 / 28**2), round(64 * 48 / 28**2))


def test_at_most_the_stated_share_of_good_images_is_hotter_than_the_display_scale() -> None:
    peaks = np.arange(100, dtype=np.float64)
    assert [int((peaks > display_scale(peaks, rate)).sum()) for rate in (0.01, 0.05, 0.2)] == [0, 4, 19]


@pytest.mark.parametrize("count", [1, 5, 18])
def test_the_display_scale_is_the_largest_peak_where_images_are_too_few_for_the_rate(count: int) -> None:
    peaks = np.random.default_rng(0).normal(size=count)
    assert display_scale(peaks, 0.05) == peaks.max()
