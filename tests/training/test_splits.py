"""Which good images are held out."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from differnet.errors import DatasetError
from differnet.settings import Settings, TrainingSettings
from differnet.training import MIN_IMAGES, split_held_out
from differnet.training.splits import fold_places


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


@given(st.lists(st.integers(0, 20), min_size=MIN_IMAGES, max_size=60), st.integers(0, 20))
def test_a_group_is_never_divided(groups: list[int], seed: int) -> None:
    count, several = len(groups), len(set(groups)) > 1
    folds = fold_places(groups, Settings(seed=seed))
    assert sorted(place for fold in folds for place in fold) == list(range(count))
    training, held_out = split_held_out(count, TrainingSettings(), seed, groups)
    assert sorted(training + held_out) == list(range(count))
    assert training
    assert held_out
    if several:
        assert len({groups[place] for fold in folds for place in fold}) == sum(
            len({groups[place] for place in fold}) for fold in folds
        )
        assert not {groups[place] for place in training} & {groups[place] for place in held_out}


def test_groups_of_one_are_divided_as_single_images() -> None:
    assert fold_places(range(35), Settings()) == fold_places([5 * place for place in range(35)], Settings())
    assert [len(fold) for fold in fold_places(range(35), Settings())] == [4] * 5 + [3] * 5
    assert split_held_out(35, TrainingSettings(), 0) == split_held_out(35, TrainingSettings(), 0, range(35))
