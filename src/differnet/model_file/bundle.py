"""The model file: one safetensors file with all tensors, and a JSON manifest in its metadata.

Reading it executes nothing, and `read_manifest` does not need torch.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import safetensors
from pydantic import ValidationError

from differnet.compute.tensor_digest import digest_tensors
from differnet.errors import ModelFileError
from differnet.files import written_whole
from differnet.model_file.manifest import FORMAT_VERSION, Manifest

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_bundle", "read_manifest", "write_bundle"]

_log = logging.getLogger(__name__)

_FORMAT_NAME = "differnet"
_METADATA_FORMAT = "format"
_METADATA_MANIFEST = "manifest"
_MANIFEST_SHA256 = "manifest_sha256"
_TENSORS_SHA256 = "tensors_sha256"
_DIGESTS = {_MANIFEST_SHA256, _TENSORS_SHA256}
_COPY_AGAIN = "copy it again, or train the model again"


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

    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = manifest.model_dump_json()
    metadata = {
        _METADATA_FORMAT: _FORMAT_NAME,
        _METADATA_MANIFEST: text,
        _MANIFEST_SHA256: _digest(text),
        _TENSORS_SHA256: digest_tensors(contiguous),
    }
    with written_whole(path, also=safetensors.SafetensorError) as part:
        safetensors.torch.save_file(contiguous, part, metadata)


def read_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read what a model file says of itself, without its tensors and without torch.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or of another format version.
    """
    with _opened(path, framework="numpy") as file:
        return _parse_manifest(Path(path), _checked_metadata(Path(path), file.metadata()))


def read_bundle(path: str | os.PathLike[str]) -> tuple[Manifest, dict[str, Tensor]]:
    """Read a model file whole, and compare it with its digests.

    Of a file of before, which has none, a line is logged.

    Returns:
        The manifest, and the tensors by name, on the CPU.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or of another format version.
    """
    with _opened(path, framework="pt") as file:
        metadata = _checked_metadata(Path(path), file.metadata())
        manifest = _parse_manifest(Path(path), metadata)
        try:
            # Copies: what safetensors gives is the file itself, mapped into memory. A model in use would change, or
            # the process die of SIGBUS, when another program overwrites the file in place.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118 - not a dict
        except (safetensors.SafetensorError, RuntimeError, TypeError, ValueError, AttributeError):
            raise _damaged(path, "a tensor cannot be read") from None
    if _TENSORS_SHA256 not in metadata:
        _log.warning(
            "%s: was written without a digest, so damage to it would not be seen; save the model again to add one.",
            path,
        )
    elif digest_tensors(tensors) != metadata[_TENSORS_SHA256]:
        raise _damaged(path, "its tensors are not those that were written")
    return manifest, tensors


def _opened(path: str | os.PathLike[str], framework: str) -> safetensors.safe_open:
    try:
        mode = Path(path).stat().st_mode
        if stat.S_ISDIR(mode):
            raise ModelFileError(f"{path}: is a folder, not a model file; give the file that 'differnet train' made.")
        if not stat.S_ISREG(mode):  # opening a pipe may never end
            raise ModelFileError(f"{path}: is not an ordinary file; give the file that 'differnet train' made.")
        return safetensors.safe_open(path, framework)
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file; check the path.") from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}); give a model file.") from None
    except (ValueError, safetensors.SafetensorError):  # also a path with a zero byte
        raise ModelFileError(f"{path}: is damaged or not a model file; {_COPY_AGAIN}.") from None


def _checked_metadata(path: Path, metadata: Mapping[str, str] | None) -> Mapping[str, str]:
    """The metadata of a model file, if its manifest is what was written."""
    if not metadata or metadata.get(_METADATA_FORMAT) != _FORMAT_NAME or _METADATA_MANIFEST not in metadata:
        raise ModelFileError(f"{path}: was not written by differnet; give a file that 'differnet train' made.")
    others = metadata.keys() - {_METADATA_FORMAT, _METADATA_MANIFEST}
    # A digest whose name was damaged must not pass for one that was never there.
    if others and not others >= _DIGESTS:
        raise _damaged(path, "its digests are not complete")
    if others and _digest(metadata[_METADATA_MANIFEST]) != metadata[_MANIFEST_SHA256]:
        raise _damaged(path, "its manifest is not the one that was written")
    return metadata


def _parse_manifest(path: Path, metadata: Mapping[str, str]) -> Manifest:
    try:
        fields = json.loads(metadata[_METADATA_MANIFEST])
        version = int(fields["format_version"])
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError):
        raise ModelFileError(f"{path}: its manifest is damaged; {_COPY_AGAIN}.") from None
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


def _damaged(path: str | os.PathLike[str], how: str) -> ModelFileError:
    return ModelFileError(f"{path}: is damaged ({how}); {_COPY_AGAIN}.")


def _digest(manifest: str) -> str:
    return hashlib.sha256(manifest.encode()).hexdigest()
