"""A detector with a Gaussian instead of a flow, by one setting, from training to the exported file."""

from __future__ import annotations

import json
from pathlib import Path

from typer.testing import CliRunner

from differnet.cli.main import app
from differnet.model_file.bundle import read_manifest
from tests.conftest import SMALL

RUNNER = CliRunner()
SETTINGS = [word for name, value in SMALL.items() for word in ("--set", f"{name}={value}")]
FOLDS = ["--set", "calibration.method=cross-fitted", "--set", "calibration.folds=3"]


def test_a_gaussian_is_trained_evaluated_exported_and_verified(product: Path, tmp_path: Path) -> None:
    model, exported = tmp_path / "model.safetensors", tmp_path / "model.onnx"
    chosen = [*SETTINGS, *FOLDS, "--set", "flow.kind=gaussian"]
    trained = RUNNER.invoke(app, ["train", str(product), "-o", str(model), *chosen])
    assert trained.exit_code == 0, trained.output
    assert "learnt from 24 good images; nothing was left to train" in " ".join(trained.output.split())
    manifest = read_manifest(model)
    assert (manifest.settings.flow.kind, manifest.training.members, manifest.training.epochs) == ("gaussian", 3, 0)
    evaluated = RUNNER.invoke(app, ["evaluate", str(model), str(product), "--json"])
    assert evaluated.exit_code == 0, evaluated.output
    assert json.loads(evaluated.stdout)["image_auroc"] > 0.9
    written = RUNNER.invoke(app, ["export", str(model), "-o", str(exported)])
    assert written.exit_code == 0, written.output
    verified = RUNNER.invoke(app, ["verify", str(model), str(exported), str(product / "test" / "good")])
    assert verified.exit_code == 0, verified.output
    page = tmp_path / "report.html"
    reported = RUNNER.invoke(app, ["report", str(model), str(product), "-o", str(page)])
    assert reported.exit_code == 0, reported.output
    assert "features, gaussian" in page.read_text(encoding="utf-8")
