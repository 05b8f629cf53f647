"""The benchmark of an epoch counts what an epoch computes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from benchmarks.epoch import main


def test_it_prints_what_an_epoch_takes(product: Path, capsys: pytest.CaptureFixture[str]) -> None:
    little = {"views.size": 96, "extractor.scales": 1, "flow.hidden": 1000, "flow.blocks": 2}
    quick = ["--images=4", "--epochs=1", "--ceiling-seconds=0.01"]
    main([str(product), *quick, *(f"--set={name}={value}" for name, value in little.items())])
    printed = capsys.readouterr().out
    assert printed.startswith("4 images, 16 views, ")
    counted = re.search(r"(\d\.\d\d) TFLOP of the network, (\d\.\d\d) of the flow", printed)
    assert counted is not None
    assert re.search(r"an epoch: \d+\.\d s, \d+\.\d s of processor", printed)
