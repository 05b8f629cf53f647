"""A model that was saved, or logged to a run, by MLflow says what it says by itself."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from differnet import DifferNet

mlflow: Any = pytest.importorskip("mlflow", reason="make test-mlflow installs it")


def test_it_is_saved_logged_loaded_and_asked(
    fitted: DifferNet, product: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pandas as pd

    from differnet.integrations.mlflow import log_model, save_model

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    mlflow.set_tracking_uri((tmp_path / "runs").as_uri())
    save_model(fitted, tmp_path / "saved")
    with mlflow.start_run():
        logged = log_model(fitted)
    files = sorted((product / "test" / "blot").glob("*.png"))
    encoded = [f"data:image/png;base64,{base64.b64encode(file.read_bytes()).decode()}" for file in files]
    expected = [verdict.score for verdict in fitted.inspect_many(files).verdicts]
    for where in (str(tmp_path / "saved"), logged.model_uri):
        model = mlflow.pyfunc.load_model(where)
        for given in ([str(file) for file in files], pd.DataFrame({"image": encoded})):
            verdicts = model.predict(given)
            assert verdicts["score"].tolist() == pytest.approx(expected, rel=1e-5)
            assert set(verdicts["decision"]) == {"reject"}
