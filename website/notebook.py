"""Writes docs/notebook.ipynb: the cells below, executed. `make notebook`."""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from differnet.images.solar_cells import find_dataset

TARGET = Path(__file__).parents[1] / "docs" / "notebook.ipynb"
CELLS = [
    "# A notebook: fit, verdicts, maps, threshold, export\n\n"
    "On cells of the [elpv-dataset](https://pypi.org/project/elpv-dataset/) "
    "(CC BY-NC-SA 4.0), which `pip install 'differnet[demo]'` brings. `make docs` checks that it runs.",
    """
from differnet import DifferNet
from differnet.images.solar_cells import choose_cells, find_dataset

cells = choose_cells(find_dataset())
good, defective = cells.train[:60], cells.test_defective[:8]
model = DifferNet(device="cpu").fit(good)
print(len(good), "good cells, false-reject rate", model.calibration.false_reject_rate)
""",
    "## Verdicts\n\nA score, higher for what is less like good cells, and what the threshold makes of it.",
    """
verdicts = model.inspect_many([*cells.test_good[:8], *defective])
print(len(verdicts), "cells, of which defective:", len(defective))
verdicts.to_dataframe()[["score", "p_value", "decision"]].round(2)
""",
    "## Where\n\nThe heat map has a fixed scale: 1 is the hottest that good cells get.",
    "model.explain_many(defective[0])[0]",
    "model.explain_many(defective[1])[0]",
    "## Another threshold\n\nWithout training again, from the scores that training kept.",
    """
calibration = model.calibrate(false_reject_rate=0.1, review_rate=0.2)
print("refused above", round(calibration.threshold, 2))
""",
    "## Keep it\n\nThe file holds everything but the pretrained network; `differnet export` writes one without torch.",
    """
model.save("cells.safetensors")
again = DifferNet.load("cells.safetensors", device="cpu")
print("the same score:", again.inspect(defective[0]).score == model.inspect(defective[0]).score)
""",
    "!differnet export cells.safetensors -o cells.onnx 2>/dev/null",
]


def main() -> None:
    """Run the cells and write the notebook."""
    notebook = nbformat.v4.new_notebook()
    for number, text in enumerate(CELLS):
        is_text = text.startswith("#")
        make = nbformat.v4.new_markdown_cell if is_text else nbformat.v4.new_code_cell
        notebook.cells.append(make(text.strip(), id=f"cell-{number}"))
    with tempfile.TemporaryDirectory() as folder:
        NotebookClient(notebook, timeout=600, resources={"metadata": {"path": folder}}).execute()
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)
    notebook.metadata.pop("widgets", None)
    # Where packages lie is the machine's own.
    written = nbformat.writes(notebook).replace(f"{find_dataset().parents[1]}/", "")
    TARGET.write_text(written + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
