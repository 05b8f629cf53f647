"""Log a training to MLflow, with its figures and the model, and load the model back: pip install 'differnet[mlflow]'.

python mlflow_tracking.py bottle            # MLFLOW_TRACKING_URI names a server; without it, runs are kept in a folder
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import mlflow

from differnet import DifferNet, evaluate
from differnet.integrations.mlflow import log_model


def main() -> None:
    """Train, evaluate, log, load."""
    parser = argparse.ArgumentParser()
    parser.add_argument("product", type=Path, help="A folder with train/good and test/KIND.")
    product = parser.parse_args().product
    if "MLFLOW_TRACKING_URI" not in os.environ:
        os.environ["MLFLOW_ALLOW_FILE_STORE"] = "true"  # of mlflow-skinny, which has no database
        mlflow.set_tracking_uri(Path("runs").absolute().as_uri())
    with mlflow.start_run():
        model = DifferNet().fit(product)
        mlflow.log_params({"preset": "default", "images": model.fitted.manifest.training.images})
        mlflow.log_metric("image_auroc", evaluate(model, product).overall.image_auroc.value)
        logged = log_model(model)
    loaded = mlflow.pyfunc.load_model(logged.model_uri)
    image = next((product / "test").rglob("*.png"))
    print(loaded.predict([str(image)])[["path", "score", "decision"]])


if __name__ == "__main__":
    main()
