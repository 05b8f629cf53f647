"""The whitening layer, the flow that begins with it, and the ensemble."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.covariance import LedoitWolf
from torch import Tensor

from differnet.flow import DensityEnsemble, NormalizingFlow, negative_log_likelihood
from differnet.flow.whitening import Whitening
from differnet.settings import TrainingSettings
from differnet.training import train_flow
from differnet.training.vectors import BankVectors

FEATURES = 12


def vectors(count: int, seed: int = 0) -> Tensor:
    """Correlated features of very different sizes."""
    generator = torch.Generator().manual_seed(seed)
    mixing = torch.eye(FEATURES) + 0.1 * torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(1))
    sizes = torch.logspace(-2, 2, FEATURES)
    return torch.randn(count, FEATURES, generator=generator) @ mixing * sizes + 5.0


def whitened_flow(y: Tensor, seed: int = 0) -> NormalizingFlow:
    torch.manual_seed(seed)
    flow = NormalizingFlow(FEATURES, blocks=3, hidden=16, whiten=True)
    assert flow.whitening is not None
    flow.whitening.fit(y)
    return flow


@given(st.integers(5, 200), st.integers(0, 1000))
@settings(max_examples=20, deadline=None)
def test_whitening_is_invertible_with_the_log_det_of_autograds_jacobian(count: int, seed: int) -> None:
    layer = Whitening(FEATURES).double()
    layer.fit(vectors(count, seed))
    y = vectors(4, seed + 1).double()
    z, log_det = layer(y)
    torch.testing.assert_close(layer.inverse(z), y)
    jacobian = torch.autograd.functional.jacobian(lambda one: layer(one[None])[0][0], y[0])
    torch.testing.assert_close(log_det, torch.linalg.slogdet(jacobian).logabsdet.expand(4))


def test_many_good_features_get_unit_covariance() -> None:
    layer = Whitening(FEATURES)
    layer.fit(vectors(20_000))
    z, _ = layer(vectors(20_000, seed=3))
    torch.testing.assert_close(torch.cov(z.T), torch.eye(FEATURES), rtol=0.0, atol=0.05)


@pytest.mark.parametrize("count", [6, 30, 300])
def test_an_untrained_whitened_flow_is_scikit_learns_shrunk_gaussian(count: int) -> None:
    y, other = vectors(count), vectors(7, seed=2)
    mean, deviation = y.double().mean(0), y.double().std(0, correction=0) + 1e-6
    reference = LedoitWolf(assume_centered=True).fit(((y.double() - mean) / deviation).numpy())
    expected = reference.mahalanobis(((other.double() - mean) / deviation).numpy()) / FEATURES
    np.testing.assert_allclose(whitened_flow(y).energy(other).detach().numpy(), expected, rtol=1e-3)


def test_disturbed_features_have_the_shrunk_covariance() -> None:
    y = vectors(500)
    layer = Whitening(FEATURES)
    layer.fit(y)
    assert 0.0 < layer.noise[0] < 0.2
    torch.manual_seed(0)
    z, _ = layer(layer.disturb(y.repeat(200, 1)))
    torch.testing.assert_close(torch.cov(z.T), torch.eye(FEATURES), rtol=0.0, atol=0.05)


def test_training_of_a_whitened_flow_never_ends_less_likely_than_its_gaussian() -> None:
    y, unseen = vectors(60), vectors(40, seed=5)
    flow = whitened_flow(y)
    before = flow.loss(unseen).median().item()
    schedule = TrainingSettings(epochs=3, learning_rate=0.5)  # far too fast: every epoch makes it worse
    result = train_flow(flow, BankVectors(y[:, None], batch_images=20, seed=0), unseen[:, None], schedule)
    assert flow.loss(unseen).median().item() <= before
    assert result.kept_epoch == 0
    assert len(result.history) == 3


def test_training_of_a_whitened_flow_finds_what_a_gaussian_cannot_say() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 2)
    y = torch.stack((x[:, 0], x[:, 0].square() + 0.3 * x[:, 1]), dim=1)  # a parabola
    seen, unseen = y[:1500], y[1500:]
    flow = NormalizingFlow(2, blocks=4, hidden=32, whiten=True)
    assert flow.whitening is not None
    flow.whitening.fit(seen)
    before = flow.loss(unseen).median().item()
    schedule = TrainingSettings(epochs=30, learning_rate=3e-3)
    result = train_flow(flow, BankVectors(seen[:, None], batch_images=100, seed=0), unseen[:, None], schedule)
    assert result.kept_epoch > 0
    assert flow.loss(unseen).median().item() < before - 0.1


def test_an_ensemble_gives_the_mean_of_its_members() -> None:
    y, other = vectors(50), vectors(6, seed=4)
    members = [whitened_flow(y[i * 10 : i * 10 + 20], seed=i) for i in range(3)]
    ensemble = DensityEnsemble(members)
    energies = torch.stack([member(other)[0].square().mean(1) for member in members])
    losses = torch.stack([negative_log_likelihood(*member(other)) for member in members])
    torch.testing.assert_close(ensemble.energy(other), energies.mean(0))
    torch.testing.assert_close(ensemble.loss(other), losses.mean(0))


def test_an_ensemble_follows_its_members_wherever_they_go() -> None:
    y, other = vectors(50), vectors(6, seed=4)
    members = [whitened_flow(y[i * 10 : i * 10 + 20], seed=i) for i in range(3)]
    ensemble = DensityEnsemble(members)
    names, before = list(ensemble.state_dict()), ensemble.energy(other)
    assert list(ensemble.state_dict()) == names
    torch.testing.assert_close(copy.deepcopy(ensemble).energy(other), before)
    torch.testing.assert_close(ensemble.double().energy(other.double()), before.double(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(ensemble.float().energy(other), before)
    for member in members:
        assert member.whitening is not None
        member.whitening.mean += 0.5
    changed = torch.stack([member.energy(other) for member in members]).mean(0)
    assert not torch.allclose(changed, before)
    torch.testing.assert_close(ensemble.energy(other), changed)


def test_an_ensemble_without_whitening_gives_the_mean_too() -> None:
    members = [NormalizingFlow(FEATURES, blocks=2, hidden=8) for _ in range(3)]
    other = vectors(6, seed=4) / 100
    ensemble = DensityEnsemble(members)
    energies = torch.stack([member.energy(other) for member in members])
    losses = torch.stack([member.loss(other) for member in members])
    torch.testing.assert_close(ensemble.energy(other), energies.mean(0))
    torch.testing.assert_close(ensemble.loss(other), losses.mean(0))


def test_gradients_of_an_ensemble_are_the_mean_of_its_members() -> None:
    y, other = vectors(50), vectors(6, seed=4).requires_grad_(True)
    members = [whitened_flow(y[i * 10 : i * 10 + 20], seed=i) for i in range(3)]
    [expected] = torch.autograd.grad(torch.stack([member.loss(other) for member in members]).mean(0).sum(), other)
    [found] = torch.autograd.grad(DensityEnsemble(members).loss(other).sum(), other)
    torch.testing.assert_close(found, expected)


def test_an_ensemble_keeps_no_tensor_twice() -> None:
    y = vectors(50)
    ensemble = DensityEnsemble([whitened_flow(y[i * 10 : i * 10 + 20], seed=i) for i in range(3)])
    ensemble.energy(y)
    storages = {tensor.untyped_storage().data_ptr() for tensor in ensemble.state_dict().values() if tensor.dim() == 2}
    of_one = sum(1 for tensor in ensemble.members[0].state_dict().values() if tensor.dim() == 2)
    assert len(storages) == of_one
