"""Which products a folder holds: one for each folder in it, and one for each recipe."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from differnet.errors import DatasetError
from differnet.images.collect import is_hidden

__all__ = ["Product", "find_products"]

_RECIPE_SUFFIXES = (".yaml", ".yml")


@dataclass(frozen=True)
class Product:
    """A product of a fleet.

    Attributes:
        name: What its model file is called, without suffix.
        source: Its recipe, or the folder of its images.
    """

    name: str
    source: Path

    @property
    def has_recipe(self) -> bool:
        """Whether the source is a recipe."""
        return self.source.suffix in _RECIPE_SUFFIXES and not self.source.is_dir()


def find_products(root: str | os.PathLike[str], *, without: str | os.PathLike[str] | None = None) -> list[Product]:
    """Find the products in a folder, sorted by name. A recipe goes before the folder of the same name.

    Nothing is read yet: a product whose images or recipe are broken is found too.

    Args:
        root: The folder.
        without: A folder in it that is no product, such as that of the models.

    Raises:
        DatasetError: If there is no such folder, no product in it, or two recipes of the same name.
    """
    folder = Path(root).absolute()  # a worker may have another working folder
    if not folder.is_dir():
        raise DatasetError(f"{root}: no such folder; give a folder with a folder or a recipe for each product.")
    found: dict[str, Product] = {}
    passed_over = None if without is None else Path(without).resolve()
    entries = sorted(
        entry for entry in folder.iterdir() if not is_hidden(entry.name) and entry.resolve() != passed_over
    )
    for entry in entries:
        if entry.is_dir():
            found[entry.name] = Product(entry.name, entry)
    for entry in entries:
        if entry.suffix not in _RECIPE_SUFFIXES or entry.is_dir():
            continue
        if entry.stem in found and found[entry.stem].has_recipe:
            raise DatasetError(f"{entry}: another recipe has the same name, {entry.stem}; rename one of them.")
        found[entry.stem] = Product(entry.stem, entry)
    if not found:
        raise DatasetError(f"{root}: holds neither folders nor recipes (*.yaml); give the folder above the products.")
    return [found[name] for name in sorted(found)]
