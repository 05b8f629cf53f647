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


def moved(image: Pixels, rng: np.random.Generator) -> Pixels:
    """Turned by up to a degree and a half, moved by up to 1.5 % of the side, 5 % lighter or darker, with noise."""
    side = len(image)
    move = cv2.getRotationMatrix2D((side / 2, side / 2), rng.uniform(-1.5, 1.5), 1.0)
    shift = np.array([[0, 0, 1], [0, 0, 1]]) * rng.uniform(-0.015, 0.015, (2, 1)) * side
    there = cv2.warpAffine(image, move + shift, (side, side), borderMode=cv2.BORDER_REFLECT) * rng.uniform(0.95, 1.05)
    return np.clip(there + rng.normal(0, 1.5, image.shape), 0, 255).round().astype(np.uint8)


@pytest.mark.parametrize(("count", "times"), [(30, 10), (12, 20), (60, 4)])
def test_parts_that_were_taken_often_are_found(count: int, times: int) -> None:
    rng = np.random.default_rng(1)
    images = [np.clip(each + rng.normal(0, 1.5, each.shape), 0, 255).astype(np.uint8) for each in parts(count) * times]
    assert join_groups(len(images), links(images)) == tuple(range(count)) * times


def test_one_part_that_was_taken_often_among_others_is_found() -> None:
    images = parts(120)
    again = [np.clip(images[7] * (1 + 0.01 * step), 0, 255).astype(np.uint8) for step in range(-10, 10)]
    groups = join_groups(140, links([*images, *again]))
    assert set(groups[120:]) == {7}
    assert len(set(groups)) == 120


def test_frames_that_lie_a_little_differently_are_found() -> None:
    rng = np.random.default_rng(2)
    images = [moved(each, rng) for each in parts(50) for _ in range(4)]
    found = np.array(join_groups(200, links(images))).reshape(50, 4)
    assert sum(len(set(each)) == 1 for each in found.tolist()) >= 40
    assert len(set(found.ravel().tolist())) >= 48


@pytest.mark.parametrize("count", [16, 40, 100])
def test_few_cells_are_not_taken_for_copies(count: int) -> None:
    cells = choose_cells(find_dataset()).train
    chosen = np.random.default_rng(count).permutation(len(cells))[:count].tolist()
    assert links([read_image(cells[place]) for place in chosen]) == []


def test_images_without_anything_of_their_own_are_copies_where_they_are_equal() -> None:
    flat = [np.full((64, 64, 3), value, np.uint8) for value in (10, 10, 200)]
    assert (0, 1) in links(flat)
    assert links([flat[0]]) == links([]) == []


def test_more_images_than_are_compared_in_full(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("differnet.training.near_copies._MANY", 50)
    images = parts(120)
    assert links([*images, compressed(images[3])]) == [(3, 120)]
    monkeypatch.setattr("differnet.training.near_copies._MOST", 50)
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
