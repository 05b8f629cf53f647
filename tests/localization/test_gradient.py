"""Gradient maps: the official ones reproduced, symmetry, coverage, and networks left as they were."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from differnet import DifferNet
from differnet.extractors import Extractor, build_extractor, find_weights
from differnet.features.pooling import pool_scales
from differnet.flow import NormalizingFlow, negative_log_likelihood
from differnet.images import read_image
from differnet.localization.gradient import _turn_back, flow_gradient_map, gradient_map
from differnet.settings import ViewSettings
from differnet.views import View, apply_view, fixed_views, resize
from tests.conftest import plate

SIZE, SCALES = 128, 2
SYMMETRIES = fixed_views(ViewSettings(kind="symmetries", count=8))
ROTATIONS = fixed_views(ViewSettings(kind="rotations", count=8))

Map = Callable[..., NDArray[np.float32]]
both = pytest.mark.parametrize("make_map", [gradient_map, flow_gradient_map])


@pytest.fixture(scope="module")
def extractor() -> Extractor:
    return build_extractor("alexnet", find_weights("alexnet"))


@pytest.fixture(scope="module")
def flow() -> NormalizingFlow:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return NormalizingFlow(SCALES * 256, blocks=2, hidden=16).eval()


@pytest.fixture(scope="module")
def image() -> NDArray[np.uint8]:
    return plate(np.random.default_rng(0), "blot", size=SIZE)


def assert_close(found: NDArray[np.float32], expected: NDArray[np.float32], tolerance: float = 1e-4) -> None:
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() <= tolerance * expected.max()


def in_circle(radius: float) -> NDArray[np.bool_]:
    offset = np.arange(SIZE) - (SIZE - 1) / 2
    return np.hypot(offset[:, None], offset[None, :]) <= radius


def test_the_official_map_is_reproduced(
    official_state_file: Path, official_image: Path, official_outputs: dict[str, torch.Tensor]
) -> None:
    model = DifferNet.import_official(official_state_file, views=8, device="cpu")
    views = fixed_views(model.settings.views)
    image = resize(read_image(official_image), 448)
    found = gradient_map(model.extraction.extractor, model.flow, image, views, scales=3)
    expected = official_outputs["image0_gradient_map"].numpy()
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.9999
    # Not only up to a factor.
    assert_close(found, expected, tolerance=1e-3)


def test_one_view_is_the_plain_gradient_at_normalised_pixels(
    extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (extractor.mean, extractor.std))
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255
    normalised = ((pixels - mean) / std).requires_grad_(True)
    loss = negative_log_likelihood(*flow(pool_scales(extractor, normalised * std + mean, SCALES))).mean()
    (gradient,) = torch.autograd.grad(loss, normalised)
    expected = np.square(np.abs(gaussian_filter(gradient[0].numpy(), (0, 3, 3))).mean(axis=0))
    assert_close(gradient_map(extractor, flow, image, [View()], SCALES), expected)


def test_the_fast_map_of_one_view_is_made_of_gradient_times_feature_map(
    extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    pixels = torch.from_numpy(image.copy()).permute(2, 0, 1).unsqueeze(0) / 255
    maps = extractor(pixels)
    pooled = maps.mean((2, 3)).requires_grad_(True)
    small_flow = NormalizingFlow(256, blocks=2, hidden=16)
    (weights,) = torch.autograd.grad(negative_log_likelihood(*small_flow(pooled)).mean(), pooled)
    coarse = (weights[:, :, None, None] * maps).sum(1, keepdim=True).abs()
    expected = torch.nn.functional.interpolate(coarse, size=SIZE, mode="bilinear")[0, 0].numpy()
    assert_close(flow_gradient_map(extractor, small_flow, image, [View()], 1), expected)


@both
@pytest.mark.parametrize("symmetry", SYMMETRIES, ids=str)
def test_the_map_turns_and_flips_with_the_image(
    make_map: Map, symmetry: View, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    def transformed(values: NDArray[np.float32]) -> NDArray[np.float32]:
        flipped = values[:, ::-1] if symmetry.mirrored else values
        return np.ascontiguousarray(np.rot90(flipped, round(symmetry.degrees / 90)))

    expected = transformed(make_map(extractor, flow, image, SYMMETRIES, SCALES))
    moved = transformed(image)  # type: ignore[arg-type]
    assert_close(make_map(extractor, flow, moved, SYMMETRIES, SCALES), expected)


@both
@pytest.mark.parametrize("view", [View(degrees=90.0, mirrored=True), View(degrees=30.0, mirrored=True)], ids=str)
def test_a_single_mirrored_view_is_undone(
    make_map: Map, view: View, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    """What a mirrored view says of an image is what the turned view says of the mirrored image."""
    of_mirrored = make_map(extractor, flow, np.ascontiguousarray(image[:, ::-1]), [View(view.degrees)], SCALES)
    assert_close(make_map(extractor, flow, image, [view], SCALES), of_mirrored[:, ::-1])


@pytest.mark.parametrize("mirrored", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 30.0, 90.0, 135.0, 180.0, 200.0, 270.0, 337.5])
def test_turning_back_undoes_a_view(degrees: float, mirrored: bool) -> None:
    rows, columns = np.mgrid[:SIZE, :SIZE]
    smooth = 128 + 60 * np.sin(rows / 9) + 50 * np.cos(columns / 13 + rows / 40)
    image = np.repeat(smooth.astype(np.uint8)[:, :, None], 3, axis=2)
    view = View(degrees, mirrored)
    turned = np.moveaxis(apply_view(image, view), 2, 0).astype(np.float32)
    inside = in_circle(SIZE / 2 - 3)
    for order in (0, 1, 3):
        error = np.abs(_turn_back(turned, view, order) - np.moveaxis(image, 2, 0))
        # A nearest neighbour is up to a pixel away, on slopes of at most 8 a pixel; right angles are exact.
        assert error[:, inside].max() <= (0 if degrees % 90 == 0 else 16)
        assert error[:, inside].mean() < 4


@both
def test_coverage_changes_only_what_some_views_do_not_show(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    plain, covered = (make_map(extractor, flow, image, ROTATIONS, SCALES, coverage=on) for on in (False, True))
    inside = in_circle(SIZE / 2 - 2)
    assert_close(covered[inside], plain[inside], tolerance=1e-6)
    corners = ~in_circle(SIZE * 0.6)
    # Half of these views show a corner: its mean doubles, and its square quadruples.
    factor = 4 if make_map is gradient_map else 2
    assert np.median(covered[corners] / plain[corners]) == pytest.approx(factor, rel=0.02)
    plain, covered = (make_map(extractor, flow, image, SYMMETRIES, SCALES, coverage=on) for on in (False, True))
    assert np.array_equal(plain, covered)


@both
def test_what_no_view_shows_is_zero(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    found = make_map(extractor, flow, image, [View(degrees=45.0)], SCALES, coverage=True)
    assert found[0, 0] == found[-1, 0] == 0.0
    assert found[SIZE // 2, SIZE // 2] > 0.0


@both
def test_the_same_map_comes_again_and_in_batches_of_any_size(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    first = make_map(extractor, flow, image, ROTATIONS, SCALES)
    assert np.array_equal(make_map(extractor, flow, image, ROTATIONS, SCALES), first)
    assert_close(make_map(extractor, flow, image, ROTATIONS, SCALES, views_per_batch=3), first)


@both
def test_the_networks_are_left_as_they_were(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    trainable = copy.deepcopy(flow).requires_grad_(True)
    before = {name: tensor.clone() for name, tensor in trainable.state_dict().items()}
    with torch.no_grad():  # as a caller that scores would
        make_map(extractor, trainable, image, [View(), View(degrees=20.0)], SCALES)
    assert all(p.grad is None for network in (extractor, trainable) for p in network.parameters())
    assert all(parameter.requires_grad for parameter in trainable.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in trainable.state_dict().items())


@both
def test_an_extractor_in_bfloat16_is_not_changed_and_agrees(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    rounded = copy.deepcopy(extractor).set_precision(torch.bfloat16)
    found = make_map(rounded, flow, image, SYMMETRIES, SCALES)
    assert {parameter.dtype for parameter in rounded.parameters()} == {torch.bfloat16}
    expected = make_map(extractor, flow, image, SYMMETRIES, SCALES)
    assert found.dtype == np.float32
    assert np.corrcoef(found.ravel(), expected.ravel())[0, 1] > 0.98


@both
def test_no_view_and_wrong_images_are_refused(
    make_map: Map, extractor: Extractor, flow: NormalizingFlow, image: NDArray[np.uint8]
) -> None:
    with pytest.raises(ValueError, match="view"):
        make_map(extractor, flow, image, [], SCALES)
    for wrong in (image[:-1], image[:, :, 0], image / 255):
        with pytest.raises(ValueError, match="uint8"):
            make_map(extractor, flow, wrong, [View()], SCALES)
