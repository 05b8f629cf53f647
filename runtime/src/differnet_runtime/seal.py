"""A digest at the end of an ONNX file, by which damage to it is seen before any of it is used."""

from __future__ import annotations

import hashlib

__all__ = ["SEAL_BYTES", "is_sound", "sealed"]

# As protobuf has it, of which an ONNX file is one message: whatever follows is merged, so these bytes are one more
# entry of the model's metadata (field 14), with the key "sha256" and 64 hexadecimal digits.
_ENTRY = b"\x72\x4a\x0a\x06sha256\x12\x40"

SEAL_BYTES = len(_ENTRY) + 64
"""Length of the seal; the digest is over all that comes before it."""


def sealed(content: bytes) -> bytes:
    """The content of an ONNX file with its digest behind it; every reader of ONNX takes it as before."""
    return content + _ENTRY + hashlib.sha256(content).hexdigest().encode()


def is_sound(content: bytes) -> bool | None:
    """Whether an ONNX file is as it was written; None if it has no digest, which older files have not."""
    body, seal = content[:-SEAL_BYTES], content[-SEAL_BYTES:]
    if not seal.startswith(_ENTRY):
        return None
    return seal[len(_ENTRY) :] == hashlib.sha256(body).hexdigest().encode()
