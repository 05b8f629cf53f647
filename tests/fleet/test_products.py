"""Which products a folder holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet.errors import DatasetError
from differnet.fleet.products import find_products


def test_every_folder_and_every_recipe_is_a_product_and_recipes_go_first(tmp_path: Path) -> None:
    for name in ("nut", "bolt", ".hidden", "washer.yaml.d"):
        (tmp_path / name).mkdir()
    for name in ("bolt.yaml", "plate.yml", "notes.md"):
        (tmp_path / name).write_text("")
    found = find_products(tmp_path)
    assert [(product.name, product.source.name, product.has_recipe) for product in found] == [
        ("bolt", "bolt.yaml", True),
        ("nut", "nut", False),
        ("plate", "plate.yml", True),
        ("washer.yaml.d", "washer.yaml.d", False),
    ]


def test_sources_are_absolute_for_workers_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "products" / "nut").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    [product] = find_products("products")
    assert product.source.is_absolute()
    assert product.source == tmp_path / "products" / "nut"


def test_a_folder_that_is_left_out_is_no_product(tmp_path: Path) -> None:
    for name in ("nut", "models"):
        (tmp_path / name).mkdir()
    assert [product.name for product in find_products(tmp_path, without=tmp_path / "models")] == ["nut"]


def test_what_holds_no_products_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="holds neither folders nor recipes"):
        find_products(tmp_path)
    with pytest.raises(DatasetError, match="no such folder"):
        find_products(tmp_path / "absent")
    for name in ("bolt.yaml", "bolt.yml"):
        (tmp_path / name).write_text("")
    with pytest.raises(DatasetError, match="another recipe has the same name, bolt"):
        find_products(tmp_path)
