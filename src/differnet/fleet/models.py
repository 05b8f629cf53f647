"""The models that score an archive, and the pretrained weights that they need."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from differnet.calibration import Calibration
from differnet.errors import DatasetError, WeightsError
from differnet.extractors import Weights, check_own, find_weights
from differnet.features.reference import Reference
from differnet.model_file.bundle import read_manifest
from differnet.model_file.fitted_model import FittedModel
from differnet.model_file.manifest import Manifest

__all__ = ["FleetModels", "find_models"]


@dataclass(frozen=True)
class FleetModels:
    """The models that score an archive.

    Attributes:
        files: Model files by product.
        manifests: What they say of themselves.
        only: The product of all images, where one model file was given.
    """

    files: Mapping[str, Path]
    manifests: Mapping[str, Manifest]
    only: str | None = None

    @property
    def thresholds(self) -> dict[str, float | None]:
        """Their thresholds by product, None for those without."""
        return {
            name: None if manifest.calibration is None else manifest.calibration.threshold
            for name, manifest in self.manifests.items()
        }

    @property
    def model_ids(self) -> dict[str, str]:
        """Ids of the models by product."""
        return {name: manifest.model_id for name, manifest in self.manifests.items()}

    def known(self, product: str) -> tuple[Reference | None, Calibration | None]:
        """What the training images of a product looked like, None of earlier models; and its threshold.

        Raises:
            ModelFileError: If its file was damaged meanwhile.
        """
        model = FittedModel.load(self.files[product])
        return model.reference, model.calibration

    def weights(self, path: str | None = None) -> dict[str, Weights]:
        """The pretrained weights that the models need, by the name of the extractor.

        Raises:
            WeightsError: If they are not found, or not those that a model was trained with.
        """
        for product, manifest in self.manifests.items():
            check_own(manifest.settings.extractor.name, manifest.extractor_sha256, None, self.files[product])
        names = {manifest.settings.extractor.name for manifest in self.manifests.values()}
        found: dict[str, Weights] = {name: find_weights(name, path=path) for name in sorted(names)}
        for product, manifest in self.manifests.items():
            weights = found[manifest.settings.extractor.name]
            if weights.fingerprint != manifest.extractor_sha256:
                raise WeightsError(
                    f"{self.files[product]}: was trained with other {manifest.settings.extractor.name} weights "
                    f"(SHA-256 {manifest.extractor_sha256[:12]}...) than those in {weights.origin} "
                    f"({weights.fingerprint[:12]}...); point --weights or DIFFERNET_WEIGHTS at the former."
                )
        return found


def find_models(source: str | os.PathLike[str]) -> FleetModels:
    """Find models: one file, which scores everything, or a folder with a file for each product.

    Raises:
        DatasetError: If the folder has none.
        ModelFileError: If a file is missing or not a model.
    """
    path = Path(source)
    files = sorted(path.glob("*.safetensors")) if path.is_dir() else [path]
    if not files:
        raise DatasetError(f"{source}: holds no model files (*.safetensors); 'differnet fleet train' makes them.")
    found = {file.stem: file for file in files}
    manifests = {name: read_manifest(file) for name, file in found.items()}
    return FleetModels(found, manifests, None if path.is_dir() else path.stem)
