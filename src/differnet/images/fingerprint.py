"""Fingerprints of images: tell whether a model was trained on these, and within this region."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from differnet.images.hashed_file import HashedFile
from differnet.images.read import DecodedImage, ImageSource
from differnet.images.region_of_interest import RegionOfInterest

__all__ = ["content_sample", "data_fingerprint", "region_fingerprint"]

_SAMPLE = 4096


def data_fingerprint(sources: Iterable[ImageSource]) -> str:
    """SHA-256 over the contents of all images, whatever their names and order, but for files that cannot be read.

    Of a `HashedFile` that was read before, its hash is taken.
    """
    digests = []
    for source in sources:
        if isinstance(source, HashedFile) and source.sha256 is not None:
            digests.append(source.sha256)
            continue
        if isinstance(source, np.ndarray):
            content = str((source.shape, source.dtype)).encode() + source.tobytes()
        elif isinstance(source, DecodedImage):
            content = str(source.pixels.shape).encode() + source.pixels.tobytes()
        elif isinstance(source, bytes):
            content = source
        else:
            try:
                content = Path(source).read_bytes()
            except OSError:
                continue
        digests.append(hashlib.sha256(content).digest())
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def content_sample(path: Path) -> bytes:
    """SHA-256 of a file's length and of its first, middle and last 4 kB; empty for one that cannot be read.

    Tells images apart without reading them whole: files are packed, or have the noise of a camera in the middle.
    """
    try:
        with path.open("rb") as file:
            length = file.seek(0, os.SEEK_END)
            digest = hashlib.sha256(str(length).encode())
            for start in (0, length // 2, max(length - _SAMPLE, 0)):
                file.seek(start)
                digest.update(file.read(_SAMPLE))
    except OSError:
        return b""
    return digest.digest()


def region_fingerprint(region: RegionOfInterest | None) -> str:
    """SHA-256 of a region of interest, empty for whole images."""
    if region is None:
        return ""
    return hashlib.sha256(str(region.size).encode() + np.packbits(region.mask).tobytes()).hexdigest()
