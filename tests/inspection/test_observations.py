"""What is kept of images to compare them with others: the same from one process or from many, and never much."""

from __future__ import annotations

import numpy as np
import pytest

from differnet.inspection.observations import Observations


def observe(start: int, count: int) -> Observations:
    """Images by number; every third is refused."""
    seen = Observations()
    for i in range(start, start + count):
        seen.count("accept" if i % 3 else "reject")
        seen.look(np.full((1, 4), i, np.float32), np.full(5, i, np.float64))
    return seen


def test_what_several_processes_saw_is_put_together() -> None:
    alone, together = observe(0, 450), Observations()
    for start, count in ((0, 1), (1, 99), (100, 250), (350, 100)):
        together.merge(Observations.from_bytes(observe(start, count).to_bytes()))
    for name in ("images", "judged", "refused", "looked"):
        assert getattr(together, name) == getattr(alone, name), name
    assert together.looks.tolist() == alone.looks.tolist()
    assert together.mean_features == pytest.approx(alone.mean_features)


def test_the_last_thousand_and_some_are_kept() -> None:
    seen = observe(0, 2345)
    assert (seen.images, seen.refused) == (2345, 782)
    assert 1000 <= seen.looked <= 1100
    assert seen.looks[:, 0].tolist() == [*range(2345 - seen.looked, 2345)]
    assert seen.mean_features == pytest.approx(np.full(5, seen.looks.mean()))


def test_nothing_seen_comes_through_as_nothing() -> None:
    seen = Observations.from_bytes(Observations(3, 2, 1).to_bytes())
    assert (seen.images, seen.judged, seen.refused, seen.looked) == (3, 2, 1, 0)
    assert seen.looks.shape == (0, 4)
    assert seen.mean_features.shape == (0,)
