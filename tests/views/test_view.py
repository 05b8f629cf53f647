"""Which views an image gets: fixed ones when scoring, random ones when training."""

from __future__ import annotations

import numpy as np
import pytest

from differnet.settings import ViewSettings
from differnet.views import View, fixed_views, random_views

SQUARE = tuple(View(90.0 * i, mirrored) for mirrored in (False, True) for i in range(4))


@pytest.mark.parametrize(
    ("kind", "count", "expected"),
    [
        ("none", 1, [(0, False)]),
        ("rotations", 1, [(0, False)]),
        ("rotations", 5, [(0, False), (72, False), (144, False), (216, False), (288, False)]),
        ("right-angles", 4, [(0, False), (90, False), (180, False), (270, False)]),
        ("right-angles", 2, [(0, False), (90, False)]),
        ("flips", 4, [(0, False), (0, True), (180, False), (180, True)]),
        ("symmetries", 8, [(90 * i, mirrored) for mirrored in (False, True) for i in range(4)]),
        ("symmetries", 5, [(0, False), (90, False), (180, False), (270, False), (0, True)]),
    ],
)
def test_fixed_views_are_the_first_of_their_kind(kind: str, count: int, expected: list[tuple[float, bool]]) -> None:
    views = fixed_views(ViewSettings.model_validate({"kind": kind, "count": count, "brightness": 0.5}))
    assert [(view.degrees, view.mirrored) for view in views] == expected
    assert not any(view.is_photometric for view in views)


def test_the_papers_64_fixed_views_divide_the_circle_evenly() -> None:
    angles = [view.degrees for view in fixed_views(ViewSettings(kind="rotations", count=64))]
    assert angles == [5.625 * i for i in range(64)]


def test_random_views_follow_from_the_seed() -> None:
    wanted = ViewSettings(kind="rotations", brightness=0.3, contrast=0.2, saturation=0.1)
    first, same, other = (random_views(wanted, 20, np.random.default_rng(seed)) for seed in (7, 7, 8))
    assert first == same
    assert not set(first) & set(other)


@pytest.mark.parametrize("max_degrees", [0.0, 15.0, 180.0])
def test_random_rotations_fill_their_range_and_stay_within(max_degrees: float) -> None:
    views = random_views(ViewSettings(kind="rotations", max_degrees=max_degrees), 2000, np.random.default_rng(0))
    angles = np.array([view.degrees for view in views])
    assert np.abs(angles).max() <= max_degrees
    assert angles.min() <= -0.98 * max_degrees
    assert angles.max() >= 0.98 * max_degrees
    assert abs(angles.mean()) <= 0.1 * max_degrees
    assert not any(view.mirrored for view in views)


@pytest.mark.parametrize(("kind", "available"), [("none", 1), ("right-angles", 4), ("symmetries", 8)])
@pytest.mark.parametrize("count", [1, 3, 4, 8, 50])
def test_random_exact_views_repeat_only_when_they_must(kind: str, available: int, count: int) -> None:
    wanted = ViewSettings.model_validate({"kind": kind, "count": 1})
    views = random_views(wanted, count, np.random.default_rng(1))
    assert len(views) == count
    assert set(views) <= set(SQUARE[:available])
    if count <= available:
        assert len(set(views)) == count
    if count == 50:
        assert len(set(views)) == available


@pytest.mark.parametrize("name", ["brightness", "contrast", "saturation"])
@pytest.mark.parametrize(("strength", "low", "high"), [(0.2, 0.8, 1.2), (1.0, 0.0, 2.0)])
def test_jitter_fills_its_range_and_leaves_the_others_alone(
    name: str, strength: float, low: float, high: float
) -> None:
    wanted = ViewSettings.model_validate({"kind": "none", "count": 1, name: strength})
    views = random_views(wanted, 1000, np.random.default_rng(0))
    factors = np.array([getattr(view, name) for view in views])
    margin = 0.02 * (high - low)
    assert low <= factors.min() <= low + margin
    assert high - margin <= factors.max() <= high
    others = {"brightness", "contrast", "saturation"} - {name}
    assert {getattr(view, other) for view in views for other in others} == {1.0}
