"""Images are not enlarged unless that is asked for."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet import DifferNet, Settings
from differnet.images import ImageSource, RegionOfInterest
from differnet.settings import ViewSettings
from differnet.training.size_choice import choose_size


def picture(width: int, height: int) -> np.ndarray:
    return np.zeros((height, width, 3), np.uint8)


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [(300, 300, 288), (2000, 1500, 448), (448, 448, 448), (447, 447, 416), (100, 90, 224), (400, 300, 320)],
)
def test_the_size_is_at_most_that_of_the_images(width: int, height: int, size: int) -> None:
    assert choose_size([picture(width, height)] * 3, ViewSettings(size=448, enlarge=False), None).size == size


def test_a_size_that_is_asked_for_may_be_kept() -> None:
    views = ViewSettings(size=448, enlarge=True, tiles="none")
    assert choose_size([picture(300, 300)], views, None) == views


def test_a_smaller_size_that_is_asked_for_stays() -> None:
    assert choose_size([picture(300, 300)], ViewSettings(size=64, enlarge=False), None).size == 64


def test_the_usual_size_counts_whatever_kind_of_image_it_is(tmp_path: Path) -> None:
    Image.fromarray(picture(300, 300)).save(tmp_path / "small.png")
    content = io.BytesIO()
    Image.fromarray(picture(300, 300)).save(content, "PNG")
    (tmp_path / "text.png").write_text("no image")
    sources: list[ImageSource] = [
        str(tmp_path / "small.png"),
        tmp_path / "text.png",
        tmp_path / "missing.png",
        content.getvalue(),
        picture(1000, 1000),
    ]
    assert choose_size(sources, ViewSettings(size=448, enlarge=False), None).size == 288
    assert choose_size(sources[1:3], ViewSettings(size=448, enlarge=False), None).size == 448


def test_of_a_region_its_box_counts() -> None:
    mask = np.zeros((600, 600), bool)
    mask[100:356, 50:306] = True
    assert choose_size([picture(600, 600)], ViewSettings(size=448, enlarge=False), RegionOfInterest(mask)).size == 256


@pytest.mark.parametrize(
    ("width", "height", "tiles", "size"), [(3600, 300, "1x3", 832), (300, 3600, "3x1", 832), (640, 80, "1x3", 256)]
)
def test_long_images_are_cut_into_tiles(width: int, height: int, tiles: str, size: int) -> None:
    views = choose_size([picture(width, height)] * 3, ViewSettings(), None)
    assert (views.tiles, views.size, views.kind) == (tiles, size, "none")
    assert views.flow_size == 256 <= views.flow_side <= size
    assert choose_size([picture(width, height)] * 3, views, None) == views


def test_the_tiles_that_are_asked_for_are_taken() -> None:
    views = choose_size([picture(900, 900)], ViewSettings(tiles="1x4", kind="flips"), None)
    assert (views.tiles, views.size, views.kind) == ("1x4", 608, "flips")
    assert choose_size([picture(3600, 300)], ViewSettings(tiles="none"), None).tiles == "none"
    for wrong in ("2x3", "1x1", "x", "1x17", "1x-2", ""):
        with pytest.raises(ValueError, match="no tiling"):
            ViewSettings(tiles=wrong)


def test_training_lowers_the_size_and_the_model_keeps_it(product: Path, small_settings: Settings) -> None:
    model = DifferNet(
        small_settings.with_overrides({"views.size": 448, "views.enlarge": False, "training.epochs": 1}), device="cpu"
    )
    model.fit(product)
    assert model.settings.views.size == 224
    assert model.extraction.size == 224
