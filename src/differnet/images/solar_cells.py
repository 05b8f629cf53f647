"""Electroluminescence images of solar cells, from the package ``elpv-dataset``, as a product in the MVTec layout.

Deitsch et al., "Automatic classification of defective photovoltaic module cells in electroluminescence images", Solar
Energy 185, 2019; Buerhop-Lutz et al., EU PVSEC 2018. Licence CC BY-NC-SA 4.0: for non-commercial use.
"""

from __future__ import annotations

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from differnet.errors import DatasetError, MissingExtraError, OutputError
from differnet.installing import install_extra

__all__ = ["CellSplit", "choose_cells", "find_dataset", "write_product"]

TRAINING_CELLS = 300
TEST_CELLS = 100


@dataclass(frozen=True)
class CellSplit:
    """Image files of the demo.

    Attributes:
        train: 300 functional monocrystalline cells to learn from.
        test_good: 100 others to test on.
        test_defective: 100 cells that are certainly defective.
    """

    train: tuple[Path, ...]
    test_good: tuple[Path, ...]
    test_defective: tuple[Path, ...]


def find_dataset() -> Path:
    """Find the folder with ``labels.csv`` of the installed package; the package is not imported.

    Raises:
        MissingExtraError: If it is not installed.
    """
    spec = importlib.util.find_spec("elpv_dataset")
    folder = next(iter(spec.submodule_search_locations or ()), None) if spec else None
    if folder is None or not (Path(folder) / "data" / "labels.csv").is_file():
        raise MissingExtraError(f"The demo needs its images and matplotlib. Run: {install_extra('demo')}")
    return Path(folder) / "data"


def choose_cells(dataset: Path, split: int = 0) -> CellSplit:
    """Choose monocrystalline cells: defect probability 0 is good, 1 is defective.

    Args:
        dataset: Folder with ``labels.csv`` (path, probability, type).
        split: Seed of the choice.

    Raises:
        DatasetError: If the labels are not as expected.
    """
    good: list[Path] = []
    defective: list[Path] = []
    for line in (dataset / "labels.csv").read_text(encoding="utf-8").splitlines():
        name, probability, kind = line.split()
        if kind == "mono" and float(probability) in (0.0, 1.0):
            (good if float(probability) == 0.0 else defective).append(dataset / name)
    if len(good) < TRAINING_CELLS + TEST_CELLS or len(defective) < TEST_CELLS:
        raise DatasetError(f"{dataset}: has too few cells; reinstall elpv-dataset.")
    rng = np.random.RandomState(split)
    shuffled_good = [good[i] for i in rng.permutation(len(good))]
    shuffled_defective = [defective[i] for i in rng.permutation(len(defective))]
    return CellSplit(
        train=tuple(sorted(shuffled_good[:TRAINING_CELLS])),
        test_good=tuple(sorted(shuffled_good[TRAINING_CELLS : TRAINING_CELLS + TEST_CELLS])),
        test_defective=tuple(sorted(shuffled_defective[:TEST_CELLS])),
    )


def write_product(split: CellSplit, root: Path) -> None:
    """Copy the cells into the MVTec layout, replacing what an earlier demo left there.

    Raises:
        OutputError: If the folder cannot be written.
    """
    folders = {
        root / "train" / "good": split.train,
        root / "test" / "good": split.test_good,
        root / "test" / "defective": split.test_defective,
    }
    try:
        for folder, files in folders.items():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir(parents=True)
            for file in files:
                shutil.copyfile(file, folder / file.name)
    except OSError as error:
        raise OutputError(f"{root}: cannot be written ({error.strerror}); choose another --out.") from None
