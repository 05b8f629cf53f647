"""The graph's resize gives every level that Pillow gives, for images of any size."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from differnet.export.resize import PillowResize
from differnet.views import resize

pytestmark = pytest.mark.filterwarnings("ignore:Pred is a Python constant")


SIZES = [
    (128, 128),
    (16, 16),
    (96, 96),
    (448, 448),
    (333, 517),
    (128, 700),
    (700, 128),
    (900, 40),
    (40, 900),
    (999, 777),
]


def resized(image: NDArray[np.uint8], size: int, *, known: bool) -> NDArray[np.float32]:
    height, width = image.shape[:2]
    module = PillowResize(size, (height, width) if known else None)
    return module(torch.from_numpy(image)).permute(1, 2, 0).numpy()


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize("size", SIZES)
def test_images_are_resized_as_pillow_does(size: tuple[int, int], known: bool) -> None:
    # Few levels, so that many sums of equal weights lie right between two levels, where rounding decides.
    image = np.random.default_rng(sum(size)).integers(0, 4, (*size, 3), dtype=np.uint8) * np.uint8(85)
    np.testing.assert_array_equal(resized(image, 128, known=known), resize(image, 128))


@settings(max_examples=60, deadline=None)
@given(st.integers(16, 300), st.integers(16, 300), st.integers(64, 200), st.integers(0, 2**32 - 1))
def test_sizes_of_all_kinds(height: int, width: int, size: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    np.testing.assert_array_equal(resized(image, size, known=True), resize(image, size))
