"""A product in anomalib's Engine, by its models and by DifferNet, with the same pretrained weights.

``python -m benchmarks.beside_anomalib PRODUCT...`` in the environment of ``make test-anomalib``.
Each product is a folder with ``train/good`` and ``test/KIND``. Half of the test images are anomalib's validation set,
as its datamodules have it by default: its threshold is the best F1 on them. AUROC is of all test images, by raw scores;
what is refused and missed, of the other half. All by defaults, seed 0; the models of anomalib on stages of stride 8 and
16 of EfficientNet-Lite0, which is DifferNet's network.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from anomalib.data import Folder
from anomalib.engine import Engine
from anomalib.models import Padim, Patchcore
from lightning.pytorch import seed_everything
from sklearn.metrics import roc_auc_score
from torch import nn
from torchvision.transforms.v2 import Compose, Normalize, Resize

from differnet import Settings
from differnet.extractors import provide_extractor
from differnet.integrations.anomalib import DifferNetModule

_BACKBONE = "tf_efficientnet_lite0"
_LAYERS = ["blocks.2", "blocks.4"]


def main() -> None:
    """Measure, and print a line of JSON for each product and model."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("products", nargs="+", type=Path, metavar="PRODUCT")
    parser.add_argument("--models", nargs="+", default=["differnet", "padim", "patchcore"])
    parser.add_argument("--size", type=int, default=256, help="Pixels of a side, for anomalib's models.")
    options = parser.parse_args()
    warnings.filterwarnings("ignore")
    for product in options.products:
        for name in options.models:
            sys.stdout.write(json.dumps(_measured(product, name, options.size)) + "\n")
            sys.stdout.flush()


def _measured(product: Path, name: str, size: int) -> dict[str, Any]:
    seed_everything(0)
    data = _data(product)
    with tempfile.TemporaryDirectory() as folder:
        engine = Engine(default_root_dir=folder, accelerator="cpu", enable_progress_bar=False)
        model = _model(name, size)
        started = time.perf_counter()
        engine.fit(model, datamodule=data)
        fitted = time.perf_counter() - started
        if name == "differnet":
            threshold = float(model.differnet.calibration.threshold)
        else:
            threshold = float(model.post_processor.image_threshold)
            model.post_processor = None  # raw scores
        started = time.perf_counter()
        scores, labels, halves = [], [], []
        for half, loader in enumerate((data.val_dataloader(), data.test_dataloader())):
            # Of its own: the one that fitted goes on to normalise.
            asked = Engine(default_root_dir=folder, accelerator="cpu", enable_progress_bar=False)
            for batch in asked.predict(model, dataloaders=loader) or []:
                scores += batch.pred_score.flatten().tolist()
                labels += batch.gt_label.tolist()
                halves += [half] * len(batch.gt_label)
    score, defective, other = np.array(scores), np.array(labels, bool), np.array(halves) == 1
    return {
        "product": product.name,
        "model": name if name == "differnet" else f"{name}, {size} px",
        "image_auroc": round(float(roc_auc_score(defective, score)), 4),
        "good_refused": _share(score[other & ~defective] > threshold),
        "defective_missed": _share(score[other & defective] <= threshold),
        "fit_seconds": round(fitted, 1),
        "seconds_an_image": round((time.perf_counter() - started) / len(score), 3),
    }


def _share(values: np.ndarray) -> str:
    return f"{int(values.sum())} of {len(values)}"


def _data(product: Path) -> Folder:
    kinds = sorted(each.name for each in (product / "test").iterdir() if each.is_dir() and each.name != "good")
    data = Folder(
        name=product.name,
        root=product,
        normal_dir="train/good",
        normal_test_dir="test/good",
        abnormal_dir=[f"test/{kind}" for kind in kinds],
        train_batch_size=16,
        eval_batch_size=8,
        num_workers=0,
        seed=0,
    )
    data.setup()
    return data


def _model(name: str, size: int) -> Any:  # noqa: ANN401 - anomalib's
    if name == "differnet":
        return DifferNetModule(visualizer=False)
    chosen = {"padim": Padim, "patchcore": Patchcore}[name]
    transform = Compose([Resize((size, size), antialias=True), Normalize([127 / 255] * 3, [128 / 255] * 3)])
    pre_processor = chosen.configure_pre_processor((size, size))
    pre_processor.transform = transform
    own = {"n_features": 100} if name == "padim" else {}
    model = chosen(
        backbone=_BACKBONE, layers=_LAYERS, pre_trained=False, pre_processor=pre_processor, visualizer=False, **own
    )
    _take_weights(model.model.feature_extractor)
    return model


def _take_weights(extractor: nn.Module) -> None:
    """Give timm's network the weights of DifferNet's package, whose convolutions hold their normalisation."""
    source, _ = provide_extractor(Settings(), own=None, weights=None, sha256=None)
    tensors = iter(source.state_dict().values())
    convolutions = [each for each in extractor.modules() if isinstance(each, nn.Conv2d)]
    norms = [each for each in extractor.modules() if isinstance(each, nn.BatchNorm2d)]
    with torch.no_grad():
        for convolution, norm in zip(convolutions, norms, strict=True):
            weight, bias = next(tensors), next(tensors)
            if weight.shape != convolution.weight.shape:
                raise RuntimeError("timm's network has another structure than the weights.")
            convolution.weight.copy_(weight)
            norm.weight.fill_(1.0)
            norm.bias.copy_(bias)
            norm.running_mean.zero_()  # type: ignore[union-attr] # both are kept
            norm.running_var.fill_(1.0 - norm.eps)  # type: ignore[union-attr]


if __name__ == "__main__":
    main()
