"""Good images in an order that what they show decides, whatever their names, files and order."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import closing

from differnet.compute.threads import count_workers, map_ahead, workers_with_own_cores
from differnet.errors import ImageError
from differnet.images import ImageSource, ScaleSource, decode_image

__all__ = ["order_of_contents"]


def order_of_contents(sources: Sequence[ImageSource], scale: ScaleSource = None) -> list[int]:
    """The places of images in the order of a hash of their pixels.

    Chance divides images into folds by their places. In this order the folds, and with them what is learnt, are the
    same for files that were renamed, saved in another format without loss, or given as arrays. All images are decoded
    once for it.

    Args:
        sources: Images; those that cannot be read come last.
        scale: What becomes black and white of pixels of more than eight bits.
    """

    def digest(source: ImageSource) -> bytes | None:
        try:
            pixels = decode_image(source, scale=scale).pixels
        except ImageError:
            return None
        return hashlib.sha256(str(pixels.shape).encode() + pixels.tobytes()).digest()

    workers = count_workers()
    with workers_with_own_cores(workers) as pool, closing(map_ahead(pool, digest, sources, workers)) as found:
        digests = [*found]
    return sorted(range(len(digests)), key=lambda place: (digests[place] is None, digests[place] or b""))
