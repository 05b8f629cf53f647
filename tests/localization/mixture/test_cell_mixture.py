"""The mixture is the density that it says, however its axes were found."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from differnet.localization.mixture.cell_mixture import (
    CellMixture,
    assign_components,
    fit_mixture,
    within_covariance,
)


def cells_of(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(3, 6, generator=generator)
    spread = torch.randn(3, 6, 6, generator=generator)
    kinds = torch.randint(3, (count,), generator=generator)
    noise = torch.randn(count, 1, 6, generator=generator)
    return centres[kinds] + (noise @ spread[kinds]).squeeze(1)


def fitted(cells: Tensor, count: int, rank: int, strength: float) -> CellMixture:
    return fit_mixture(cells, assign_components(cells, count, [0]), count, rank=rank, strength=strength)


def gaussians(mixture: CellMixture) -> list[MultivariateNormal]:
    """The components as torch knows them."""
    found = []
    for number, mean in enumerate(mixture.means):
        axes = mixture.axes[:, :, number].T
        precision = torch.eye(len(mean)) / mixture.variances[number] - axes @ axes.T
        found.append(MultivariateNormal(mean.double(), precision_matrix=precision.double()))
    return found


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_energy_is_the_log_likelihood_of_the_component_that_explains_a_cell_best(rank: int) -> None:
    mixture = fitted(cells_of(400, 0), 3, rank, 5.0)
    x = cells_of(50, 1)
    likelihoods = torch.stack([density.log_prob(x.double()) for density in gaussians(mixture)])
    expected = -2 * likelihoods.amax(0) - 6 * math.log(2 * math.pi)
    energy, component = mixture.energy(x)
    # Axes are kept in half precision, of which the log-determinant knows nothing.
    assert torch.allclose(energy.double(), expected, rtol=5e-3, atol=0.02)
    assert torch.equal(component, likelihoods.argmax(0))


def test_with_all_axes_and_no_pull_a_component_has_the_covariance_of_its_cells() -> None:
    cells = cells_of(600, 2)
    mixture = fit_mixture(cells, torch.zeros(600, dtype=torch.int64), 1, rank=5, strength=1e-6)
    [density] = gaussians(mixture)
    expected = torch.cov(cells.T, correction=0)
    assert torch.allclose(density.covariance_matrix.float(), expected, atol=0.02 * float(expected.diagonal().max()))


def wide_cells(count: int, seed: int) -> Tensor:
    """Cells of more dimensions than axes are looked for, so that these are found by iteration."""
    generator = torch.Generator().manual_seed(seed)
    spread = torch.linspace(3.0, 0.3, 40)
    kinds = torch.randint(3, (count,), generator=generator)
    centres = 6 * torch.randn(3, 40, generator=generator)
    return centres[kinds] + spread * torch.randn(count, 40, generator=generator)


def test_axes_found_by_iteration_are_the_eigenvectors() -> None:
    cells = wide_cells(3000, 0)
    mixture = fit_mixture(cells, torch.zeros(3000, dtype=torch.int64), 1, rank=4, strength=10.0)
    centred = cells - cells.mean(0)
    covariance = (centred.T @ centred + 10.0 * torch.eye(40)) / 3010.0
    variances, axes = torch.linalg.eigh(covariance)
    along = mixture.axes[:, :, 0]
    explained = (torch.nn.functional.normalize(along, dim=1) @ axes[:, -4:]).square().sum(1)
    assert (explained > 0.99).all()
    lengths = (1 / variances[:-4].mean() - 1 / variances[-4:].flip(0)).sqrt()
    assert torch.allclose(along.norm(dim=1), lengths, rtol=0.02)


def test_from_a_mixture_of_nearly_the_same_cells_the_same_is_found_sooner() -> None:
    cells = wide_cells(3000, 1)
    components = assign_components(cells, 3, [0])
    start = fit_mixture(cells, components, 3, rank=4, strength=10.0)
    some = torch.arange(3000) % 10 != 0
    afar = fit_mixture(cells[some], components[some], 3, rank=4, strength=10.0)
    near = fit_mixture(cells[some], components[some], 3, rank=4, strength=10.0, start=start)
    unseen = wide_cells(200, 2)
    assert torch.allclose(near.energy(unseen)[0], afar.energy(unseen)[0], rtol=0.02, atol=0.2)


def test_cells_are_white_within_components_after_the_covariance_within_them_is_taken_away() -> None:
    cells = cells_of(600, 3)
    components = assign_components(cells, 3, [1])
    variances, axes = torch.linalg.eigh(within_covariance(cells, components, 3))
    white = cells @ (axes * variances**-0.5).float()
    assert torch.allclose(within_covariance(white, components, 3), torch.eye(6, dtype=torch.float64), atol=1e-3)


def test_a_component_that_lost_its_cells_explains_nothing() -> None:
    cells = cells_of(300, 4)
    components = assign_components(cells, 4, [0])
    kept = components != 2
    mixture = fit_mixture(cells[kept], components[kept], 4, rank=2, strength=5.0)
    energy, component = mixture.energy(cells)
    assert (component != 2).all()
    assert energy.isfinite().all()


def test_few_cells_are_enough() -> None:
    cells = cells_of(5, 4)
    components = assign_components(cells, 64, [0])
    mixture = fit_mixture(cells, components, int(components.max()) + 1, rank=16, strength=50.0)
    assert mixture.energy(cells)[0].isfinite().all()


def test_cells_that_are_all_alike_give_finite_energies() -> None:
    cells = torch.ones(40, 6)
    mixture = fitted(cells, 4, 2, 50.0)
    assert mixture.energy(torch.cat([cells, cells + 1]))[0].isfinite().all()


def test_a_saved_mixture_is_the_same_to_the_last_bit() -> None:
    mixture = fitted(cells_of(200, 6), 3, 2, 5.0)
    restored = CellMixture.from_state(mixture.state(), 6)
    x = cells_of(50, 7)
    assert torch.equal(restored.energy(x)[0], mixture.energy(x)[0])


def test_one_of_the_first_layout_is_read() -> None:
    mixture = fitted(cells_of(200, 6), 3, 2, 5.0)
    earlier = {
        **mixture.state(),
        "axes": mixture.axes.permute(1, 2, 0).reshape(6, -1).contiguous(),
        "offsets": mixture.offsets.T.flatten(),
    }
    x = cells_of(50, 7)
    assert torch.equal(CellMixture.from_state(earlier, 6).energy(x)[0], mixture.energy(x)[0])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", torch.zeros(3, 5)),
        ("axes", torch.zeros(2, 6, 4)),
        ("axes", torch.zeros(6, 4)),
        ("offsets", torch.full((2, 3), torch.nan)),
        ("variances", torch.zeros(3)),
        ("constants", torch.zeros(3, dtype=torch.float64)),
        ("constants", torch.full((3,), torch.inf)),
    ],
)
def test_a_state_that_no_training_gives_is_refused(name: str, value: Tensor) -> None:
    mixture = fitted(cells_of(100, 5), 3, 2, 5.0)
    with pytest.raises(ValueError, match=r"means|axes|offsets|variances|constants"):
        CellMixture.from_state({**mixture.state(), name: value}, 6)
