"""Of a file with several pages or frames the first is read, and that is said: of what is learnt from, and of others."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from differnet import DifferNet, Settings
from differnet.images import Depth, PixelScale, TrainingImages
from differnet.images.layouts.survey import survey
from differnet.images.pages import count_pages
from tests.images.files import COLOUR, PIXELS, frames, pillow, tiff


def test_smaller_copies_and_masks_of_a_page_are_no_pages() -> None:
    image = Image.fromarray(PIXELS)
    for kind, expected in ((0, 2), (1, 1), (4, 1)):
        other = image.copy()
        other.encoderinfo = {"tiffinfo": {254: kind}}
        assert count_pages(pillow(image, "TIFF", save_all=True, append_images=[other])) == expected


def test_of_damaged_files_there_is_one_page_at_least() -> None:
    rng = np.random.default_rng(0)
    for format_ in ("TIFF", "PNG", "WEBP"):
        content = frames(format_)
        for end in range(0, len(content), 7):
            assert count_pages(content[:end]) >= 1
        for _ in range(200):
            damaged = bytearray(content)
            damaged[int(rng.integers(len(content)))] = int(rng.integers(256))
            assert count_pages(io.BytesIO(damaged)) >= 1


def test_pages_that_follow_one_another_in_a_circle_are_counted_once() -> None:
    content = tiff(PIXELS)
    assert count_pages(content[:-4] + content[4:8]) == 1


def test_more_pages_than_those_of_training_images_are_unlike_them() -> None:
    single = TrainingImages(PixelScale(), (36, 36), (24, 24), (1.5, 1.5))
    several = TrainingImages(PixelScale(), (36, 36), (24, 24), (1.5, 1.5), pages=3)
    assert single.unlike(36, 24, Depth(), 1) is None
    assert "3 pages or frames, of which the first is read, training images one" in str(
        single.unlike(36, 24, Depth(), 3)
    )
    assert several.unlike(36, 24, Depth(), 3) is None
    assert "4 pages" in str(several.unlike(36, 24, Depth(), 4))


def test_a_model_knows_the_pages_that_it_learnt_from(product: Path, tmp_path: Path, small_settings: Settings) -> None:
    images = [Image.open(path) for path in sorted((product / "train" / "good").iterdir())]
    for place, image in enumerate(images):
        image.save(tmp_path / f"{place}.tif", save_all=True, append_images=images[:2] if place == 3 else [])
    found = survey(tmp_path)
    assert found.several_pages == (tmp_path / "3.tif",)
    assert any("1 file(s) have several pages or frames" in line for line in found.lines())
    model = DifferNet(small_settings.with_overrides({"training.epochs": 1}), device="cpu").fit(tmp_path)
    assert model.manifest is not None
    assert any("several pages or frames, up to 3" in remark for remark in model.manifest.training.remarks)
    assert model.inspect(tmp_path / "3.tif").unlike is None
    images[0].save(tmp_path / "four.tif", save_all=True, append_images=images[1:4])
    assert "4 pages or frames" in str(model.inspect(tmp_path / "four.tif").unlike)


@pytest.mark.parametrize("format_", ["TIFF", "PNG", "WEBP"])
def test_frames_are_told_of_images_given_to_a_model(fitted: DifferNet, format_: str) -> None:
    assert "3 pages or frames" in str(fitted.inspect(frames(format_)).unlike)
    assert "pages" not in str(fitted.inspect(pillow(Image.fromarray(COLOUR), format_)).unlike)
