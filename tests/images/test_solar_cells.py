"""The demo's choice of cells: as described, repeatable, disjoint, laid out for the commands."""

from __future__ import annotations

from pathlib import Path

from differnet.images import read_good_images, read_test_images
from differnet.images.solar_cells import CellSplit, choose_cells, find_dataset, write_product


def labels() -> dict[str, tuple[float, str]]:
    lines = (find_dataset() / "labels.csv").read_text().splitlines()
    return {Path(name).name: (float(p), kind) for name, p, kind in (line.split() for line in lines)}


def test_cells_are_monocrystalline_and_certain_and_come_once() -> None:
    split, known = choose_cells(find_dataset()), labels()
    assert (len(split.train), len(split.test_good), len(split.test_defective)) == (300, 100, 100)
    assert {known[path.name] for path in split.train + split.test_good} == {(0.0, "mono")}
    assert {known[path.name] for path in split.test_defective} == {(1.0, "mono")}
    assert len(set(split.train + split.test_good + split.test_defective)) == 500


def test_the_choice_is_the_same_each_time_and_another_split_another() -> None:
    assert choose_cells(find_dataset()) == choose_cells(find_dataset(), split=0)
    assert set(choose_cells(find_dataset()).train) != set(choose_cells(find_dataset(), split=1).train)


def test_the_product_is_in_the_mvtec_layout_and_replaces_an_earlier_one(tmp_path: Path) -> None:
    split = choose_cells(find_dataset())
    few = CellSplit(split.train[:3], split.test_good[:2], split.test_defective[:2])
    for cells in (split, few):
        write_product(cells, tmp_path)
    assert [path.name for path in read_good_images(tmp_path).paths] == [path.name for path in few.train]
    assert [image.kind for image in read_test_images(tmp_path)] == ["defective"] * 2 + ["good"] * 2
