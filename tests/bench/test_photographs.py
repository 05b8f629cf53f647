"""Made-up photographs, and many images out of few."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from differnet.bench.photographs import link_images, make_product, photograph
from differnet.images import collect_images, load_image, read_good_images, read_test_images


def test_a_made_up_product_is_a_product_of_the_asked_size(tmp_path: Path) -> None:
    make_product(tmp_path / "p", width=80, height=60, training=5, testing=2)
    good, test = read_good_images(tmp_path / "p").paths, read_test_images(tmp_path / "p")
    assert [len(good), len(test)] == [5, 4]
    assert {image.kind for image in test} == {"good", "blot"}
    images = [load_image(path) for path in good]
    assert {image.shape for image in images} == {(60, 80, 3)}
    assert len({image.tobytes() for image in images}) == 5


def test_photographs_compress_like_photographs(tmp_path: Path) -> None:
    """Flat images would be decoded in no time, pure noise would take too long."""
    make_product(tmp_path / "p", width=320, height=320, training=1, testing=1)
    [file] = read_good_images(tmp_path / "p").paths
    assert 0.2 < file.stat().st_size / (320 * 320 * 3) < 0.8


def test_a_defective_part_has_a_dark_blot() -> None:
    good, bad = (photograph(np.random.default_rng(1), 96, 96, defective=defective) for defective in (False, True))
    assert good.min() > 20
    assert (bad < 20).mean() > 0.005


def test_many_images_are_the_few_in_turn(tmp_path: Path) -> None:
    make_product(tmp_path / "p", width=32, height=32, training=2, testing=1)
    few = read_good_images(tmp_path / "p").paths
    links = collect_images(link_images(few, tmp_path / "many", 5)).paths
    assert [path.resolve() for path in links] == [few[i % 2].resolve() for i in range(5)]
