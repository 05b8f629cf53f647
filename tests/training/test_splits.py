"""Which good images are held out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differnet.errors import DatasetError
from differnet.settings import TrainingSettings
from differnet.training import MIN_IMAGES, split_held_out


@given(st.integers(MIN_IMAGES, 2000), st.integers(0, 100))
def test_about_a_fifth_is_held_out_and_at_least_ten_where_there_are_enough(count: int, seed: int) -> None:
    training, held_out = split_held_out(count, TrainingSettings(), seed)
    assert sorted(training + held_out) == list(range(count))
    assert len(held_out) == min(max(10, round(count / 5)), count // 2)


def test_the_split_depends_on_the_seed_alone() -> None:
    assert split_held_out(100, TrainingSettings(), 3) == split_held_out(100, TrainingSettings(), 3)
    assert split_held_out(100, TrainingSettings(), 3) != split_held_out(100, TrainingSettings(), 4)


def test_nothing_is_held_out_when_told_so() -> None:
    settings = TrainingSettings(held_out=0.0, keep="last")
    assert split_held_out(30, settings, 0) == (list(range(30)), [])


@pytest.mark.parametrize("count", [0, 1, MIN_IMAGES - 1])
def test_too_few_images_are_refused(count: int) -> None:
    with pytest.raises(DatasetError, match=f"{count} good image"):
        split_held_out(count, TrainingSettings(), 0)
