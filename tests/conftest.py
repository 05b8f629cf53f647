"""What several test files share: the reference numbers, small real-looking images, and a small fitted model."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from safetensors.torch import load_file

from differnet import DifferNet, Settings
from differnet.settings import preset

OFFICIAL = Path(__file__).parent / "data" / "official"

# Small images and a narrow flow: everything is real, only little of it.
SMALL = {
    "views.size": 128,
    "views.flow_size": 128,
    "views.enlarge": True,
    "views.tiles": "none",
    "scoring.join": "soft-maximum",
    "scoring.hottest": 0.03,
    "localization.method": "neighbours",
    "localization.turn_cells": "never",
    "extractor.name": "alexnet",
    "extractor.scales": 2,
    "extractor.stages": [-1],
    "extractor.deviation": False,
    "flow.whiten": False,
    "training.batch_images": 12,
    "training.learning_rate": 2e-4,
    "training.betas": [0.8, 0.8],
    "training.eps": 1e-4,
    "extractor.precision": "float32",
    "views.kind": "right-angles",
    "views.count": 4,
    "views.training_count": 4,
    "flow.hidden": 32,
    "flow.blocks": 4,
    "training.epochs": 6,
    "localization.cells": 300,
    "localization.dimensions": 64,
    "scoring.local": False,
    # Scores by all views, which most tests compare; tests/scoring/test_sequential.py has its own.
    "scoring.error_probability": 0.0,
    "calibration.method": "held-out",
    "calibration.false_reject_rate": 0.1,
}


@pytest.fixture(scope="session")
def official_outputs() -> dict[str, torch.Tensor]:
    return load_file(OFFICIAL / "official_outputs.safetensors")


@pytest.fixture(scope="session")
def official_image() -> Path:
    return OFFICIAL / "image0.png"


@pytest.fixture(scope="session")
def official_state_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state dict as the authors' code saves it: the whole network, unused batch normalisations included."""
    flow = load_file(OFFICIAL / "official_flow_state.safetensors")
    state = {f"nf.{name}": tensor for name, tensor in flow.items()}
    for block in range(8):
        for subnet in ("s1", "s2"):
            state[f"nf.module_list.{2 * block + 2}.{subnet}.bn.weight"] = torch.ones(384)
            state[f"nf.module_list.{2 * block + 2}.{subnet}.bn.running_mean"] = torch.zeros(384)
    state["feature_extractor.features.0.weight"] = torch.zeros(64, 3, 11, 11)
    file = tmp_path_factory.mktemp("official") / "weights.pt"
    torch.save(state, file)
    return file


@pytest.fixture(scope="session")
def small_settings() -> Settings:
    return preset("default").with_overrides(SMALL)


@pytest.fixture(scope="session")
def product(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A product in the MVTec layout: striped plates, defective ones have a bright scratch or a dark blot."""
    root = tmp_path_factory.mktemp("product")
    rng = np.random.default_rng(0)
    for folder, count, defect in (
        ("train/good", 24, None),
        ("test/good", 6, None),
        ("test/scratch", 4, "scratch"),
        ("test/blot", 4, "blot"),
    ):
        (root / folder).mkdir(parents=True)
        for i in range(count):
            Image.fromarray(plate(rng, defect)).save(root / folder / f"{i:03}.png")
    return root


@pytest.fixture(scope="session")
def fitted(product: Path, small_settings: Settings) -> DifferNet:
    return DifferNet(small_settings, device="cpu").fit(product)


@pytest.fixture(scope="session")
def model_file(fitted: DifferNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("model") / "model.safetensors"
    fitted.save(file)
    return file


def plate(rng: np.random.Generator, defect: str | None = None, size: int = 96) -> NDArray[np.uint8]:
    """A photograph-like part: stripes with random phase, shading and noise."""
    rows, columns = np.mgrid[:size, :size]
    stripes = np.sin(columns / 5 + rng.uniform(0, 2 * np.pi))
    image = 120 + 35 * stripes + 10 * (rows / size) + rng.normal(0, 4, (size, size))
    if defect == "scratch":
        start = int(rng.integers(10, size // 2))
        for step in range(size // 2):
            image[start + step - 2 : start + step + 2, start + step // 2 : start + step // 2 + 4] = 250
    elif defect == "blot":
        y, x = rng.integers(25, size - 25, 2)
        image[(rows - y) ** 2 + (columns - x) ** 2 < 260] = 5
    return np.repeat(np.clip(image, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)
