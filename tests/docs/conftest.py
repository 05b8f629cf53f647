"""A product of the demo's cells, under the name that the pages of tasks use, and a model of it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from differnet.images.solar_cells import choose_cells, find_dataset

PROJECT = Path(__file__).parents[2]


def environment() -> dict[str, str]:
    """Commands are those of this environment, active or not."""
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    return {**os.environ, "PATH": path, "MPLBACKEND": "agg"}


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with ``bottle/`` and ``bottle.safetensors``; to be copied."""
    cells = choose_cells(find_dataset())
    folder = tmp_path_factory.mktemp("product")
    parts = (
        ("train/good", cells.train[:30]),
        ("test/good", cells.test_good[:6]),
        ("test/crack", cells.test_defective[:4]),
    )
    for name, files in parts:
        (folder / "bottle" / name).mkdir(parents=True)
        for i, file in enumerate(files):
            shutil.copyfile(file, folder / "bottle" / name / f"{i:03}.png")
    command = ["differnet", "train", "bottle", "-o", "bottle.safetensors"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, env=environment())
    return folder
