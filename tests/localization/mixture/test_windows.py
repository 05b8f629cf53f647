"""Windows are compared with good windows at their place, by scikit-learn's shrunk covariance."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sklearn.covariance import ledoit_wolf
from torch import Tensor

from differnet.localization.local_model import shown
from differnet.localization.mixture.cells import WindowedCells
from differnet.localization.mixture.good_cells import MixtureCollector, MixtureModel
from differnet.localization.mixture.windows import WindowCollector, WindowDensity

SIDE, SIZE = 3, 6


def windows_of(images: int, seed: int = 0) -> Tensor:
    """(n, SIDE, SIDE, SIZE): each place has a mean of its own and a covariance of its own."""
    generator = torch.Generator().manual_seed(seed)
    places = torch.Generator().manual_seed(77)
    means = 5.0 * torch.randn(SIDE, SIDE, SIZE, generator=places)
    mixing = torch.randn(SIDE, SIDE, SIZE, SIZE, generator=places)
    noise = torch.randn(images, SIDE, SIDE, 1, SIZE, generator=generator)
    return means + (noise @ mixing).squeeze(3)


def density_of(images: int) -> WindowDensity:
    collector = WindowCollector(images)
    for place, windows in enumerate(windows_of(images)):
        collector.add(place, windows)
    return collector.fit()


def test_the_energy_is_the_distance_by_ledoit_and_wolfs_covariance() -> None:
    good, new = (windows_of(n, seed).flatten(1, 2) for n, seed in ((40, 1), (7, 2)))
    energy = WindowDensity.fit(good).energy(new)
    for place in range(SIDE * SIDE):
        known, unknown = good[:, place].double().numpy(), new[:, place].double().numpy()
        deviations = known.std(0)
        covariance, _ = ledoit_wolf((known - known.mean(0)) / deviations, assume_centered=True)
        centred = (unknown - known.mean(0)) / deviations
        expected = np.einsum("nd,de,ne->n", centred, np.linalg.inv(covariance), centred) / SIZE
        # A hundredth of each variance is that of all windows, and matrices are rounded to half precision.
        assert np.allclose(energy[:, place].numpy(), expected, rtol=0.1)


def test_unseen_good_images_lie_about_0() -> None:
    density = density_of(60)
    found = torch.stack([density.standardised_energy(windows) for windows in windows_of(80, 5)])
    assert abs(found.mean().item()) < 0.3
    assert 0.6 < found.std().item() < 1.5


def test_what_is_good_at_another_place_is_strange_at_this_one() -> None:
    density, windows = density_of(60), windows_of(1, 6)[0]
    before = density.standardised_energy(windows)
    moved = windows.clone()
    moved[0, 0] = windows[2, 1]
    after = density.standardised_energy(moved)
    assert after[0, 0] > before[0, 0] + 10
    assert torch.equal(after.flatten()[1:], before.flatten()[1:])


def test_an_image_that_is_left_out_leaves_nothing_but_what_is_usual() -> None:
    collector, other = WindowCollector(12), WindowCollector(12)
    for place, windows in enumerate(windows_of(12)):
        collector.add(place, windows)
        if place != 4:
            other.add(place, windows)
    found, expected = collector.fit({4}), other.fit()
    assert torch.equal(found.means, expected.means)
    assert torch.equal(found.whitening, expected.whitening)


@pytest.mark.parametrize("images", [1, 2, 30])
def test_images_that_are_all_the_same_give_a_model_that_can_be_stored(images: int) -> None:
    collector = WindowCollector(images)
    for place in range(images):
        collector.add(place, torch.full((SIDE, SIDE, SIZE), 2.0))
    density = WindowDensity.from_state(collector.fit().state())
    assert density.standardised_energy(torch.full((SIDE, SIDE, SIZE), 2.5)).isfinite().all()


def test_of_many_images_some_are_kept() -> None:
    collector = WindowCollector(10_000)
    for place in range(10_000):
        collector.add(place, torch.full((1, 1, 2), float(place % 7)))
    assert len(collector._kept) <= 4096


def mixture(images: int, *, turned: bool = False) -> MixtureModel:
    """Of cells that are all alike, and windows."""
    collector = MixtureCollector(images, channels=(4, 2), components=2, rank=2, strength=9.0, dimensions=4, seed=0)
    random = torch.Generator().manual_seed(3)
    for place, windows in enumerate(windows_of(images)):
        fine, coarse = (torch.rand(side, side, 6, generator=random) for side in (8, 4))
        for of_place in (windows, torch.zeros_like(windows)) if turned else (windows,):
            collector.add(place, WindowedCells(fine, coarse, coarse, of_place))
    return collector.fit()


def test_turned_images_are_not_learnt_at_places_that_are_not_theirs() -> None:
    plain, turned = mixture(12).windows, mixture(12, turned=True).windows
    assert plain is not None
    assert turned is not None
    assert torch.equal(plain.means, turned.means)


def test_windows_have_a_plane_of_their_own_and_are_restored() -> None:
    model = mixture(12)
    coarse = torch.rand(4, 4, 6)
    cells = WindowedCells(torch.rand(8, 8, 6), coarse, coarse, windows_of(1, 9)[0])
    anomaly = model.anomaly(cells)
    assert model.planes == len(anomaly) == 3
    state = model.state()
    assert torch.equal(MixtureModel.from_state(state).anomaly(cells), anomaly)
    odd = replace(cells, windows=cells.windows + 100.0)
    assert torch.equal(model.anomaly(odd)[:2], anomaly[:2])
    assert (model.anomaly(odd)[2] > anomaly[2] + 10).all()
    assert torch.equal(shown(model.anomaly(odd)), shown(anomaly))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", torch.zeros(0, SIZE)),
        ("whitening", torch.zeros(SIDE * SIDE, SIZE, SIZE)),
        ("whitening", torch.full((SIDE * SIDE, SIZE, SIZE), torch.inf).half()),
        ("usual", torch.zeros(SIDE * SIDE, 2)),
    ],
)
def test_a_state_that_no_training_gives_is_refused(name: str, value: Tensor) -> None:
    with pytest.raises(ValueError, match=f"windows.{name}"):
        MixtureModel.from_state({**mixture(3).state(), f"windows.{name}": value})
