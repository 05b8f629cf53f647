"""The tensors of a model file: what a model is made of, by name."""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from differnet.calibration import Calibration
from differnet.errors import ImageError, ModelFileError
from differnet.features.reference import Reference
from differnet.flow import DENSITY_MODELS, DensityModel, StoredPrecision, build_density_model
from differnet.images import RegionOfInterest
from differnet.localization.local_model import LocalModel
from differnet.localization.registry import build_method
from differnet.model_file.manifest import Manifest
from differnet.scoring import CommonScale

__all__ = ["Parts", "pack", "unpack"]

_FLOW_PREFIX = "flow."
_LOCAL_PREFIX = "local."
_SCORES = "calibration.scores"
_PEAKS = "calibration.peaks"
_REGION = "region.mask"
_SCALE = "scoring.usual"
_REFERENCE_PREFIX = "reference."


@dataclass(frozen=True)
class Parts:
    """What a model is made of.

    Attributes:
        flow: On the CPU.
        scores: (n,) float32, of the held-out good images; empty if there are none.
        peaks: (n,) float32, the hottest of their maps; empty if there are none.
        calibration: The threshold; None if there is none.
        local: The model of good cells; None for methods without.
        scale: Of the joined score; None for models that score by the flow alone.
        region: Region of interest; None for whole images.
        reference: What the training images looked like; None where that is not known.
    """

    flow: DensityModel
    scores: Tensor
    peaks: Tensor
    calibration: Calibration | None
    local: LocalModel | None
    scale: CommonScale | None
    region: RegionOfInterest | None
    reference: Reference | None = None


def pack(parts: Parts, *, stored: StoredPrecision) -> dict[str, Tensor]:
    """Name the tensors of a model.

    Args:
        parts: What it is made of.
        stored: Precision of the flow's matrices.
    """
    tensors = {f"{_FLOW_PREFIX}{name}": tensor for name, tensor in parts.flow.state(stored).items()}
    tensors |= {_SCORES: parts.scores, _PEAKS: parts.peaks}
    if parts.local is not None:
        tensors |= {f"{_LOCAL_PREFIX}{name}": tensor for name, tensor in parts.local.state().items()}
    if parts.scale is not None:
        tensors[_SCALE] = parts.scale.usual
    if parts.region is not None:
        tensors[_REGION] = torch.from_numpy(parts.region.mask.astype(np.uint8))
    if parts.reference is not None:
        tensors |= {f"{_REFERENCE_PREFIX}{name}": tensor for name, tensor in parts.reference.state().items()}
    return tensors


def unpack(path: str | os.PathLike[str], manifest: Manifest, tensors: dict[str, Tensor]) -> Parts:
    """The reverse of `pack`.

    Args:
        path: Of the file, for messages.
        manifest: Of the file.
        tensors: Of the file.

    Raises:
        ModelFileError: If a tensor is missing or not as expected.
    """
    for name, tensor in tensors.items():
        # The least and the greatest say the same of all, and take no memory.
        if tensor.is_floating_point() and tensor.numel() and not torch.stack(tensor.aminmax()).isfinite().all():
            raise ModelFileError(f"{path}: the tensor '{name}' holds values that no training gives; train again.")
    scores = tensors.get(_SCORES, torch.empty(0))
    calibration = None
    region = _read_region(path, tensors)
    local = _read_local(path, manifest, tensors)
    flow = _read_flow(path, manifest, tensors)
    if manifest.calibration is not None:
        try:
            calibration = Calibration.restore(manifest.calibration, scores.double().numpy())
        except ModelFileError as error:
            raise ModelFileError(f"{path}: {error}") from None
    return Parts(
        flow=flow,
        scores=scores,
        peaks=tensors.get(_PEAKS, torch.empty(0)),
        calibration=calibration,
        local=local,
        scale=_read_scale(path, manifest, tensors, local) if manifest.settings.scoring.local else None,
        region=region,
        reference=_read_reference(path, tensors),
    )


def _read_flow(path: str | os.PathLike[str], manifest: Manifest, tensors: dict[str, Tensor]) -> DensityModel:
    chosen = manifest.settings.flow
    if chosen.kind not in DENSITY_MODELS:
        raise ModelFileError(
            f"{path}: its density model '{chosen.kind}' is not known here; register it, or train the model again."
        )
    state = {
        name.removeprefix(_FLOW_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_FLOW_PREFIX)
    }
    # Before anything is made by them: whatever a flow is, it keeps a number for each feature, in each of its members.
    kept = sum(tensor.numel() for tensor in state.values())
    if manifest.features * manifest.training.members > kept:
        raise ModelFileError(
            f"{path}: its tensors are not those of {manifest.training.members} flow(s) of {manifest.features} "
            "features, of which its manifest tells; train again."
        )
    with torch.device("meta"):
        flow = build_density_model(manifest.features, chosen, manifest.training.members)
    try:
        flow.load_state(state, chosen.stored)
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the tensor '{_FLOW_PREFIX}{error.args[0]}' is missing or not as expected; train again."
        ) from None
    return flow


def _read_local(path: str | os.PathLike[str], manifest: Manifest, tensors: dict[str, Tensor]) -> LocalModel | None:
    local = {
        name.removeprefix(_LOCAL_PREFIX): tensor for name, tensor in tensors.items() if name.startswith(_LOCAL_PREFIX)
    }
    try:
        return build_method(manifest.settings.localization).restore(local)
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the tensor '{_LOCAL_PREFIX}{error.args[0]}' is missing or not as expected; train again."
        ) from None


def _read_reference(path: str | os.PathLike[str], tensors: dict[str, Tensor]) -> Reference | None:
    state = {
        name.removeprefix(_REFERENCE_PREFIX): tensor
        for name, tensor in tensors.items()
        if name.startswith(_REFERENCE_PREFIX)
    }
    if not state:
        return None
    try:
        return Reference.from_state(state)
    except (KeyError, ValueError) as error:
        raise ModelFileError(
            f"{path}: the tensor '{_REFERENCE_PREFIX}{error.args[0]}' is missing or not as expected; train again."
        ) from None


def _read_region(path: str | os.PathLike[str], tensors: dict[str, Tensor]) -> RegionOfInterest | None:
    mask = tensors.get(_REGION)
    if mask is None:
        return None
    try:
        return RegionOfInterest(mask.numpy().astype(bool))
    except ImageError:
        raise ModelFileError(f"{path}: the tensor '{_REGION}' is not as expected; train again.") from None


def _read_scale(
    path: str | os.PathLike[str], manifest: Manifest, tensors: dict[str, Tensor], local: LocalModel | None
) -> CommonScale:
    usual, planes = tensors.get(_SCALE), 1 if local is None else local.planes
    if usual is None or usual.dtype != torch.float64 or usual.shape != (1 + planes, 2):
        raise ModelFileError(f"{path}: the tensor '{_SCALE}' is missing or not as expected; train again.")
    if not (usual.isfinite().all() and (usual[:, 1] > 0).all()):
        raise ModelFileError(f"{path}: the tensor '{_SCALE}' holds values that no training gives; train again.")
    scoring = manifest.settings.scoring
    return CommonScale(usual, scoring.join, *scoring.weights)
