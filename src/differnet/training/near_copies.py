"""Which good images show the same thing: copies, recompressed, brightened, turned or flipped ones, frames of one part.

Such images are no independent witnesses: what learnt from one of them scores the others as if it had seen them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["Comparison", "NearCopies"]

_SIDE = 32
# So many principal components, a share of the images' number, are what parts have in common.
_COMMON_SHARE, _COMMON_LEAST, _COMMON_MOST = 0.1, 5, 200
_COMMON_IMAGES = 2000
# Moved by less than a cell these differ by their slopes, which are common then too: those of the mean and so many.
_MOVED = 10
# Near-copies agree by more than this in what is left, ...
_AGREEMENT = 0.8
# ... and lack less of full agreement than a share of what the eighth-best match lacks. From few images it cannot be
# told well what parts have in common, so that the share begins low: a tenth, and 0.3 from 240 images on.
_MATCH = 8
_SHARE_LEAST, _SHARE_MOST, _SHARE_IMAGES = 0.1, 0.3, 800
# Where that finds so many images that somebody must have taken parts several times, less is enough: four frames of
# each of 60 cells make 61 to 66 groups then, 89 to 102 by the strict rule, of which at most two hold two cells.
_MANY_COPIES = 0.2
_LOOSE_AGREEMENT, _LOOSE_SHARE = 0.6, 0.6
_BLOCK = 256
# More images than this are compared by so many random projections, to 0.02 of agreement.
_MANY, _PROJECTIONS = 2000, 512
_EPS = 1e-6

Values: TypeAlias = NDArray[np.float32]


@dataclass(frozen=True)
class Comparison:
    """What comparing images found.

    Attributes:
        links: Pairs of images that show the same thing, the lower place first, ascending.
        nearest: For each image the place of the one that agrees with it most.
    """

    links: tuple[tuple[int, int], ...]
    nearest: tuple[int, ...]


class NearCopies:
    """Takes small grey versions of images, and finds those that show the same thing.

    What all images have in common, their mean and first principal components (position, light, kinds of a product), is
    taken away, and how that looks when it is moved by a pixel or two. What is left is a part's own: grain, scratches,
    the chance of its surface. Agreement is the correlation in that, in the best of the square's eight positions. No two
    of the demo's 300 solar cells are linked; a cell and its copy at JPEG quality 85, at +-3 % brightness or flipped
    agree by 0.91 to 1, frames moved by up to a pixel, with noise, half of them by 0.71 to 0.92.
    """

    def __init__(self) -> None:
        self._thumbnails: list[NDArray[np.float16]] = []

    def add(self, pixels: NDArray[np.uint8] | None) -> None:
        """Take an image, uint8 (height, width, 3), or None for one that cannot be read and is like no other."""
        if pixels is None:
            noise = np.random.RandomState(len(self)).standard_normal((_SIDE, _SIDE))
            self._thumbnails.append(noise.astype(np.float16))
            return
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        self._thumbnails.append(cv2.resize(grey, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA).astype(np.float16))

    def __len__(self) -> int:
        return len(self._thumbnails)

    def compare(self) -> Comparison:
        """Compare all images with each other; places are counted in the order in which they were added."""
        if len(self) < 2:
            return Comparison((), (0,) * len(self))
        images = np.stack(self._thumbnails).astype(np.float32)
        count = len(images)
        match = min(_MATCH, max(count // 2, 1))
        lacking, nearest = np.empty(count, np.float32), np.empty(count, np.int64)
        candidates: list[tuple[int, int, float]] = []
        for start, agreement in _agreements(images):
            rows = np.arange(len(agreement))
            agreement[rows, start + rows] = -1.0
            lacking[start : start + len(rows)] = 1.0 - np.partition(agreement, count - match, axis=1)[:, count - match]
            nearest[start : start + len(rows)] = agreement.argmax(axis=1)
            for row, column in np.argwhere(agreement > _LOOSE_AGREEMENT).tolist():
                candidates.append((start + row, column, float(agreement[row, column])))

        def found(least: float, share: float) -> set[tuple[int, int]]:
            return {
                (min(one, other), max(one, other))
                for one, other, agreement in candidates
                if agreement > least and 1.0 - agreement < share * min(lacking[one], lacking[other])
            }

        links = found(_AGREEMENT, min(max(count / _SHARE_IMAGES, _SHARE_LEAST), _SHARE_MOST)).union(_equal(images))
        if len({place for link in links for place in link}) > _MANY_COPIES * count:
            links |= found(_LOOSE_AGREEMENT, _LOOSE_SHARE)
        return Comparison(tuple(sorted(links)), tuple(nearest.tolist()))


def _agreements(images: Values) -> Iterator[tuple[int, Values]]:
    """Yield the first row, and the rows, of the matrix of agreements of (n, side, side) images, block by block."""
    standard = _standardised(images)
    mean = standard.mean(axis=0)
    common = _with_moved(mean, _components(standard - mean))
    projection = None
    if len(images) > _MANY:
        random = np.random.RandomState(0)
        projection = random.standard_normal((standard.shape[1], _PROJECTIONS)).astype(np.float32)

    def own(of_images: Values) -> Values:
        left = of_images - mean
        left -= (left @ common.T) @ common
        if projection is not None:
            left = left @ projection
        lengths = np.linalg.norm(left, axis=1, keepdims=True)
        return np.where(lengths > _EPS * _SIDE, left / np.maximum(lengths, _EPS), 0.0)

    every = own(standard)
    for start in range(0, len(images), _BLOCK):
        block = images[start : start + _BLOCK]
        best = np.full((len(block), len(images)), -1.0, np.float32)
        for turns in range(4):
            turned = np.rot90(block, turns, (1, 2))
            for position in (turned, turned[:, :, ::-1]):
                np.maximum(best, own(_standardised(position)) @ every.T, out=best)
        yield start, best


def _standardised(images: Values) -> Values:
    """(n, side, side) as (n, side * side) with mean 0 and deviation 1, so that light and contrast count for nothing."""
    flat = images.reshape(len(images), -1)
    flat = flat - flat.mean(axis=1, keepdims=True)
    return flat / np.maximum(flat.std(axis=1, keepdims=True), _EPS)


def _components(centred: Values) -> Values:
    """The first principal components of (n, d) vectors, (k, d)."""
    count = len(centred)
    wanted = min(max(round(_COMMON_SHARE * count), min(_COMMON_LEAST, count // 3)), _COMMON_MOST)
    if not wanted:
        return np.zeros((0, centred.shape[1]), np.float32)
    some = centred[:: -(-count // _COMMON_IMAGES)]
    if len(some) > some.shape[1]:
        return np.linalg.eigh(some.T @ some)[1][:, ::-1][:, :wanted].T
    values, vectors = np.linalg.eigh(some @ some.T)
    kept = values[::-1][:wanted] > _EPS * max(float(values[-1]), _EPS)
    axes = vectors[:, ::-1][:, :wanted][:, kept].T @ some
    return np.asarray(axes / np.linalg.norm(axes, axis=1, keepdims=True), np.float32)


def _with_moved(mean: Values, components: Values) -> Values:
    """Orthonormal directions: (k, d) components, and what they and the mean change by where they are moved a little."""
    moved = [
        np.gradient(image.reshape(_SIDE, _SIDE), axis=axis).ravel()
        for image in (mean, *components[:_MOVED])
        for axis in (0, 1)
    ]
    directions, lengths, _ = np.linalg.svd(np.concatenate([components, moved]).T, full_matrices=False)
    return np.asarray(directions[:, lengths > _EPS * max(float(lengths[0]), _EPS)].T, np.float32)


def _equal(images: Values) -> Iterator[tuple[int, int]]:
    """Pairs of images that are the same to the last bit; they may have nothing of their own to agree in."""
    first: dict[bytes, int] = {}
    for place, image in enumerate(images):
        before = first.setdefault(image.tobytes(), place)
        if before != place:
            yield before, place
