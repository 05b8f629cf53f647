"""What was learnt, as one object that does not change."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version

import numpy as np
import torch
from torch import Tensor

from differnet.calibration import Calibration, Source
from differnet.features.reference import Reference
from differnet.flow import DensityModel
from differnet.images import PixelScale, RegionOfInterest
from differnet.localization.local_model import LocalModel
from differnet.model_file.bundle import read_bundle, write_bundle
from differnet.model_file.manifest import Manifest, TrainingRecord
from differnet.model_file.signing import TrustedKeys
from differnet.model_file.tensors import Parts, pack, unpack
from differnet.scoring import CommonScale
from differnet.settings import Settings

__all__ = ["FittedModel"]


@dataclass(frozen=True, eq=False)
class FittedModel:
    """All that training and calibration found out; what gives verdicts reads it, and nothing writes to it.

    It is whole at any time: what changes a model makes another one. It can be pickled, deep-copied and sent to
    another process, as the manifest and the tensors that a model file holds, and these identities hold:

    - ``FittedModel.load(path)`` after ``model.save(path)`` scores every image as ``model`` does, to the last bit;
    - so do ``copy.deepcopy(model)``, ``pickle.loads(pickle.dumps(model))`` and ``model.to("cpu")``;
    - ``model.manifest.model_id`` is the same in all of them, and differs wherever a raw score could;
    - ``model.calibrated(...)`` leaves `flow`, `local`, `scale` and the model id as they are.

    Attributes:
        manifest: Settings, how the model came about, its threshold's record: all but the tensors.
        flow: The density of good images' features, for inference only.
        local: The model of good cells; None for methods of localization without one.
        scale: Joins the scores of flow and cells; None where the flow's alone counts.
        scores: (n,) float32 scores of good images that the flow which gave them was not trained on.
        peaks: (n,) float32 hottest raw map value of each of these images; empty if that was not measured.
        source: Where the scores came from.
        calibration: The threshold; None if there is none.
        region: The region of interest; None for whole images.
        reference: What the training images looked like; None where that is not known.
    """

    manifest: Manifest
    flow: DensityModel
    local: LocalModel | None = None
    scale: CommonScale | None = None
    scores: Tensor = field(default_factory=lambda: torch.empty(0))
    peaks: Tensor = field(default_factory=lambda: torch.empty(0))
    source: Source = "held-out"
    calibration: Calibration | None = None
    region: RegionOfInterest | None = None
    reference: Reference | None = None

    @property
    def settings(self) -> Settings:
        """The settings that it was fitted with."""
        return self.manifest.settings

    @property
    def pixel_scale(self) -> PixelScale | None:
        """What becomes black and white of pixels of more than eight bits; None for what images have by default."""
        return None if self.manifest.training.seen is None else self.manifest.training.seen.scale

    @property
    def is_imported(self) -> bool:
        """Whether the authors' code trained it."""
        return self.manifest.training.origin == "official"

    @classmethod
    def describe(
        cls,
        settings: Settings,
        parts: Parts,
        *,
        features: int,
        extractor_sha256: str,
        training: TrainingRecord,
        source: Source = "held-out",
        recipe: str | None = None,
    ) -> FittedModel:
        """Make a model of what was just learnt, with a manifest of its own.

        Args:
            settings: That it was fitted with.
            parts: What was learnt.
            features: Number of features, d.
            extractor_sha256: Fingerprint of the extractor's weights.
            training: How it went.
            source: Where the held-out scores came from.
            recipe: Text of the recipe that the settings come from.
        """
        manifest = Manifest(
            package_version=version("differnet"),
            created=datetime.now(timezone.utc).replace(microsecond=0),
            settings=settings,
            features=features,
            extractor_sha256=extractor_sha256,
            model_id=_model_id(settings, extractor_sha256, parts, training),
            training=training,
            recipe=recipe,
        )
        return cls._of(manifest, parts, source)

    def calibrated(
        self, calibration: Calibration, scores: Tensor | None = None, peaks: Tensor | None = None, *, source: Source
    ) -> FittedModel:
        """The same model with another threshold.

        Args:
            calibration: The threshold.
            scores: (n,) float32 that it comes from; None for those that the model has.
            peaks: (n,) float32 hottest raw map values of the same images.
            source: Where the scores came from.
        """
        return replace(
            self,
            manifest=self.manifest.model_copy(update={"calibration": calibration.record(source)}),
            scores=self.scores if scores is None else scores,
            peaks=self.peaks if peaks is None else peaks,
            source=source,
            calibration=calibration,
        )

    def to(self, device: torch.device | str) -> FittedModel:
        """The same model with its networks on a device; this one stays where it is."""
        device = torch.device(device)
        if self.flow.device == device:
            return self
        found = unpack("model", self.manifest, self.tensors())
        local = None if self.local is None else self.local.to(device)
        return replace(self, flow=found.flow.to(device).eval(), local=local)

    def tensors(self) -> dict[str, Tensor]:
        """What a model file holds beside the manifest, by name."""
        parts = Parts(
            self.flow, self.scores, self.peaks, self.calibration, self.local, self.scale, self.region, self.reference
        )
        return pack(parts, stored=self.settings.flow.stored)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the model file; see `differnet.model_file.bundle`.

        Raises:
            OutputError: If the file cannot be written.
        """
        write_bundle(path, self.manifest, self.tensors())

    @classmethod
    def load(
        cls, path: str | os.PathLike[str], device: torch.device | str = "cpu", *, trusted: TrustedKeys | None = None
    ) -> FittedModel:
        """Read a model file; nothing in it is executed.

        Args:
            path: A file that `save` wrote.
            device: Where its networks are to compute.
            trusted: Keys of which one must have signed it; None takes any file.

        Raises:
            ModelFileError: If the file is missing, damaged, foreign, of another format version, or not signed by a
                trusted key.
        """
        manifest, tensors = read_bundle(path, trusted)
        parts = unpack(path, manifest, tensors)
        record = manifest.calibration
        source: Source = "held-out" if record is None else record.scores_source or record.source
        return cls._of(manifest, parts, source)._moved(torch.device(device))

    def __reduce__(self) -> tuple[object, ...]:
        # As a file has it. The members of an ensemble share their memory, of which each would be pickled with all.
        copies = {name: tensor.detach().cpu().clone().contiguous() for name, tensor in self.tensors().items()}
        device = str(self.flow.device)
        return _restored, (self.manifest.model_dump_json(), copies, self.source, device)

    def _moved(self, device: torch.device) -> FittedModel:
        local = None if self.local is None else self.local.to(device)
        return replace(self, flow=self.flow.to(device), local=local)

    @classmethod
    def _of(cls, manifest: Manifest, parts: Parts, source: Source) -> FittedModel:
        return cls(
            manifest,
            parts.flow.eval(),
            parts.local,
            parts.scale,
            parts.scores,
            parts.peaks,
            source,
            parts.calibration,
            parts.region,
            parts.reference,
        )


def _restored(manifest_json: str, tensors: Mapping[str, Tensor], source: Source, device: str) -> FittedModel:
    manifest = Manifest.model_validate_json(manifest_json)
    model = FittedModel._of(manifest, unpack("pickled model", manifest, dict(tensors)), source)
    return model._moved(torch.device(device))


def _model_id(settings: Settings, extractor_sha256: str, parts: Parts, training: TrainingRecord) -> str:
    """Fingerprint of all that a raw score depends on."""
    digest = hashlib.sha256(f"{settings.model_dump_json()}{extractor_sha256}".encode())
    for name, tensor in sorted(parts.flow.state_dict().items()):
        digest.update(name.encode() + tensor.cpu().contiguous().numpy().tobytes())
    if parts.scale is not None and parts.local is not None:
        digest.update(parts.scale.usual.numpy().tobytes())
        for tensor in parts.local.state().values():
            digest.update(tensor.cpu().contiguous().numpy().tobytes())
    scale = None if training.seen is None else training.seen.scale
    if scale is not None and (scale.integer, scale.floating) != (None, None):
        digest.update(repr((scale.integer, scale.floating)).encode())
    if parts.region is not None:
        digest.update(str(parts.region.size).encode() + np.packbits(parts.region.mask).tobytes())
    return digest.hexdigest()[:12]
