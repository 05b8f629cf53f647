"""Small models and what is exported of them, made once for all test files and processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from differnet import DifferNet, RegionOfInterest
from differnet.export.targets.openvino import convert_to_openvino
from differnet.export.write import export_model
from differnet.settings import preset
from tests.conftest import SMALL, plate

# As the default preset, only small and trained in seconds.
LOCAL = {
    "views.size": 128,
    "views.flow_size": 96,
    "extractor.precision": "float32",
    "training.epochs": 3,
    "localization.cells": 100,
    "localization.dimensions": 32,
    "calibration.folds": 3,
    "calibration.false_reject_rate": 0.1,
    "calibration.review_rate": 0.3,
    "flow.hidden": 16,
}
WIDTH, HEIGHT = 96, 120


@dataclass(frozen=True)
class Exported:
    """A model file, and what was exported of it, with maps."""

    model: Path
    onnx: Path
    openvino: Path


def plates(count: int, seed: int = 0, defect: str | None = None) -> list[NDArray[np.uint8]]:
    rng = np.random.default_rng(seed)
    return [plate(rng, defect) for _ in range(count)]


def inspected() -> list[NDArray[np.uint8]]:
    """Good and defective plates that no model here has seen."""
    return [*plates(4, 1), *plates(2, 2, "scratch"), *plates(2, 3, "blot")]


def tall(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(image, (WIDTH, HEIGHT)), np.uint8)


def disc() -> NDArray[np.bool_]:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    return np.asarray((rows - 70) ** 2 + (columns - 50) ** 2 < 40**2)


def plain() -> DifferNet:
    """AlexNet at two scales, four views, no local score."""
    return DifferNet(preset("default").with_overrides(SMALL), device="cpu").fit(plates(24))


def local() -> DifferNet:
    """An ensemble on EfficientNet-Lite0, whose score joins the cells', with a review threshold."""
    return DifferNet(preset("default").with_overrides(LOCAL), device="cpu").fit(plates(24))


def region() -> DifferNet:
    """A region of interest, rotations, and a threshold beyond the scores by a generalised Pareto tail."""
    overrides = {**SMALL, "views.kind": "rotations", "views.count": 9, "extractor.scales": 1}
    model = DifferNet(preset("default").with_overrides(overrides), region=RegionOfInterest(disc()), device="cpu")
    model.fit([tall(image) for image in plates(24)])
    good = [tall(image) for image in plates(24, 5)]
    model.calibrate(good, false_reject_rate=0.01, tail="generalized-pareto")
    return model


MAKERS: dict[str, Callable[[], DifferNet]] = {"plain": plain, "local": local, "region": region}


def exported(factory: pytest.TempPathFactory, name: str) -> Exported:
    """Make a model and export it, unless another test, perhaps of another process, has."""
    shared = factory.getbasetemp()
    if shared.name.startswith("popen-"):  # a process of pytest-xdist has a folder of its own below the common one
        shared = shared.parent
    folder = shared / "exported" / name
    files = Exported(folder / "model.safetensors", folder / "model.onnx", folder / "model.xml")
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not files.openvino.exists():
            model = MAKERS[name]()
            model.save(files.model)
            export_model(model, files.onnx, with_map=True)
            convert_to_openvino(files.onnx, files.openvino)
    return files
