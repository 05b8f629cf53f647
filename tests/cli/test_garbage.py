"""Commands begin and end without looking for garbage, and look for it while they work."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from differnet.cli.garbage import begin_quickly, collect_as_usual, end_quickly
from differnet.cli.progress import fleet_progress, progress


@pytest.fixture
def usual() -> Iterator[tuple[int, int, int]]:
    before = gc.get_threshold()
    yield before
    gc.set_threshold(*before)
    gc.unfreeze()


def test_what_takes_many_images_collects_as_usual(usual: tuple[int, int, int]) -> None:
    for work in (progress, lambda: fleet_progress(2), None):
        begin_quickly()
        assert gc.get_threshold()[0] > usual[0]
        if work is None:
            collect_as_usual()
            assert gc.get_threshold() == usual
            continue
        with work():
            assert gc.get_threshold() == usual


@pytest.mark.usefixtures("usual")
def test_nothing_is_looked_through_at_the_end() -> None:
    end_quickly()
    assert gc.collect() == 0
    assert gc.get_freeze_count() > 1000
