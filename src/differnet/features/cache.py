"""Features and cells of images that were seen before, kept in a folder."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.torch
from numpy.typing import NDArray
from torch import Tensor

from differnet.compute.tensor_digest import digest_tensors
from differnet.errors import OutputError
from differnet.features.describer import Cells
from differnet.files import replacing

__all__ = ["CachedImage", "FeatureCache"]

_FEATURES = "features"
_SHA256 = "sha256"


@dataclass(frozen=True)
class CachedImage:
    """What is kept of an image.

    Attributes:
        features: (V, d) float32.
        cells: Its cells, where they were asked for.
    """

    features: Tensor
    cells: Cells | None


class FeatureCache:
    """Keeps the features of images from one training to the next: a file for each image, 0.5 MB with cells.

    The name of a file is a hash over the image's pixels as the extractor sees them and over all else that the features
    depend on, so that nothing out of date is ever read: another size, another extractor, other views give other names.
    Old files are left; the folder may be deleted at any time. Several processes may share it.

    Args:
        folder: Is made if it does not exist.

    Raises:
        OutputError: If the folder cannot be made.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder = Path(folder)
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"{folder}: cannot be made ({error.strerror}); choose another folder for the features."
            ) from None

    @staticmethod
    def key(pixels: NDArray[np.uint8], description: str) -> str:
        """Name what is kept of an image.

        Args:
            pixels: uint8, what the extractor sees.
            description: Everything else that the features depend on.
        """
        digest = hashlib.sha256(description.encode())
        digest.update(np.ascontiguousarray(pixels).data)
        return digest.hexdigest()

    def get(self, key: str, kind: type[Cells] | None = None) -> CachedImage | None:
        """What is kept under a name; None if there is nothing, or if it is damaged.

        Args:
            key: The name.
            kind: Of the cells that are kept with the features; None for none.
        """
        try:
            with safetensors.safe_open(self._file(key), "pt") as file:
                written = (file.metadata() or {}).get(_SHA256)
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a dict
            if digest_tensors(tensors) != written:
                return None
            features = tensors.pop(_FEATURES)
            return CachedImage(features, None if kind is None else kind(**tensors))
        except (OSError, KeyError, TypeError, safetensors.SafetensorError):
            return None

    def put(self, key: str, image: CachedImage) -> None:
        """Keep features under a name.

        Raises:
            OutputError: If the file cannot be written.
        """
        tensors = {_FEATURES: image.features, **({} if image.cells is None else image.cells.tensors())}
        file = self._file(key)
        try:
            file.parent.mkdir(exist_ok=True)
            with replacing(file) as part:
                kept = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
                safetensors.torch.save_file(kept, part, {_SHA256: digest_tensors(kept)})
        except (OSError, safetensors.SafetensorError) as error:
            raise OutputError(
                f"{self.folder}: features cannot be written ({error}); make room, or choose another folder."
            ) from None

    def _file(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"
