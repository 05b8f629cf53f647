"""Good images in an order that what they show decides, whatever their names, files and order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing

from differnet.compute.threads import count_workers, map_ahead, workers_with_own_cores
from differnet.errors import ImageError
from differnet.images import ImageSource, PixelScale, decode_image

__all__ = ["order_of_contents"]

# Floating-point images beyond [0, 1] are refused unless a scale is known; any will do to tell images apart.
_ANY = PixelScale(floating=(0.0, 1.0))


def order_of_contents(sources: Sequence[ImageSource]) -> list[int]:
    """The places of images in the order of a hash of their pixels.

    Chance divides images into folds by their places. In this order the folds, and with them what is learnt, are the
    same for files that were renamed, saved in another format without loss, or given as arrays. All images are decoded
    once for it.

    Args:
        sources: Images; those that cannot be read come last.
    """
    workers = count_workers()
    with workers_with_own_cores(workers) as pool, closing(map_ahead(pool, _digest, sources, workers)) as found:
        digests = [*found]
    return sorted(range(len(digests)), key=lambda place: (digests[place] is None, digests[place] or b""))


def _digest(source: ImageSource) -> bytes | None:
    try:
        image = decode_image(source, scale=_ANY)
    except ImageError:
        return None
    return hashlib.sha256(f"{image.pixels.shape} {image.depth}".encode() + image.pixels.tobytes()).digest()
