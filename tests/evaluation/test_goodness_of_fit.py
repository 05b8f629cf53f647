"""The two-sample test tells other distributions, and does not tell equal ones; samples come from every density."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from differnet.evaluation.goodness_of_fit import compare_with_samples, energy_test
from differnet.flow import DensityEnsemble, DensityModel, Gaussian, NormalizingFlow, draw

RNG = np.random.default_rng


class NoInverse(DensityModel):
    """How far from 0."""

    name = "far"

    def energy(self, y: torch.Tensor) -> torch.Tensor:
        return y.square().mean(-1)

    loss = energy


def p_values(shift: float, scale: float = 1.0) -> list[float]:
    """Of 20 trials in 30 dimensions."""
    found = []
    for trial in range(20):
        rng = RNG(trial)
        first, second = rng.normal(0, 1, (25, 30)), rng.normal(shift, scale, (60, 30))
        found.append(energy_test(first, second, rng, permutations=99)[1])
    return found


def test_equal_distributions_are_not_told_apart() -> None:
    found = p_values(0.0)
    assert 0.25 < np.mean(found) < 0.75
    assert sum(p <= 0.05 for p in found) <= 4


@pytest.mark.parametrize(("shift", "scale"), [(0.5, 1.0), (0.0, 1.6), (0.0, 0.5)], ids=["shifted", "wider", "narrower"])
def test_other_distributions_are(shift: float, scale: float) -> None:
    assert np.median(p_values(shift, scale)) <= 0.05


def test_the_distance_is_a_share() -> None:
    rng = RNG(0)
    points = rng.normal(0, 1, (40, 3))
    assert energy_test(points, points, RNG(1), 9)[0] == 0.0
    assert energy_test(points, points + 1000, RNG(1), 9)[0] > 0.9
    same = np.ones((5, 3))
    assert energy_test(same, same, RNG(1), 9) == (0.0, 1.0)


def test_units_of_single_features_do_not_count() -> None:
    rng = RNG(0)
    first, second, units = rng.normal(0, 1, (20, 4)), rng.normal(0.3, 1, (30, 4)), np.array([1e-6, 1.0, 50.0, 1e6])
    expected = energy_test(first, second, RNG(1), 99)
    assert energy_test(first * units, second * units, RNG(1), 99) == pytest.approx(expected)


def test_wild_samples_leave_numbers() -> None:
    first = RNG(0).normal(0, 1, (20, 4))
    second = first.copy()
    second[:3] = [np.nan, np.inf, -np.inf, 1e300]
    assert all(np.isfinite(energy_test(first, second, RNG(1), 9)))


def fitted(seed: int) -> Gaussian:
    gaussian = Gaussian(8)
    gaussian.start([torch.randn(400, 8, generator=torch.Generator().manual_seed(seed))])
    return gaussian


def test_a_density_that_fits_is_told_from_one_that_does_not() -> None:
    good = torch.randn(40, 8, generator=torch.Generator().manual_seed(7))
    fits = compare_with_samples(fitted(0), good, seed=0)
    other = compare_with_samples(fitted(0), good + 2, seed=0)
    assert fits is not None
    assert other is not None
    assert fits.p_value > 0.05 >= other.p_value
    assert fits.distance < other.distance
    assert fits.vectors == 40
    assert compare_with_samples(fitted(0), good, seed=0) == fits


def test_of_few_images_nothing_is_said() -> None:
    assert compare_with_samples(fitted(0), torch.zeros(4, 8), seed=0) is None


def test_an_ensemble_draws_from_all_its_members() -> None:
    members = [fitted(seed) for seed in range(3)]
    members[1].whitening.mean += 100.0
    drawn = draw(DensityEnsemble(members), 7, torch.Generator().manual_seed(0))
    assert drawn is not None
    assert drawn.shape == (7, 8)
    assert int((drawn.mean(1) > 50).sum()) == 2


def test_a_flow_draws_what_it_maps_back_to_noise() -> None:
    torch.manual_seed(0)
    flow = NormalizingFlow(6, blocks=2, hidden=8)
    drawn = draw(flow, 5, torch.Generator().manual_seed(0))
    assert drawn is not None
    z = torch.randn(5, 6, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(flow(drawn)[0].detach(), z, atol=1e-5, rtol=1e-4)


def test_nothing_is_drawn_from_a_density_without_an_inverse() -> None:
    assert draw(NoInverse(3), 5) is None
    assert draw(DensityEnsemble([NoInverse(3), NoInverse(3)]), 5) is None
