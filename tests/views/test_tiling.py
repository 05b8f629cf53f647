"""Long images become squares of tiles, and maps of these become maps of the images again."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from differnet import DifferNet
from differnet.errors import SettingsError
from differnet.features import FeatureExtraction
from differnet.views import Tiling, resize
from differnet.views.tiling import fitted as filling
from differnet.views.tiling import tiling_for

tilings = st.builds(
    lambda count, wide, size: filling(Tiling(count, wide, size)),
    *(st.integers(2, 8), st.booleans(), st.integers(64, 700)),
)


@settings(max_examples=30, deadline=None)
@given(tilings)
def test_a_map_of_the_square_becomes_one_of_the_image(tiling: Tiling) -> None:
    image = np.random.default_rng(0).random((tiling.height, tiling.width), dtype=np.float32)
    square = tiling.lay(image)
    assert square.shape == (tiling.size, tiling.size)
    np.testing.assert_array_equal(tiling.restore(square), image)


@settings(max_examples=30, deadline=None)
@given(tilings)
def test_every_place_of_the_square_is_of_the_image_and_gaps_repeat_an_edge(tiling: Tiling) -> None:
    rows, columns = np.mgrid[: tiling.height, : tiling.width]
    seen = np.stack([tiling.lay(rows), tiling.lay(columns)], axis=2)
    if not tiling.wide:
        seen = seen.swapaxes(0, 1)[:, :, ::-1]
    across, along = seen[:, :, 0], seen[:, :, 1]
    assert (across == across[:, :1]).all()
    assert (np.diff(along, axis=1) == 1).all()  # a tile lies as it lay in the image
    edges = {0, tiling.thickness - 1}
    repeated = (across[1:, 0] == across[:-1, 0]) & (along[1:, 0] == along[:-1, 0])
    assert set(across[1:, 0][repeated].tolist()) <= edges
    starts = sorted(set(along[:, 0].tolist()))
    assert len(starts) == tiling.count
    assert all(later - earlier < tiling.size for earlier, later in pairwise(starts))  # they overlap


@pytest.mark.parametrize(
    ("aspect", "name"),
    [(1.0, None), (2.9, None), (4.0, "1x2"), (12.0, "1x3"), (20.0, "1x4"), (1 / 12, "3x1"), (1e6, "1x8")],
)
def test_images_are_cut_where_they_are_long(aspect: float, name: str | None) -> None:
    tiling = tiling_for([1.0, aspect, aspect], 640)
    assert (tiling and tiling.name) == name
    if tiling is not None:
        assert Tiling.of(tiling.name, tiling.size) == tiling
        assert tiling.size % 32 == tiling.thickness % 16 == 0
        assert tiling.size <= 640


def test_of_no_images_there_is_none() -> None:
    assert tiling_for([], 640) is None
    assert Tiling.of("none", 640) is None


def test_a_long_image_is_less_squeezed() -> None:
    image = np.zeros((60, 1200, 3), np.uint8)
    image[:, 600:603] = 255  # a scratch of 3 pixels
    tiling = tiling_for([20.0], 256)
    assert tiling is not None
    square = resize(image, tiling.size, tiling)
    assert square.shape == (tiling.size, tiling.size, 3)
    assert square.max() > 200
    assert np.asarray(Image.fromarray(image).resize((256, 256), Image.Resampling.BILINEAR)).max() < 200


def test_tiles_that_do_not_fill_their_square_are_refused(fitted: DifferNet) -> None:
    # As the settings in a model file that was made by hand may say.
    with pytest.raises(SettingsError, match="Squares of 128 pixels cannot be made of 1x16 tiles"):
        FeatureExtraction(fitted.extraction.extractor, size=128, tiling=Tiling.of("1x16", 128))
