"""The notebook runs, and what it prints is what stands in it; `make notebook` writes it anew."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient

from tests.docs.conftest import PROJECT, environment

NOTEBOOK = PROJECT / "docs" / "notebook.ipynb"
# What depends on the machine.
VARYING = re.compile(r"\d+\.\d+|[0-9a-f]{12}|0x[0-9a-f]+")


def printed(notebook: Any) -> list[str]:  # noqa: ANN401 - nbformat has no types
    """The text of every cell, without numbers that depend on the machine."""
    told = []
    for cell in notebook.cells:
        if cell.cell_type == "code":
            texts = [output.get("text", "") for output in cell.outputs if output.output_type == "stream"]
            told.append(VARYING.sub("#", "".join(texts)))
    return told


def test_the_notebook_runs_and_prints_what_stands_in_it(tmp_path: Path) -> None:
    kept = nbformat.read(NOTEBOOK, as_version=4)
    run = nbformat.read(NOTEBOOK, as_version=4)
    os.environ.update(environment())
    NotebookClient(run, timeout=600, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert printed(run) == printed(kept)
    shown = [kind for cell in kept.cells for output in cell.get("outputs", []) for kind in output.get("data", {})]
    assert shown.count("image/png") >= 2
