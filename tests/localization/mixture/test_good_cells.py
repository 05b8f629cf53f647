"""What is usual of cells is counted for each component, and a model of before is read as it was."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from differnet.localization.local_model import shown
from differnet.localization.mixture.cells import ScaledCells, StageCells
from differnet.localization.mixture.good_cells import MixtureCollector, MixtureModel

CHANNELS = (6, 4)
SIDE = 12


def image(seed: int) -> StageCells:
    """The left half of an image hardly varies, the right one does, with tails wider than a Gaussian's."""
    generator = torch.Generator().manual_seed(seed)
    grids = []
    for side in (SIDE, SIDE // 2):
        cells = torch.ones(side, side, sum(CHANNELS))
        cells[:, side // 2 :, ::2] = 4.0
        noise = torch.randn(side, side, sum(CHANNELS), generator=generator)
        scale = torch.full((side, side, 1), 0.05)
        scale[:, side // 2 :] = 0.1 * torch.randn(side, side - side // 2, 1, generator=generator).exp()
        grids.append(cells + scale * noise)
    return StageCells(*grids)


def collected(images: int) -> MixtureCollector:
    collector = MixtureCollector(images, channels=CHANNELS, components=8, rank=3, strength=20.0, dimensions=8, seed=0)
    for place in range(images):
        collector.add(place, image(place))
    return collector


@pytest.fixture(scope="module")
def local() -> MixtureModel:
    return collected(30).fit()


def test_components_that_vary_more_are_counted_in_greater_deviations(local: MixtureModel) -> None:
    cells = image(100).fine
    _, left = local.fine.mixture.energy(local.fine.space(cells[:, : SIDE // 2].flatten(0, 1)))
    _, right = local.fine.mixture.energy(local.fine.space(cells[:, SIDE // 2 :].flatten(0, 1)))
    of = local.fine.deviations
    assert of[right].mean() > 1.5 * of[left].mean()


def test_good_cells_lie_about_0_by_a_deviation(local: MixtureModel) -> None:
    energies = torch.cat([local.fine.standardised_energy(image(seed).fine.flatten(0, 1)) for seed in range(100, 140)])
    assert abs(energies.mean().item()) < 0.3
    assert 0.6 < energies.std().item() < 1.6


def test_the_coarse_grid_adds_no_more_than_the_limit(local: MixtureModel) -> None:
    cells = image(100)
    strange = StageCells(cells.fine, cells.coarse * torch.tensor([9.0, *[-1.0] * (sum(CHANNELS) - 1)]))
    fine = local.fine.standardised_energy(cells.fine.flatten(0, 1)).view(SIDE, SIDE)
    assert torch.allclose(local.anomaly(strange), fine + local.limit)


def test_the_reduced_image_has_a_plane_of_its_own_which_adds_to_a_map_up_to_the_limit() -> None:
    collector = MixtureCollector(12, channels=CHANNELS, components=8, rank=3, strength=20.0, dimensions=8, seed=0)
    for place in range(12):
        collector.add(place, scaled(image(place)))
    local, cells = collector.fit(), scaled(image(100))
    assert [name for name, _ in local.levels] == ["fine", "coarse", "reduced"]
    restored = MixtureModel.from_state(local.state())
    assert torch.equal(restored.anomaly(cells), local.anomaly(cells))
    before = MixtureModel(local.fine, local.coarse).anomaly(image(100))
    odd = cells.reduced * torch.tensor([9.0, *[-1.0] * (sum(CHANNELS) - 1)])
    strange = local.anomaly(ScaledCells(cells.fine, cells.coarse, odd))
    assert local.planes == len(strange) == 2
    assert torch.equal(strange[0], before)
    assert (strange[1] > 10.0).all()
    assert torch.allclose(shown(strange), before + 4.0)


def scaled(cells: StageCells) -> ScaledCells:
    """With a third grid."""
    return ScaledCells(cells.fine, cells.coarse, cells.coarse[::2, ::2].contiguous())


def anomaly_of_odd_image(place_of_turned: int) -> float:
    """How strange an image is that is left out, when it was given turned as well, under this place."""
    collector = MixtureCollector(12, channels=CHANNELS, components=12, rank=2, strength=20.0, dimensions=8, seed=0)
    for place in range(10):
        collector.add(place, image(place))
    odd = StageCells(*(grid.roll(3, dims=2) for grid in (image(10).fine, image(10).coarse)))
    collector.add(10, odd)
    collector.add(place_of_turned, StageCells(*(torch.rot90(grid, 2) for grid in (odd.fine, odd.coarse))))
    return collector.fit({10}).anomaly(odd).mean().item()


def test_an_image_that_is_left_out_is_left_out_turned_too() -> None:
    assert anomaly_of_odd_image(10) > 2 * anomaly_of_odd_image(11) > 0


def earlier(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The state as it was when all components had one deviation and no limit was kept."""
    found = {name: tensor for name, tensor in state.items() if name != "limit"}
    for level in ("fine", "coarse"):
        mean, _ = found.pop(f"{level}.level").tolist()
        found.pop(f"{level}.deviations")
        found[f"{level}.usual"] = torch.tensor([mean, 7.0], dtype=torch.float64)
    return found


def test_a_model_of_before_has_one_deviation_and_its_limit(local: MixtureModel) -> None:
    restored = MixtureModel.from_state(earlier(local.state()))
    assert restored.limit == 2.0
    energy, _ = restored.fine.mixture.energy(restored.fine.space(image(5).fine.flatten(0, 1)))
    found = restored.fine.standardised_energy(image(5).fine.flatten(0, 1))
    assert torch.allclose(found, (energy - restored.fine.mean) / 7.0)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("limit", torch.tensor([torch.nan], dtype=torch.float64)),
        ("fine.level", torch.zeros(3, dtype=torch.float64)),
        ("coarse.deviations", torch.zeros(8)),
        ("fine.deviations", torch.ones(3)),
    ],
)
def test_a_state_that_no_training_gives_is_refused(local: MixtureModel, name: str, value: Tensor) -> None:
    with pytest.raises(ValueError, match=name.partition(".")[2] or name):
        MixtureModel.from_state({**local.state(), name: value})
