"""Model files that were damaged are refused, and the tensor at fault is named."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from differnet import DifferNet
from differnet.errors import (
    ModelFileError,
)
from differnet.model_file.bundle import read_bundle, write_bundle


def test_tensors_of_the_wrong_shape_are_refused(model_file: Path, tmp_path: Path) -> None:
    manifest, tensors = read_bundle(model_file)
    name = "flow.blocks.0.subnet1.0.weight"
    for change in ({name: torch.zeros(2, 2)}, {}):
        kept = {key: tensor for key, tensor in tensors.items() if key != name} | change
        write_bundle(tmp_path / "m.safetensors", manifest, kept)
        with pytest.raises(ModelFileError, match="subnet1"):
            DifferNet.load(tmp_path / "m.safetensors")


def spoil(model_file: Path, target: Path, change: dict[str, torch.Tensor | None]) -> Path:
    """Write a model file with some tensors replaced, or left out."""
    manifest, tensors = read_bundle(model_file)
    kept = {name: tensor for name, tensor in (tensors | change).items() if tensor is not None}
    write_bundle(target, manifest, kept)
    return target


def test_a_calibration_that_does_not_follow_from_its_scores_is_refused(model_file: Path, tmp_path: Path) -> None:
    _, tensors = read_bundle(model_file)
    scores = tensors["calibration.scores"]
    for changed in (scores + 0.5, scores[:-1], torch.full_like(scores, torch.nan), None):
        file = spoil(model_file, tmp_path / "m.safetensors", {"calibration.scores": changed})
        with pytest.raises(ModelFileError, match=r"m\.safetensors: .*calibrat"):
            DifferNet.load(file, device="cpu")


def test_damaged_cells_of_good_parts_are_refused_by_name(model_file: Path, tmp_path: Path) -> None:
    names = [name for name in read_bundle(model_file)[1] if name.startswith("local.")]
    assert len(names) == 4
    changes: list[dict[str, torch.Tensor | None]] = [{name: None} for name in names]
    changes += [{name: torch.zeros(3, 3)} for name in names]
    changes.append(dict.fromkeys(names))
    for change in changes:
        file = spoil(model_file, tmp_path / "m.safetensors", change)
        with pytest.raises(ModelFileError, match="|".join(map(re.escape, change))):
            DifferNet.load(file, device="cpu")


def test_a_damaged_region_of_interest_is_refused(model_file: Path, tmp_path: Path) -> None:
    for mask in (torch.ones(96), torch.zeros(96, 96, dtype=torch.uint8), torch.ones(2, 96, 96, dtype=torch.uint8)):
        file = spoil(model_file, tmp_path / "m.safetensors", {"region.mask": mask})
        with pytest.raises(ModelFileError, match=r"region\.mask"):
            DifferNet.load(file, device="cpu")


def test_settings_by_which_images_have_other_features_are_refused(model_file: Path, tmp_path: Path) -> None:
    manifest, tensors = read_bundle(model_file)
    settings = manifest.settings.with_overrides({"extractor.stages": [-2, -1]})
    write_bundle(tmp_path / "m.safetensors", manifest.model_copy(update={"settings": settings}), tensors)
    model = DifferNet.load(tmp_path / "m.safetensors", device="cpu")
    with pytest.raises(ModelFileError, match=r"takes \d+ features, and by its settings an image has \d+"):
        model.score([torch.zeros(64, 64, 3, dtype=torch.uint8).numpy()])
