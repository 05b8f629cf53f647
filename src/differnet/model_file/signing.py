"""Signatures of model files (Ed25519, RFC 8032), by which a plant tells its own models from all others.

What is signed are the digests of manifest and tensors, so that a signature holds for all that a file says and does.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from differnet.errors import MissingExtraError, ModelFileError, OutputError, SettingsError
from differnet.installing import install_extra

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

__all__ = ["SIGNATURE", "SigningKey", "TrustedKeys", "make_key"]

SIGNATURE = "signature"
"""The entry of a file's metadata: ``<id of the key>:<signature in base64>``."""

_SIGNED = "differnet model file, version 1"
_ID_DIGITS = 16
_MOST_BYTES = 64 << 10


class SigningKey:
    """A private key that signs model files.

    Args:
        path: A PEM file that `make_key` wrote.

    Raises:
        SettingsError: If it is none.
        MissingExtraError: If the package cryptography is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        serialization, ed25519 = _cryptography()
        try:
            key = serialization.load_pem_private_key(_read(path), password=None)
        except (ValueError, TypeError):
            raise SettingsError(f"{path}: is no private key; 'differnet sign --new-key FILE' makes one.") from None
        if not isinstance(key, ed25519.Ed25519PrivateKey):
            raise SettingsError(f"{path}: is a key of another kind than Ed25519; make one by --new-key.")
        self._key: Ed25519PrivateKey = key
        self.id = _key_id(key.public_key())

    def sign(self, manifest_sha256: str, tensors_sha256: str) -> str:
        """The entry of the metadata of a file with these digests."""
        signature = self._key.sign(_signed(manifest_sha256, tensors_sha256))
        return f"{self.id}:{base64.b64encode(signature).decode()}"


class TrustedKeys:
    """The public keys whose models are accepted.

    Args:
        paths: PEM files that `make_key` wrote.

    Raises:
        SettingsError: If one is none, or there are none.
        MissingExtraError: If the package cryptography is not installed.
    """

    def __init__(self, paths: Iterable[str | os.PathLike[str]]) -> None:
        serialization, ed25519 = _cryptography()
        self._keys: dict[str, Ed25519PublicKey] = {}
        for path in paths:
            try:
                key = serialization.load_pem_public_key(_read(path))
            except (ValueError, TypeError):
                raise SettingsError(f"{path}: is no public key; give the .pub file that was made with it.") from None
            if not isinstance(key, ed25519.Ed25519PublicKey):
                raise SettingsError(f"{path}: is a key of another kind than Ed25519; give one of 'differnet sign'.")
            self._keys[_key_id(key)] = key
        if not self._keys:
            raise SettingsError("There are no trusted keys; give the .pub file of one.")

    def check(self, path: str | os.PathLike[str], metadata: Mapping[str, str], digests: tuple[str, str]) -> None:
        """Make sure that one of the keys has signed a file.

        Args:
            path: Of the file, for messages.
            metadata: Of the file.
            digests: Of its manifest and its tensors, as they were found to be.

        Raises:
            ModelFileError: If it has not.
        """
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - an extra

        entry = metadata.get(SIGNATURE)
        if entry is None:
            raise ModelFileError(f"{path}: is not signed; sign it with a trusted key ('differnet sign').")
        identity, _, text = entry.partition(":")
        key = self._keys.get(identity)
        if key is None:
            raise ModelFileError(
                f"{path}: is signed with another key ({identity[:_ID_DIGITS]}) than those trusted; sign it again."
            )
        try:
            key.verify(base64.b64decode(text, validate=True), _signed(*digests))
        except (InvalidSignature, binascii.Error, ValueError):
            raise ModelFileError(f"{path}: its signature is not valid; copy it again, or sign it again.") from None


def make_key(path: str | os.PathLike[str]) -> tuple[Path, Path]:
    """Make a pair of keys.

    Args:
        path: Where the private one goes, readable by its owner alone; the public one gets ``.pub`` behind its name.

    Returns:
        The two files.

    Raises:
        OutputError: If they cannot be written, or there are files already.
        MissingExtraError: If the package cryptography is not installed.
    """
    serialization, ed25519 = _cryptography()
    key = ed25519.Ed25519PrivateKey.generate()
    private, public = Path(path), Path(f"{os.fspath(path)}.pub")
    contents = {
        private: key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ),
        public: key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        ),
    }
    for file, content in contents.items():
        try:
            mode = 0o600 if file is private else 0o644
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as stream:
                stream.write(content)
        except FileExistsError:
            raise OutputError(f"{file}: exists already, and is not overwritten; choose another name.") from None
        except OSError as error:
            raise OutputError(f"{file}: cannot be written ({error.strerror}); choose another folder.") from None
    return private, public


def _signed(manifest_sha256: str, tensors_sha256: str) -> bytes:
    return f"{_SIGNED}\n{manifest_sha256}\n{tensors_sha256}\n".encode()


def _key_id(key: Ed25519PublicKey) -> str:
    return hashlib.sha256(key.public_bytes_raw()).hexdigest()[:_ID_DIGITS]


def _read(path: str | os.PathLike[str]) -> bytes:
    file = Path(path)
    try:
        if not file.is_file():
            raise SettingsError(f"{path}: no such key file; check the path.")
        with file.open("rb") as stream:
            return stream.read(_MOST_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"{path}: cannot be read ({reason}); check the path.") from None


def _cryptography() -> tuple[Any, Any]:
    try:
        from cryptography.hazmat.primitives import serialization  # noqa: PLC0415 - an extra
        from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415
    except ImportError:
        raise MissingExtraError(f"Signatures need the package cryptography; run: {install_extra('sign')}") from None
    return serialization, ed25519
