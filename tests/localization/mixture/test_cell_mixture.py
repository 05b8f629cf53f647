"""The mixture is the density that it says, and follows from sums that images can be taken out of."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from differnet.localization.mixture.cell_mixture import CellMixture, CellStatistics, assign_components


def cells_of(count: int, seed: int) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    centres = 4 * torch.randn(3, 6, generator=generator)
    spread = torch.randn(3, 6, 6, generator=generator)
    kinds = torch.randint(3, (count,), generator=generator)
    noise = torch.randn(count, 1, 6, generator=generator)
    return centres[kinds] + (noise @ spread[kinds]).squeeze(1)


@pytest.mark.parametrize("rank", [1, 3, 5])
def test_the_energy_is_the_log_likelihood_of_the_component_that_explains_a_cell_best(rank: int) -> None:
    cells = cells_of(400, 0)
    whitening, mixture = CellStatistics.of(cells, assign_components(cells, 3, [0]), 3).mixture(rank, 5.0)
    x = cells_of(50, 1) @ whitening
    likelihoods = []
    for number, mean in enumerate(mixture.means):
        axes = mixture.axes.view(6, len(mixture.means), -1)[:, number]
        precision = torch.eye(6) / mixture.variances[number] - axes @ axes.T
        density = MultivariateNormal(mean.double(), precision_matrix=precision.double())
        likelihoods.append(density.log_prob(x.double()))
    best = torch.stack(likelihoods).amax(0)
    expected = -2 * best - 6 * math.log(2 * math.pi)
    assert torch.allclose(mixture.energy(x).double(), expected, rtol=1e-3, atol=1e-3)


def test_with_all_axes_and_no_pull_a_component_has_the_covariance_of_its_cells() -> None:
    cells = cells_of(600, 2)
    whitening, mixture = CellStatistics.of(cells, torch.zeros(600, dtype=torch.int64), 1).mixture(5, 1e-6)
    x = cells @ whitening
    precision = torch.eye(6) / mixture.variances[0] - mixture.axes @ mixture.axes.T
    assert torch.allclose(precision.inverse(), torch.cov(x.T, correction=0), atol=0.02)


def test_sums_without_some_cells_are_those_of_the_others() -> None:
    cells = cells_of(300, 3)
    components = assign_components(cells, 4, [1])
    left_out = torch.arange(300) % 3 == 0
    found = CellStatistics.of(cells, components, 4).without(CellStatistics.of(cells[left_out], components[left_out], 4))
    expected = CellStatistics.of(cells[~left_out], components[~left_out], 4)
    assert torch.equal(found.counts, expected.counts)
    assert torch.allclose(found.sums, expected.sums, atol=1e-3)
    assert torch.allclose(found.products, expected.products, atol=1e-2)


def test_components_without_cells_are_left_out_and_few_cells_are_enough() -> None:
    cells = cells_of(5, 4)
    sums = CellStatistics.of(cells, assign_components(cells, 64, [0]), 64)
    whitening, mixture = sums.mixture(16, 50.0)
    assert len(mixture.means) <= 5
    assert mixture.energy(cells @ whitening).isfinite().all()


def test_cells_that_are_all_alike_give_finite_energies() -> None:
    cells = torch.ones(40, 6)
    whitening, mixture = CellStatistics.of(cells, assign_components(cells, 4, [0]), 4).mixture(2, 50.0)
    assert mixture.energy(torch.cat([cells, cells + 1]) @ whitening).isfinite().all()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("means", torch.zeros(3, 5)),
        ("axes", torch.zeros(6, 4)),
        ("offsets", torch.full((6,), torch.nan)),
        ("variances", torch.zeros(3)),
        ("constants", torch.zeros(3, dtype=torch.float64)),
    ],
)
def test_a_state_that_no_training_gives_is_refused(name: str, value: Tensor) -> None:
    cells = cells_of(100, 5)
    _, mixture = CellStatistics.of(cells, assign_components(cells, 3, [0]), 3).mixture(2, 5.0)
    assert torch.equal(CellMixture.from_state(mixture.state(), 6).means, mixture.means)
    with pytest.raises(ValueError, match=r"means|axes|offsets|variances|constants"):
        CellMixture.from_state({**mixture.state(), name: value}, 6)
