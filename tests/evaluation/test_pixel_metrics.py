"""Pixel AUROC against scikit-learn; AUPRO against brute force, cases done by hand, and MVTec's figures."""

from __future__ import annotations

import itertools
import re
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.ndimage import label
from sklearn.metrics import roc_auc_score

from differnet.errors import DatasetError, SettingsError
from differnet.evaluation import pixel_metrics
from differnet.evaluation.pixel_metrics import PixelMetrics, PixelResult

Pair: TypeAlias = tuple[NDArray[np.float32], NDArray[np.bool_]]


def measured(pairs: list[Pair], limit: float = 0.3) -> PixelResult:
    metrics = PixelMetrics(limit)
    for heat, mask in pairs:
        metrics.add(heat, mask)
    return metrics.compute()


def auroc_of_scikit_learn(pairs: list[Pair]) -> float:
    heats, masks = (np.concatenate([array.ravel() for array in arrays]) for arrays in zip(*pairs, strict=True))
    return float(roc_auc_score(masks, heats))


def aupro_by_brute_force(pairs: list[Pair], limit: float) -> float:
    """Every distinct value is a threshold; straight lines join the points, the last one is cut at the limit."""
    regions, good = [], []
    for heat, mask in pairs:
        labels, count = label(mask, structure=np.ones((3, 3)))
        regions += [heat[labels == k + 1] for k in range(count)]
        good.append(heat[~mask])
    all_good = np.concatenate(good)
    thresholds = np.unique(np.concatenate([heat.ravel() for heat, _ in pairs]))[::-1]
    rates = [0.0] + [float((all_good >= threshold).mean()) for threshold in thresholds]
    overlaps = [0.0] + [float(np.mean([(region >= t).mean() for region in regions])) for t in thresholds]
    area = 0.0
    for (x0, y0), (x1, y1) in itertools.pairwise(zip(rates, overlaps, strict=True)):
        if x0 < limit and x1 > x0:
            end = min(x1, limit)
            at_end = y0 + (y1 - y0) * (end - x0) / (x1 - x0)
            area += (end - x0) * (y0 + at_end) / 2
    return area / limit


def random_pairs(seed: int, levels: int | None = None, shape: tuple[int, int] | None = None) -> list[Pair]:
    """Noise with bright patches that only partly match the masks; ``levels`` rounds the values, for ties."""
    rng = np.random.RandomState(seed)  # its numbers never change, which the figures below rely on
    pairs = []
    for i in range(5):
        height, width = shape or (int(rng.randint(8, 40)), int(rng.randint(8, 40)))
        heat, mask = rng.rand(height, width), np.zeros((height, width), bool)
        for _ in range(i):  # the first image is good
            y, x = int(rng.randint(0, height - 4)), int(rng.randint(0, width - 4))
            mask[y : y + int(rng.randint(1, 5)), x : x + int(rng.randint(1, 5))] = True
            heat[y : y + 3, x : x + 3] += rng.rand()
        pairs.append(((np.rint(heat * levels) / levels if levels else heat).astype(np.float32), mask))
    return pairs


@pytest.mark.parametrize("levels", [None, 20, 3])
@pytest.mark.parametrize("seed", range(4))
def test_random_maps_of_many_sizes_agree_with_brute_force(seed: int, levels: int | None) -> None:
    pairs = random_pairs(seed, levels)
    for limit in (0.05, 0.3, 1.0):
        result = measured(pairs, limit)
        assert result.pixel_auroc == pytest.approx(auroc_of_scikit_learn(pairs), abs=1e-12)
        assert result.aupro == pytest.approx(aupro_by_brute_force(pairs, limit), abs=1e-12)
        assert result.max_error == 0.0


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(-2, 3), st.booleans()), min_size=9, max_size=9), st.floats(0.01, 1.0))
def test_tiny_maps_full_of_ties_agree_with_brute_force(pixels: list[tuple[int, bool]], limit: float) -> None:
    heat = np.array([value for value, _ in pixels], np.float32).reshape(3, 3)
    mask = np.array([defective for _, defective in pixels]).reshape(3, 3)
    mask[0, 0], mask[2, 2] = True, False
    result = measured([(heat, mask)], limit)
    assert result.pixel_auroc == pytest.approx(auroc_of_scikit_learn([(heat, mask)]))
    assert result.aupro == pytest.approx(aupro_by_brute_force([(heat, mask)], limit))


@pytest.mark.parametrize(
    ("seed", "levels", "pixel_auroc", "aupro"),
    # AUPRO: MVTec AD's evaluation code (pro_curve_util, trapezoid with x_max=0.3); AUROC: scikit-learn 1.9.1. The
    # package ADEval 1.1.0, with 20000 thresholds, gives both to within 2e-5.
    [
        (0, None, 0.8064708502865968, 0.6139546800),
        (1, None, 0.7483754941528120, 0.4627062791),
        (2, 50, 0.7401818300700213, 0.5064250588),
        (3, 4, 0.7841463882844547, 0.6585459115),
    ],
)
def test_figures_of_the_mvtec_evaluation_code(seed: int, levels: int | None, pixel_auroc: float, aupro: float) -> None:
    result = measured(random_pairs(seed, levels, shape=(48, 64)))
    assert result.pixel_auroc == pytest.approx(pixel_auroc, abs=1e-9)
    assert result.aupro == pytest.approx(aupro, abs=1e-6)  # its false-positive rates are float32


def one_spot() -> NDArray[np.bool_]:
    mask = np.zeros((10, 10), bool)
    mask[2:4, 2:7] = True  # 10 of 100 pixels
    return mask


def test_a_perfect_map_has_1_and_an_inverted_one_0() -> None:
    mask = one_spot()
    assert measured([(mask.astype(np.float32), mask)]) == PixelResult(1.0, 1.0)
    assert measured([((~mask).astype(np.float32), mask)]) == PixelResult(0.0, 0.0)


def test_a_constant_map_has_half_the_limit() -> None:
    # The curve is the diagonal: 0.3 * 0.3 / 2, divided by 0.3.
    result = measured([(np.zeros((10, 10), np.float32), one_spot())])
    assert result.pixel_auroc == pytest.approx(0.5)
    assert result.aupro == pytest.approx(0.15)


def test_a_small_region_counts_as_much_as_a_large_one() -> None:
    heat, mask = np.zeros((10, 10), np.float32), np.zeros((10, 10), bool)
    mask[0:4, 0:5] = True
    mask[8, 8] = True
    heat[8, 8] = 1.0
    # The small one is found at once; the large one, tied with all good pixels, along the diagonal.
    assert measured([(heat, mask)]).aupro == pytest.approx(0.5 + 0.5 * 0.15)
    assert measured([(heat, mask)]).pixel_auroc == pytest.approx((1 + 20 * 0.5) / 21)


def test_the_area_is_interpolated_at_the_limit() -> None:
    # One of two defective pixels is above all good ones, the other tied with the upper half of the good ones.
    heat = np.array([[3, 2, 2, 2, 1, 1]], np.float32)
    mask = np.array([[True, True, False, False, False, False]])
    # From (0, 1/2) straight to (1/2, 1): at 0.3 it is at 0.8.
    assert measured([(heat, mask)], 0.3).aupro == pytest.approx((0.5 + 0.8) / 2)


def test_pixels_that_touch_at_a_corner_are_one_region() -> None:
    heat = np.array([[1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 1]], np.float32)
    mask = np.zeros((4, 4), bool)
    mask[[0, 1, 3], [0, 1, 3]] = True
    heat[3, 3] = 0.0
    # Two regions, of which the first is found at once, the second along the diagonal.
    assert measured([(heat, mask)], 1.0).aupro == pytest.approx(0.75)


def test_thinned_maps_stay_within_the_stated_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pixel_metrics, "_KEPT_PER_MAP", 64)
    pairs = [pair for seed in range(3) for pair in random_pairs(seed, shape=(40, 50))]
    pairs += random_pairs(7, levels=5, shape=(60, 60))
    exact = measured(pairs)
    for crossed_at in (0, 9000):  # from the first map on, and in between
        metrics = PixelMetrics(exact_pixels=crossed_at)
        for heat, mask in pairs:
            metrics.add(heat, mask)
        assert all(len(good) <= 64 for good, _ in metrics._good)
        result = metrics.compute()
        assert result.max_error == pytest.approx(0.5 / 64 / 0.3)
        assert abs(result.pixel_auroc - exact.pixel_auroc) <= 0.5 / 64
        assert abs(result.aupro - exact.aupro) <= result.max_error
        assert result.aupro != exact.aupro


def test_maps_can_be_added_after_computing() -> None:
    pairs = random_pairs(0)
    metrics = PixelMetrics()
    for heat, mask in pairs:
        metrics.add(heat, mask)
        if mask.any():
            metrics.compute()
    assert metrics.compute() == measured(pairs)


def test_what_has_no_metrics_is_refused() -> None:
    heat, mask = np.zeros((4, 4), np.float32), np.eye(4, dtype=bool)
    metrics = PixelMetrics()
    with pytest.raises(DatasetError, match="No pixel is marked defective"):
        metrics.compute()
    with pytest.raises(DatasetError, match=re.escape("Anomaly map 1 has the shape (4, 4), its mask (4, 3)")):
        metrics.add(heat, mask[:, :3])
    with pytest.raises(DatasetError, match="height, width"):
        metrics.add(heat[None], mask[None])
    for value in (np.nan, np.inf):
        with pytest.raises(DatasetError, match="not a finite number"):
            metrics.add(np.full((4, 4), value), mask)
    metrics.add(heat, np.zeros((4, 4), bool))
    with pytest.raises(DatasetError, match="No pixel is marked defective"):
        metrics.compute()
    with pytest.raises(DatasetError, match="Anomaly map 2"):
        metrics.add(heat, mask[:3])
    everything = PixelMetrics()
    everything.add(heat, np.ones((4, 4), bool))
    with pytest.raises(DatasetError, match="Every pixel is marked defective"):
        everything.compute()


@pytest.mark.parametrize("limit", [0.0, -0.1, 1.1, float("nan")])
def test_a_limit_that_is_no_rate_is_refused(limit: float) -> None:
    with pytest.raises(SettingsError, match="limit"):
        PixelMetrics(limit)
