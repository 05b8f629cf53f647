"""Models as MLflow's: logged, loaded and served by its generic Python flavour."""

from __future__ import annotations

import base64
import os
import tempfile
from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mlflow.pyfunc

from differnet.detector import DifferNet

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DifferNetModel", "log_model", "save_model"]

_FILE = "model"


class DifferNetModel(mlflow.pyfunc.PythonModel):  # type: ignore[misc] # untyped where MLflow is not installed
    """What MLflow runs: images in, a data frame of verdicts out."""

    def load_context(self, context: Any) -> None:  # noqa: ANN401 - MLflow's
        """Load the model file among the artifacts."""
        self.model = DifferNet.load(context.artifacts[_FILE])

    def predict(self, context: Any, model_input: Any, params: Any = None) -> pd.DataFrame:  # noqa: ANN401
        """Give the verdicts on images.

        Args:
            context: Not used.
            model_input: A data frame whose first column, or a list, holds paths, contents of image files, arrays, or
                contents in base64, as ``data:image/png;base64,...``, which MLflow's server takes within JSON.
            params: Not used.
        """
        given = model_input.iloc[:, 0].tolist() if hasattr(model_input, "iloc") else model_input
        several = [given] if isinstance(given, (str, bytes, os.PathLike)) else given
        return self.model.inspect_many(_images(several)).to_dataframe()


def _images(given: Iterable[Any]) -> list[Any]:
    return [
        base64.b64decode(each.partition("base64,")[2]) if isinstance(each, str) and each.startswith("data:") else each
        for each in given
    ]


def save_model(model: DifferNet, path: str | os.PathLike[str], **options: Any) -> None:  # noqa: ANN401 - MLflow's
    """Write a fitted model as a folder of MLflow's.

    Args:
        model: A fitted model.
        path: The folder to write.
        options: Of `mlflow.pyfunc.save_model`.
    """
    with tempfile.TemporaryDirectory() as folder:
        mlflow.pyfunc.save_model(path=os.fspath(path), **_flavour(model, Path(folder)), **options)


def log_model(model: DifferNet, name: str = "differnet", **options: Any) -> Any:  # noqa: ANN401 - MLflow's
    """Log a fitted model to the run that is active.

    Args:
        model: A fitted model.
        name: Of the model in the run.
        options: Of `mlflow.pyfunc.log_model`, such as ``registered_model_name``.

    Returns:
        What MLflow says of it; ``model_uri`` is for `mlflow.pyfunc.load_model`.
    """
    with tempfile.TemporaryDirectory() as folder:
        return mlflow.pyfunc.log_model(name=name, **_flavour(model, Path(folder)), **options)


def _flavour(model: DifferNet, folder: Path) -> dict[str, Any]:
    file = folder / f"{_FILE}.safetensors"
    model.save(file)
    return {
        "python_model": DifferNetModel(),
        "artifacts": {_FILE: str(file)},
        "pip_requirements": [f"differnet=={version('differnet')}", "pandas"],
    }
