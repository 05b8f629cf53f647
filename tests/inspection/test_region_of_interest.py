"""A model with a region of interest: what lies outside it does not count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet import DifferNet, Settings
from differnet.errors import (
    ImageError,
)
from differnet.images import RegionOfInterest, read_image
from tests.conftest import plate


@pytest.fixture(scope="module")
def boxed(product: Path, small_settings: Settings) -> DifferNet:
    region = RegionOfInterest.from_box((8, 16, 56, 64), (96, 96))
    return DifferNet(small_settings.with_overrides({"training.epochs": 2}), region=region, device="cpu").fit(product)


def test_what_lies_outside_the_region_of_interest_does_not_matter(boxed: DifferNet, product: Path) -> None:
    image = read_image(product / "test" / "good" / "000.png")
    outside, inside = image.copy(), image.copy()
    outside[:, 70:] = np.random.default_rng(0).integers(0, 255, (96, 26, 3), dtype=np.uint8)
    inside[40:52, 30:42] = 250
    scores = boxed.score([image, outside, inside])
    assert scores[0] == pytest.approx(scores[1], rel=1e-5)
    assert scores[2] > scores[0] + 0.05
    heat = [boxed.explain(each) for each in (image, outside, inside)]
    assert np.allclose(heat[0], heat[1], atol=1e-4)
    assert heat[2].max() > heat[0].max()
    counts = np.zeros((96, 96), bool)
    counts[16:80, 8:64] = True
    for of_image in heat:
        assert of_image.shape == (96, 96)
        assert (of_image[counts] > 0).all()
        assert (of_image[~counts] == 0).all()


def test_images_of_another_size_than_the_region_of_interest_are_refused(boxed: DifferNet, tmp_path: Path) -> None:
    Image.fromarray(plate(np.random.default_rng(0), size=80)).save(tmp_path / "small.png")
    with pytest.raises(ImageError, match=r"small\.png.* 80 x 80 pixels.* 96 x 96"):
        boxed.inspect(tmp_path / "small.png")


def test_the_region_of_interest_is_kept_in_the_model_file(boxed: DifferNet, product: Path, tmp_path: Path) -> None:
    boxed.save(tmp_path / "m.safetensors")
    again = DifferNet.load(tmp_path / "m.safetensors", device="cpu")
    assert again.region is not None
    assert again.region.box == (8, 16, 56, 64)
    image = product / "test" / "blot" / "000.png"
    assert again.score(image) == boxed.score(image)
    assert np.array_equal(again.explain(image), boxed.explain(image))
