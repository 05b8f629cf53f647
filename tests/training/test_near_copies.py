"""Pictures of the same thing are found among good images; those of different parts are not."""

from __future__ import annotations

import io
from collections.abc import Callable

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from differnet.images import read_image
from differnet.images.solar_cells import choose_cells, find_dataset
from differnet.training.grouping import join_groups
from differnet.training.near_copies import NearCopies
from tests.conftest import plate

Pixels = NDArray[np.uint8]


def compressed(image: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=60)
    return np.asarray(Image.open(file))


def frame(image: Pixels) -> Pixels:
    rng = np.random.default_rng(7)
    return np.clip(np.roll(image, 1, axis=1) + rng.normal(0, 1.5, image.shape), 0, 255).round().astype(np.uint8)


def parts(count: int, size: int = 192) -> list[Pixels]:
    """Plates with grain and a few marks of their own, as every real part has."""
    rng = np.random.default_rng(0)
    found = []
    for _ in range(count):
        grain = cv2.GaussianBlur(rng.normal(0, 1, (size, size)), (0, 0), 5)
        found.append(np.clip(plate(rng, size=size) + 12 * (grain / grain.std())[:, :, None], 0, 255).astype(np.uint8))
    return found


def links(images: list[Pixels]) -> list[tuple[int, int]]:
    seen = NearCopies()
    for image in images:
        seen.add(image)
    return list(seen.compare().links)


@pytest.mark.parametrize("count", [2, 12, 40, 120])
def test_different_parts_are_not_copies(count: int) -> None:
    assert links(parts(count)) == []


@pytest.mark.parametrize(
    "change",
    [
        np.copy,
        compressed,
        frame,
        lambda image: np.ascontiguousarray(image[:, ::-1]),
        lambda image: np.ascontiguousarray(np.rot90(image)),
        lambda image: np.clip(image * 1.03, 0, 255).round().astype(np.uint8),
        lambda image: cv2.resize(image, (100, 100), interpolation=cv2.INTER_AREA),
    ],
    ids=["copy", "jpeg", "frame", "flip", "turn", "brighter", "smaller"],
)
def test_the_same_part_seen_again_is_found(change: Callable[[Pixels], Pixels]) -> None:
    images = parts(120)
    assert links([*images, change(images[3]), change(images[50])]) == [(3, 120), (50, 121)]


def test_each_image_twice_is_found() -> None:
    images = parts(30)
    assert links(images + images) == [(place, place + 30) for place in range(30)]


def test_images_without_anything_of_their_own_are_copies_where_they_are_equal() -> None:
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (10, 10, 200)]
    assert (0, 1) in links(flat)
    assert links([flat[0]]) == links([]) == []


def test_more_images_than_are_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.training.near_copies._MANY", 50)
    images = parts(120)
    assert links([*images, compressed(images[3])]) == [(3, 120)]


def test_frames_of_real_cells_are_whole_groups() -> None:
    rng = np.random.default_rng(0)
    images, cells = [], []
    for cell, path in enumerate(choose_cells(find_dataset()).train[:40]):
        image = read_image(path)
        for _ in range(4):
            moved = np.roll(image, tuple(rng.integers(-1, 2, 2)), (0, 1))
            noise = rng.normal(0, 1.5, image.shape[:2])[:, :, None]
            images.append(np.clip(moved + noise, 0, 255).round().astype(np.uint8))
            cells.append(cell)
    groups = join_groups(len(images), links(images))
    found = [{group for group, own in zip(groups, cells, strict=True) if own == cell} for cell in range(40)]
    assert sum(len(of_cell) == 1 for of_cell in found) >= 35
    assert 38 <= len(set(groups)) <= 45
