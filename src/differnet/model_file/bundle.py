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

from pydantic import ValidationError

from differnet.compute.memory import available_memory
from differnet.compute.tensor_digest import digest_tensors
from differnet.errors import ModelFileError
from differnet.files import written_whole
from differnet.model_file.manifest import FORMAT_VERSION, Manifest
from differnet.model_file.signing import SIGNATURE, SigningKey, TrustedKeys

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["read_bundle", "read_manifest", "sign_bundle", "write_bundle"]

_log = logging.getLogger(__name__)

_FORMAT_NAME = "differnet"
_METADATA_FORMAT = "format"
_METADATA_MANIFEST = "manifest"
_MANIFEST_SHA256 = "manifest_sha256"
_TENSORS_SHA256 = "tensors_sha256"
_DIGESTS = {_MANIFEST_SHA256, _TENSORS_SHA256}
# A safetensors file begins with the length of its header, which the library bounds likewise.
_LENGTH_BYTES = 8
_LONGEST_HEADER = 100_000_000
# Of the file: as it was read, its tensors, and what is made of them. Below so many bytes nobody asks.
_COPIES, _LARGE = 3, 256 << 20
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
    metadata, _ = _read(Path(path), whole=False)
    return _parse_manifest(Path(path), _checked_metadata(Path(path), metadata))


def sign_bundle(path: str | os.PathLike[str], key: SigningKey) -> None:
    """Write a model file anew with a signature; all else in it stays as it is.

    Args:
        path: Of the file; one without digests gets them.
        key: To sign with.

    Raises:
        ModelFileError: If it is not a whole model file.
        OutputError: If it cannot be written.
    """
    import safetensors.torch  # noqa: PLC0415 - reading a manifest must not need torch

    metadata, _, tensors = _read_whole(Path(path))
    digests = _digest(metadata[_METADATA_MANIFEST]), digest_tensors(tensors)
    signed = {
        **metadata,
        _MANIFEST_SHA256: digests[0],
        _TENSORS_SHA256: digests[1],
        SIGNATURE: key.sign(*digests),
    }
    with written_whole(path, also=safetensors.SafetensorError) as part:
        safetensors.torch.save_file(tensors, part, signed)


def read_bundle(path: str | os.PathLike[str], trusted: TrustedKeys | None = None) -> tuple[Manifest, dict[str, Tensor]]:
    """Read a model file whole, and compare it with its digests.

    Of a file of before, which has none, a line is logged.

    Args:
        path: Of the file.
        trusted: Keys of which one must have signed it; None takes any file.

    Returns:
        The manifest, and the tensors by name, on the CPU.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, of another format version, or not signed by a trusted
            key.
    """
    metadata, manifest, tensors = _read_whole(Path(path))
    if trusted is not None:
        trusted.check(path, metadata, (_digest(metadata[_METADATA_MANIFEST]), digest_tensors(tensors)))
    return manifest, tensors


def _read_whole(path: Path) -> tuple[Mapping[str, str], Manifest, dict[str, Tensor]]:
    """Metadata, manifest and tensors of a file that is as it was written."""
    import safetensors.torch  # noqa: PLC0415 - reading a manifest must not need torch

    found, content = _read(Path(path), whole=True)
    metadata = _checked_metadata(Path(path), found)
    manifest = _parse_manifest(Path(path), metadata)
    try:
        tensors = safetensors.torch.load(content)
    except (safetensors.SafetensorError, RuntimeError, TypeError, ValueError, KeyError):
        raise _damaged(path, "its tensors cannot be read") from None
    if _TENSORS_SHA256 not in metadata:
        _log.warning(
            "%s: was written without a digest, so damage to it would not be seen; save the model again to add one.",
            path,
        )
    elif digest_tensors(tensors) != metadata[_TENSORS_SHA256]:
        raise _damaged(path, "its tensors are not those that were written")
    return metadata, manifest, tensors


def _read(path: Path, *, whole: bool) -> tuple[Mapping[str, str], bytes]:
    """The metadata of a safetensors file, and all of it or what it begins with.

    Read by Python, not mapped into memory by safetensors: a drive that does not answer holds up this thread alone, and
    a file that another program overwrites in place does not change a model in use, or end the process by SIGBUS.
    """
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            raise ModelFileError(f"{path}: is a folder, not a model file; give the file that 'differnet train' made.")
        if not stat.S_ISREG(mode):  # opening a pipe may never end
            raise ModelFileError(f"{path}: is not an ordinary file; give the file that 'differnet train' made.")
        with path.open("rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            start = stream.read(_LENGTH_BYTES)
            length = int.from_bytes(start, "little")
            if length > min(size - _LENGTH_BYTES, _LONGEST_HEADER):
                raise ValueError("no header")
            header = stream.read(length)
            metadata, data = _parse_header(header)
            if data != size - _LENGTH_BYTES - length:
                raise ValueError("not whole")
            if whole and size > _LARGE:
                _check_memory(path, size)
            return metadata, start + header + (stream.read() if whole else b"")
    except FileNotFoundError:
        raise ModelFileError(f"{path}: no such model file; check the path.") from None
    except PermissionError:
        raise ModelFileError(
            f"{path}: this user may not read it (permission denied); make the file readable."
        ) from None
    except OSError as error:
        raise ModelFileError(f"{path}: cannot be read ({error.strerror or error}); give a model file.") from None
    except (ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):  # also a zero byte in a path
        raise ModelFileError(f"{path}: is damaged or not a model file; {_COPY_AGAIN}.") from None


def _check_memory(path: Path, size: int) -> None:
    """A file that only says that it is large takes no memory: the system would end the process, not the reading."""
    available = available_memory()
    if available is not None and _COPIES * size > available:
        raise ModelFileError(
            f"{path}: has {size / 1e9:.1f} GB, for which the {available / 1e9:.1f} GB of memory that are free do not "
            f"suffice; close other programs or give this one more, or, if models are smaller here, {_COPY_AGAIN}."
        )


def _parse_header(header: bytes) -> tuple[Mapping[str, str], int]:
    """The metadata of a header, and how many bytes of data belong to it; the rest safetensors checks itself."""
    table = json.loads(header)
    metadata = table.pop("__metadata__", {})
    if not all(isinstance(value, str) for value in metadata.values()):
        raise TypeError("metadata")
    return metadata, max((int(entry["data_offsets"][1]) for entry in table.values()), default=0)


def _checked_metadata(path: Path, metadata: Mapping[str, str]) -> Mapping[str, str]:
    """The metadata of a model file, if its manifest is what was written."""
    if metadata.get(_METADATA_FORMAT) != _FORMAT_NAME or _METADATA_MANIFEST not in metadata:
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
