"""Images moved onto what they have in common, so that pictures of a part that lay a little differently can be compared.

Each is turned, scaled and shifted a little until it fits the mean of all (Learned-Miller, "Data driven image models
through continuous joint alignment", 2006, calls it congealing), by trial, and then by the enhanced correlation
coefficient (Evangelidis and Psarakis, 2008; OpenCV's).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

__all__ = ["congealed", "standardised"]

_ROUNDS = 2
_DEGREES = (-4.0, -2.0, 0.0, 2.0, 4.0)
_SCALES = (0.96, 1.0, 1.04)
# Shifts that are tried, as a share of the side.
_REACH = 0.1
_STEPS, _PRECISION, _BLUR = 20, 1e-3, 3
# A fit that changes the area by more has gone astray.
_MOST_AREA = 0.2
_BLOCK = 512
_EPS = 1e-6

Values: TypeAlias = NDArray[np.float32]


def congealed(images: Values) -> Values:
    """Move images onto their mean.

    Args:
        images: Float32 (n, side, side), of any light and contrast.

    Returns:
        As they came, moved; beyond their border they go on as in a mirror.
    """
    mean, moved = standardised(images).mean(axis=0), images
    for _ in range(_ROUNDS):
        if float(mean.std()) < _EPS:
            return moved
        blocks = range(0, len(images), _BLOCK)
        moved = np.concatenate([_fitted(images[start : start + _BLOCK], mean) for start in blocks])
        mean = standardised(moved).mean(axis=0)
    return moved


def _fitted(images: Values, mean: Values) -> Values:
    """Images moved to where they fit the mean best."""
    side = images.shape[1]
    best, moves = np.full(len(images), -np.inf), np.zeros((len(images), 2, 3), np.float32)
    for move, fit in _trials(images, mean):
        better = fit > best
        best[better], moves[better] = fit[better], move[better]
    criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, _STEPS, _PRECISION)
    fitted = []
    for image, standard, move in zip(images, standardised(images), moves, strict=True):
        inverse = cv2.invertAffineTransform(move).astype(np.float32)
        try:
            _, finer = cv2.findTransformECC(mean, standard, inverse.copy(), cv2.MOTION_AFFINE, criteria, None, _BLUR)  # type: ignore[call-overload]
        except cv2.error:  # nothing in common with the mean
            finer = inverse
        if abs(float(np.linalg.det(finer[:, :2])) - 1.0) < _MOST_AREA:
            inverse = finer
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        fitted.append(cv2.warpAffine(image, inverse, (side, side), flags=flags, borderMode=cv2.BORDER_REFLECT))
    return np.stack(fitted).astype(np.float32)


def _trials(images: Values, mean: Values) -> Iterator[tuple[Values, NDArray[np.float64]]]:
    """Yield, for angles and scales, the best shift of each image as (n, 2, 3) moves, and how well they then fit."""
    count, side = images.shape[:2]
    reach = round(_REACH * side)
    width = 2 * reach + 1
    wanted = np.conj(np.fft.rfft2((mean - mean.mean()) / mean.std()))
    for degrees, scale in itertools.product(_DEGREES, _SCALES):
        turn = cv2.getRotationMatrix2D(((side - 1) / 2, (side - 1) / 2), degrees, scale)
        turned = np.stack(
            [cv2.warpAffine(image, turn, (side, side), borderMode=cv2.BORDER_REFLECT) for image in images]
        )
        fits = np.fft.irfft2(np.fft.rfft2(standardised(turned.astype(np.float32))) * wanted, s=(side, side)) / side**2
        near = np.roll(fits, (reach, reach), (1, 2))[:, :width, :width].reshape(count, -1)
        place = near.argmax(axis=1)
        move = np.repeat(turn[None].astype(np.float32), count, axis=0)
        move[:, 0, 2] -= place % width - reach
        move[:, 1, 2] -= place // width - reach
        yield move, near[np.arange(count), place]


def standardised(images: Values) -> Values:
    """Images of mean 0 and deviation 1, float32 (n, side, side), so that light and contrast count for nothing."""
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    return np.asarray(centred / np.maximum(centred.std(axis=(1, 2), keepdims=True), _EPS), np.float32)
