"""The model file: one safetensors file with all tensors, and a JSON manifest in its metadata.

Reading it executes nothing, and `read_manifest` does not need torch.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
from pydantic import ValidationError

from differnet.errors import ModelFileError
from differnet.files import written_whole
from differnet.model_file.manifest import FORMAT_VERSION, Manifest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_bundle", "read_manifest", "write_bundle"]

_FORMAT_NAME = "differnet"
_METADATA_FORMAT = "format"
_METADATA_MANIFEST = "manifest"


def write_bundle(path: str | os.PathLike[str], manifest: Manifest, tensors: Mapping[str, Tensor]) -> None:
    """Write a model file; it appears under its name only once it is complete.

    Args:
        path: Where to; an existing file is replaced.
        manifest: Everything but the tensors.
        tensors: By name; they are stored as they are.

    Raises:
        OutputError: If the file cannot be written.
    """
    import safetensors.torch  # noqa: PLC0415 - reading a manifest must not need torch

    metadata = {_METADATA_FORMAT: _FORMAT_NAME, _METADATA_MANIFEST: manifest.model_dump_json()}
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with written_whole(path, also=safetensors.SafetensorError) as part:
        safetensors.torch.save_file(contiguous, part, metadata)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read what a model file says of itself, without its tensors and without torch.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or of another format version.
    """
    with _opened(path, framework="numpy") as file:
        return _parse_manifest(Path(path), file.metadata())


def read_bundle(path: str | os.PathLike[str]) -> tuple[Manifest, dict[str, Tensor]]:
    """Read a model file whole.

    Returns:
        The manifest, and the tensors by name, on the CPU.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or of another format version.
    """
    with _opened(path, framework="pt") as file:
        manifest = _parse_manifest(Path(path), file.metadata())
        # Copies: what safetensors gives is the file itself, mapped into memory. A model in use would change, or the
        # process die of SIGBUS, when another program overwrites the file in place.
        return manifest, {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict


def _opened(path: str | os.PathLike[str], framework: str) -> safetensors.safe_open:
    try:
        if Path(path).is_dir():
            raise ModelFileError(f"{path}: is a folder, not a model file; give the file that 'differnet train' made.")
        return safetensors.safe_open(path, framework)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file; check the path.") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}); give a model file.") from None
    except safetensors.SafetensorError:
        raise ModelFileError(
            f"{path}: is damaged or not a model file; copy it again, or train the model again."
        ) from None


def _parse_manifest(path: Path, metadata: Mapping[str, str] | None) -> Manifest:
    if not metadata or metadata.get(_METADATA_FORMAT) != _FORMAT_NAME or _METADATA_MANIFEST not in metadata:
        raise ModelFileError(f"{path}: was not written by differnet; give a file that 'differnet train' made.")
    try:
        fields = json.loads(metadata[_METADATA_MANIFEST])
        version = int(fields["format_version"])
    except (ValueError, TypeError, KeyError):
        raise ModelFileError(f"{path}: its manifest is damaged; copy it again, or train the model again.") from None
    if version > FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: has format version {version}, this differnet reads {FORMAT_VERSION}; upgrade differnet."
        )
    if version < FORMAT_VERSION:
        raise ModelFileError(
            f"{path}: has format version {version}, this differnet reads {FORMAT_VERSION}; train the model again."
        )
    try:
        return Manifest.model_validate(fields)
    except ValidationError as error:
        where = ".".join(str(part) for part in error.errors()[0]["loc"])
        raise ModelFileError(
            f"{path}: its manifest is not valid ('{where}': {error.errors()[0]['msg']}); train the model again."
        ) from None
