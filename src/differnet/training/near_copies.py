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

from differnet.training.congealing import congealed, standardised
from differnet.training.joining import join_groups

__all__ = ["Comparison", "NearCopies"]

# What is kept of an image, and what of it is compared.
_KEPT, _SIDE = 64, 32
# So many principal components, a share of the images' number, are what parts have in common.
_COMMON_SHARE, _COMMON_LEAST, _COMMON_MOST = 0.1, 5, 200
_COMMON_IMAGES = 2000
# Moved by less than a cell these differ by their slopes, which are common then too: those of the mean and so many.
_MOVED = 10
# Near-copies agree by more than this in what is left, ...
_AGREEMENT = 0.8
# ... and lack less of full agreement than a share of what the eighth-best match lacks. From few images it cannot be
# told well what parts have in common, so that the share begins low: a tenth, and 0.3 from 240 images on.
_FURTHER = 8
_SHARE_LEAST, _SHARE_MOST, _SHARE_IMAGES = 0.1, 0.3, 800
# Where that finds so many images that somebody must have taken parts several times, less is enough: four frames of
# each of 60 cells make 58 to 65 groups then.
_MANY_COPIES = 0.2
_LOOSE_AGREEMENT, _LOOSE_SHARE = 0.6, 0.6
# Of few parts, each seen often, the eighth-best match is a copy too, and a tenth of the images' number of components
# would be what tells the parts apart. So besides, groups are looked for where the next eight matches lie far behind: at
# first by these numbers of components, which finds those that show different parts, and then by what these have in
# common. Where the first look links half of the images by a larger share, parts were taken several times. Without
# any components taken away, 40 different cells or screws would be taken for copies.
_FIRST_COMMON, _LOOKS = (5, 15), 2
_SHARE_FIRST, _SHARE_SUSPECTED, _SUSPECTED = 0.15, 0.25, 0.5
_LOOSE_ENDING = 0.5
# Less than this is not told apart where the end of a group is looked for.
_LACKING = 0.03
# Images that were moved onto their mean are compared in such places of theirs.
_SHIFTS = tuple((down, across) for down in (-1, 0, 1) for across in (-1, 0, 1))
_BLOCK = 256
# More images than this are compared by so many random projections, to 0.02 of agreement; of so many is remembered how
# far they agree. Of still more, groups of any size would take many minutes to find, 64 s of a core for 4,000.
_MANY, _PROJECTIONS, _REMEMBERED = 2000, 512, 512
_MOST = 5000
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
    the chance of its surface. Agreement is the correlation in that, in the best of the square's eight positions, or
    where both images were moved onto the mean of all. No two of the demo's 300 solar cells are linked; a cell and its
    copy at JPEG quality 85, at +-3 % brightness or flipped agree by 0.91 to 1.
    """

    def __init__(self) -> None:
        self._thumbnails: list[NDArray[np.float16]] = []

    def add(self, pixels: NDArray[np.uint8] | None) -> None:
        """Take an image, uint8 (height, width, 3), or None for one that cannot be read and is like no other."""
        if pixels is None:
            noise = np.random.RandomState(len(self)).standard_normal((_KEPT, _KEPT))
            self._thumbnails.append(noise.astype(np.float16))
            return
        grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
        self._thumbnails.append(cv2.resize(grey, (_KEPT, _KEPT), interpolation=cv2.INTER_AREA).astype(np.float16))

    def __len__(self) -> int:
        return len(self._thumbnails)

    def compare(self, *, quick: bool = False) -> Comparison:
        """Compare all images with each other; places are counted in the order in which they were added.

        Args:
            quick: Look for pairs and small groups alone, in a fortieth of the time: many pictures of a part, and those
                that lie differently, may be missed.
        """
        count = len(self)
        if count < 2:
            return Comparison((), (0,) * count)
        kept = np.stack(self._thumbnails).astype(np.float32)
        images = _reduced(kept)
        everyone = _Matches(images, None, np.arange(count), _common(count))
        links = set(_equal(kept)) | everyone.close(_share(count), _AGREEMENT)
        if _touched(links) > _MANY_COPIES * count:
            links |= everyone.close(_LOOSE_SHARE, _LOOSE_AGREEMENT)
        if count <= _MOST and not quick:
            links |= _groups_of_any_size(images, _reduced(congealed(kept)))
        return Comparison(tuple(sorted(links)), tuple(everyone.nearest.tolist()))


def _groups_of_any_size(images: Values, moved: Values) -> set[tuple[int, int]]:
    """Pairs of near-copies, however many there are of a part; images and the same moved onto their mean."""
    count = len(images)
    first = [_Matches(images, moved, np.arange(count), common) for common in _FIRST_COMMON]

    def seen(share: float) -> set[tuple[int, int]]:
        return set().union(*(matches.ending(share, _AGREEMENT) for matches in first))

    links = seen(_SHARE_SUSPECTED)
    suspected = _touched(links) > _SUSPECTED * count
    if not suspected:
        links = seen(min(_share(count), _SHARE_FIRST))
    for look in range(_LOOKS):
        parts = np.unique(join_groups(count, links))
        matches = _Matches(images, moved, parts, _common(len(parts)))
        found = matches.ending(_share(len(parts)), _AGREEMENT)
        if suspected or _touched(found) > _MANY_COPIES * count:
            found |= matches.ending(_LOOSE_ENDING, _LOOSE_AGREEMENT)
        # A first look that saw more may have been right: what is common is only a guess until the last one.
        links = found if look or len(found) > len(links) / 2 else links | found
    return links


class _Matches:
    """How far each image agrees with those that agree with it most.

    Args:
        images: Float32 (n, side, side).
        moved: The same, moved onto their mean, by which they may agree too; None for no such.
        parts: Places of images that show different parts: from these it is told what parts have in common.
        common: How many principal components that are.
    """

    def __init__(self, images: Values, moved: Values | None, parts: NDArray[np.int64], common: int) -> None:
        count = len(images)
        remembered = count - 1 if count <= _MANY else min(_REMEMBERED, count - 1)
        self._places = np.empty((count, remembered), np.int64)
        self._agreement = np.empty((count, remembered), np.float32)
        for start, agreement in _agreements(images, moved, parts, common):
            rows = np.arange(len(agreement))
            agreement[rows, start + rows] = -2.0
            if remembered < count - 1:
                some = np.argpartition(agreement, count - remembered, axis=1)[:, count - remembered :]
            else:
                some = np.broadcast_to(np.arange(count), agreement.shape)
            order = np.take_along_axis(some, np.argsort(-np.take_along_axis(agreement, some, 1), axis=1), 1)
            order = order[:, :remembered]
            self._places[start + rows] = order
            self._agreement[start + rows] = np.take_along_axis(agreement, order, 1)

    @property
    def nearest(self) -> NDArray[np.int64]:
        """(n,) place of the image that each agrees with most."""
        return self._places[:, 0]

    def close(self, share: float, least: float) -> set[tuple[int, int]]:
        """Pairs that lack less of full agreement than a share of what the eighth match of either lacks."""
        eighth = min(_FURTHER, max(len(self._places) // 2, 1), self._agreement.shape[1]) - 1
        return self._pairs(np.maximum(1.0 - share * (1.0 - self._agreement[:, eighth]), least))

    def ending(self, share: float, least: float) -> set[tuple[int, int]]:
        """Pairs up to a match of either behind which there is a gap, and the eighth from there lacks far more."""
        ends = self._ends(share, least)
        width = ends.shape[1]
        if not width:
            return set()
        lacking = np.maximum(1.0 - self._agreement, _LACKING)
        gaps = np.where(ends, lacking[:, 1 : width + 1] / lacking[:, :width], 0.0)
        last = gaps.argmax(axis=1)
        return self._pairs(np.where(ends.any(axis=1), self._agreement[np.arange(len(last)), last], np.inf))

    def _ends(self, share: float, least: float) -> NDArray[np.bool_]:
        """(n, k), whether a group may end at a match: the match eight places further lacks far more."""
        lacking = 1.0 - self._agreement
        further = min(_FURTHER, max(len(lacking) // 2, 1), lacking.shape[1] - 1)
        if further < 1:
            return np.zeros((len(lacking), 0), bool)
        width = lacking.shape[1] - further
        return (lacking[:, :width] < share * lacking[:, further:]) & (self._agreement[:, :width] > least)

    def _pairs(self, limits: Values) -> set[tuple[int, int]]:
        """Pairs that agree at least by the limits, (n,), of both."""
        rows, ranks = np.nonzero(self._agreement >= limits[:, None])
        places, agreement = self._places[rows, ranks], self._agreement[rows, ranks]
        both = agreement >= limits[places]
        return {
            (min(row, place), max(row, place))
            for row, place in zip(rows[both].tolist(), places[both].tolist(), strict=True)
        }


def _common(count: int) -> int:
    """How many principal components so many parts have in common."""
    return min(max(round(_COMMON_SHARE * count), min(_COMMON_LEAST, count // 3)), _COMMON_MOST)


def _touched(links: set[tuple[int, int]]) -> int:
    return len({place for link in links for place in link})


def _share(count: int) -> float:
    return min(max(count / _SHARE_IMAGES, _SHARE_LEAST), _SHARE_MOST)


def _agreements(
    images: Values, moved: Values | None, parts: NDArray[np.int64], common: int
) -> Iterator[tuple[int, Values]]:
    """Yield the first row, and the rows, of the matrix of agreements of (n, side, side) images, block by block."""
    own = _Own(images, parts, common)
    every = own(images)
    if moved is not None:
        moved_own = _Own(moved, parts, common)
        every_moved = moved_own(moved)
    both = len(images) <= _MOST
    positions = [own(position) for position in _positions(images)] if both else []
    for start in range(0, len(images), _BLOCK):
        block = slice(start, start + _BLOCK)
        best = np.full((len(every[block]), len(images)), -1.0, np.float32)
        for position in _positions(images[block]):
            np.maximum(best, own(position) @ every.T, out=best)
        for position in positions:  # the other image in another position, which is not quite the same
            np.maximum(best, every[block] @ position.T, out=best)
        if moved is not None:
            for shift in _SHIFTS:
                np.maximum(best, moved_own(moved[block], shift) @ every_moved.T, out=best)
        yield start, best


def _positions(images: Values) -> Iterator[Values]:
    """The eight positions of a square, each of (n, side, side)."""
    for turns in range(4):
        turned = np.rot90(images, turns, (1, 2))
        yield turned
        yield turned[:, :, ::-1]


class _Own:
    """What is left of images without what parts have in common, as vectors of length 1.

    Args:
        images: Float32 (n, side, side).
        parts: Places of images that show different parts.
        common: How many principal components of these are common.
    """

    def __init__(self, images: Values, parts: NDArray[np.int64], common: int) -> None:
        standard = standardised(images[parts]).reshape(len(parts), -1)
        self._mean = standard.mean(axis=0)
        self._common = _with_moved(self._mean, _components(standard - self._mean, common))
        self._projection: Values | None = None
        if len(images) > _MANY:
            random = np.random.RandomState(0)
            self._projection = random.standard_normal((standard.shape[1], _PROJECTIONS)).astype(np.float32)

    def __call__(self, images: Values, shift: tuple[int, int] = (0, 0)) -> Values:
        """Of (n, side, side) images (n, d); a shift is of what is left, down and to the right, in pixels."""
        left = standardised(images).reshape(len(images), -1) - self._mean
        left -= (left @ self._common.T) @ self._common
        if shift != (0, 0):
            left = np.roll(left.reshape(images.shape), shift, (1, 2)).reshape(len(left), -1)
        if self._projection is not None:
            left = left @ self._projection
        lengths = np.linalg.norm(left, axis=1, keepdims=True)
        return np.where(lengths > _EPS * _SIDE, left / np.maximum(lengths, _EPS), 0.0)


def _reduced(images: Values) -> Values:
    return np.stack([cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA) for image in images])


def _components(centred: Values, wanted: int) -> Values:
    """The first principal components of (n, d) vectors, (k, d)."""
    wanted = min(wanted, len(centred) // 3)
    if not wanted:
        return np.zeros((0, centred.shape[1]), np.float32)
    some = centred[:: -(-len(centred) // _COMMON_IMAGES)]
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
