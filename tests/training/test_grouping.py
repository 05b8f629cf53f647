"""Images that belong together are joined, chosen from, and recognised by their names."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from differnet.errors import DatasetError, SettingsError
from differnet.training.grouping import join_groups, one_of_each
from differnet.training.labels import labels_of
from differnet.training.name_pattern import telling_pattern


def test_links_and_labels_join_by_way_of_others() -> None:
    assert join_groups(6, [(0, 2), (2, 4)]) == (0, 1, 0, 3, 0, 5)
    assert join_groups(4, [(0, 1)], ["a", "b", "b", "c"]) == (0, 0, 0, 3)
    assert join_groups(3) == (0, 1, 2)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.integers(0, 10))
def test_one_image_of_each_group_is_chosen(groups: list[int], seed: int) -> None:
    chosen = one_of_each(groups, seed)
    assert chosen == sorted(chosen) == one_of_each(groups, seed)
    assert sorted(groups[place] for place in chosen) == sorted(set(groups))


def test_groups_by_folder_and_by_name() -> None:
    paths = [Path("a/part1_left.png"), Path("a/part1_right.png"), Path("b/part12_left.png")]
    assert labels_of(paths, "folder") == ["a", "a", "b"]
    first, second, third = labels_of(paths, r"part(\d+)")
    assert first == second != third
    assert labels_of(paths, r"part\d+") == ["part1", "part1", "part12"]
    with pytest.raises(DatasetError, match="does not hold"):
        labels_of(paths, "left")
    with pytest.raises(SettingsError, match="regular expression"):
        labels_of(paths, "part(")
    with pytest.raises(DatasetError, match="groups"):
        labels_of([np.zeros((20, 20), np.uint8)], "folder")


def test_names_tell_where_the_nearest_image_shares_them() -> None:
    names = [f"shift{number % 2}/01_{number:05}_{place}_crop.png" for number in range(10) for place in (275, 397, 430)]
    nearest = [(place + 3) % 30 for place in range(30)]
    pattern = telling_pattern(names, nearest)
    assert labels_of([Path(name) for name in names], pattern) == ["275", "397", "430"] * 10


def test_names_tell_nothing_where_the_nearest_is_any_image() -> None:
    names = [f"{number:03}_{number % 3}.png" for number in range(60)]
    nearest = np.random.default_rng(0).integers(0, 60, 60).tolist()
    assert telling_pattern(names, nearest) == ""
    assert telling_pattern([f"{number}.png" for number in range(60)], nearest) == ""
    assert telling_pattern([*names[:-1], "other"], nearest) == ""
