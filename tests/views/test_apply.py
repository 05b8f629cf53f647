"""Views move the right pixels, and CPU and batch agree."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from differnet.views import View, apply_view, apply_views, apply_views_batch, resize

SQUARE = tuple(View(90.0 * i, mirrored) for mirrored in (False, True) for i in range(4))
ROTATIONS = (5.625, 30.0, 45.0, 100.0, 135.0, 225.0, 359.0, -17.3)


def noise(size: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8)


def to_batch(images: Sequence[NDArray[np.uint8]]) -> torch.Tensor:
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 255


def from_batch(batch: torch.Tensor) -> NDArray[np.float32]:
    """Back to (B, size, size, 3), in steps of 255."""
    return (batch * 255).permute(0, 2, 3, 1).numpy()


def share_of_different_pixels(a: NDArray[np.generic], b: NDArray[np.generic]) -> float:
    assert a.shape == b.shape
    return float((np.abs(a.astype(np.float64) - b.astype(np.float64)) > 0.5).any(axis=-1).mean())


def distance_from_centre(size: int) -> NDArray[np.float64]:
    rows, columns = np.mgrid[:size, :size] - (size - 1) / 2
    return np.hypot(rows, columns)


@pytest.mark.parametrize(("size", "target"), [((60, 41), 32), ((41, 60), 64), ((20, 20), 33), ((128, 128), 64)])
def test_resize_is_pillows_bilinear_bit_for_bit(size: tuple[int, int], target: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    expected = Image.fromarray(image).resize((target, target), Image.Resampling.BILINEAR)
    np.testing.assert_array_equal(resize(image, target), np.asarray(expected))


def test_resize_to_the_same_size_changes_nothing() -> None:
    np.testing.assert_array_equal(resize(noise(40), 40), noise(40))


@pytest.mark.parametrize("view", SQUARE, ids=str)
@pytest.mark.parametrize("size", [32, 33])
def test_the_symmetries_of_the_square_move_every_pixel_exactly(view: View, size: int) -> None:
    image = noise(size)
    flipped = np.fliplr(image) if view.mirrored else image
    expected = np.rot90(flipped, round(view.degrees / 90))  # rot90 turns counter-clockwise
    turned = apply_view(image, view)
    assert turned.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(turned, expected)
    np.testing.assert_array_equal(apply_view(image, replace(view, degrees=view.degrees - 360)), expected)
    np.testing.assert_array_equal(from_batch(apply_views_batch(to_batch([image]), [[view]]))[0].round(), expected)


@pytest.mark.parametrize("degrees", ROTATIONS)
@pytest.mark.parametrize("size", [448, 225])
def test_rotation_is_pillows_nearest(degrees: float, size: int) -> None:
    image = noise(size)
    expected = np.asarray(Image.fromarray(image).rotate(degrees))
    assert share_of_different_pixels(apply_view(image, View(degrees)), expected) <= 2e-4


def test_a_rotation_goes_counter_clockwise_and_a_mirror_comes_first() -> None:
    image = np.zeros((101, 101, 3), np.uint8)
    image[45:56, 85:96] = 255  # a spot at 3 o'clock
    spot = {
        view: tuple(np.argwhere(apply_view(image, view)[:, :, 0]).mean(axis=0) - 50)
        for view in (View(30.0), View(30.0, mirrored=True))
    }
    towards_one = (-40 * math.sin(math.radians(30)), 40 * math.cos(math.radians(30)))
    assert spot[View(30.0)] == pytest.approx(towards_one, abs=0.5)
    assert spot[View(30.0, mirrored=True)] == pytest.approx((-towards_one[0], -towards_one[1]), abs=0.5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_what_comes_from_outside_is_black(mirrored: bool) -> None:
    white = np.full((64, 64, 3), 255, np.uint8)
    view = View(45.0, mirrored)
    for turned in (apply_view(white, view), from_batch(apply_views_batch(to_batch([white]), [[view]]))[0]):
        assert set(np.unique(turned)) == {0, 255}
        # What both squares share is an octagon of 2 (sqrt(2) - 1) of the area, and holds the inscribed circle.
        assert (turned == 0).mean() == pytest.approx(3 - 2 * math.sqrt(2), abs=0.01)
        assert (turned[distance_from_centre(64) < 31] == 255).all()


def test_apply_views_stacks_the_single_views() -> None:
    image, views = noise(48), (View(), View(33.0), View(90.0, mirrored=True), View(brightness=0.5))
    stacked = apply_views(image, views)
    assert stacked.shape == (4, 48, 48, 3)
    for turned, view in zip(stacked, views, strict=True):
        np.testing.assert_array_equal(turned, apply_view(image, view))


def test_views_leave_the_image_as_it_was() -> None:
    image, untouched = noise(32), noise(32)
    for view in (View(), View(90.0), View(33.0, mirrored=True, brightness=0.5)):
        apply_views(image, [view])[:] = 0
    np.testing.assert_array_equal(image, untouched)


def test_a_batch_gives_each_image_its_own_views_in_order() -> None:
    images = [noise(32, seed) for seed in range(3)]
    views = [[SQUARE[0], SQUARE[1]], [SQUARE[6], SQUARE[3]], [SQUARE[2], SQUARE[2]]]
    expected = np.concatenate([apply_views(image, of_image) for image, of_image in zip(images, views, strict=True)])
    turned = apply_views_batch(to_batch(images), views)
    assert turned.shape == (6, 3, 32, 32)
    assert turned.dtype == torch.float32
    np.testing.assert_array_equal(from_batch(turned).round(), expected)


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("size", [224, 113])
def test_batch_rotations_are_those_of_single_images(mirrored: bool, size: int) -> None:
    images = [noise(size, seed) for seed in range(2)]
    views = [[View(degrees, mirrored) for degrees in ROTATIONS], [View(180.0 - degrees) for degrees in ROTATIONS]]
    turned = from_batch(apply_views_batch(to_batch(images), views))
    expected = np.concatenate([apply_views(image, of_image) for image, of_image in zip(images, views, strict=True)])
    for one, other in zip(turned, expected, strict=True):
        assert share_of_different_pixels(one.round(), other) <= 1e-4


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 2), st.floats(0, 2), st.floats(0, 2), st.sampled_from(SQUARE))
def test_batch_colours_agree_with_those_of_single_images(
    brightness: float, contrast: float, saturation: float, view: View
) -> None:
    views = [replace(view, brightness=brightness, contrast=contrast, saturation=saturation), view]
    image = noise(24)
    difference = from_batch(apply_views_batch(to_batch([image]), [views])) - apply_views(image, views)
    assert np.abs(difference).max() <= 0.51


def test_brightness_scales_and_clips() -> None:
    image = noise(24)
    expected = np.minimum(image.astype(float) * 1.5, 255)
    assert np.abs(apply_view(image, View(brightness=1.5)) - expected).max() <= 0.51
    assert not apply_view(image, View(brightness=0.0)).any()


def test_without_contrast_every_pixel_is_the_mean_grey() -> None:
    image = noise(24)
    flat = apply_view(image, View(contrast=0.0))
    assert (flat == flat[0, 0, 0]).all()
    luma = np.asarray(Image.fromarray(image).convert("L"))
    assert flat[0, 0, 0] == pytest.approx(luma.mean(), abs=1)


def test_without_saturation_every_pixel_is_its_own_grey() -> None:
    image = noise(24)
    grey = apply_view(image, View(saturation=0.0))
    expected = np.asarray(Image.fromarray(image).convert("L").convert("RGB"))
    assert np.abs(grey.astype(int) - expected).max() <= 1


def test_grey_images_have_no_colour_to_saturate() -> None:
    grey = np.repeat(noise(24)[:, :, :1], 3, axis=2)
    np.testing.assert_array_equal(apply_view(grey, View(saturation=2.0)), grey)
