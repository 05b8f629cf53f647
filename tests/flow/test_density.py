"""What every density model promises: the flow, the Gaussian, ensembles of either, and one that somebody adds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from differnet import DifferNet, Settings
from differnet.errors import DatasetError, ModelFileError, SettingsError
from differnet.flow import (
    DENSITY_MODELS,
    DensityEnsemble,
    DensityModel,
    Gaussian,
    InvertibleDensityModel,
    StoredPrecision,
    build_density_model,
)
from differnet.settings import FlowSettings, TrainingSettings
from differnet.training import train_flow
from differnet.training.vectors import BankVectors

FEATURES = 10


class Independent(DensityModel):
    """A Gaussian of independent features, trained from scratch."""

    name = "independent"

    def __init__(self, features: int) -> None:
        super().__init__(features)
        self.mean = nn.Parameter(torch.zeros(features))
        self.log_deviation = nn.Parameter(torch.zeros(features))

    def energy(self, y: Tensor) -> Tensor:
        return ((y - self.mean) / self.log_deviation.exp()).square().mean(-1)

    def loss(self, y: Tensor) -> Tensor:
        return 0.5 * self.energy(y) + self.log_deviation.mean()


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    DENSITY_MODELS.register(Independent)
    yield
    del DENSITY_MODELS[Independent.name]


SETTINGS = {
    "real-nvp": FlowSettings(blocks=3, hidden=16),
    "real-nvp without whitening": FlowSettings(blocks=3, hidden=16, whiten=False),
    "gaussian": FlowSettings(kind="gaussian"),
    "independent": FlowSettings(kind="independent"),
}
MODELS = [(name, members) for name in SETTINGS for members in (1, 3)]


def vectors(count: int, seed: int = 0) -> Tensor:
    """Correlated features of different sizes, off the origin."""
    mixing = torch.eye(FEATURES) + 0.3 * torch.randn(FEATURES, FEATURES, generator=torch.Generator().manual_seed(1))
    standard = torch.randn(count, FEATURES, generator=torch.Generator().manual_seed(seed))
    return standard @ mixing * torch.logspace(-1, 0.5, FEATURES) + 1.0


def learnt(name: str, members: int = 1) -> DensityModel:
    """A model that has started, and whose parameters are no longer those that it starts with."""
    torch.manual_seed(0)
    model = build_density_model(FEATURES, SETTINGS[name], members)
    model.start(vectors(60).split(20))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def invertible(name: str) -> InvertibleDensityModel:
    model = learnt(name)
    if not isinstance(model, InvertibleDensityModel):
        pytest.skip("has no latent space")
    return model


def test_all_registered_models_are_tried_here() -> None:
    assert {settings.kind for settings in SETTINGS.values()} == set(DENSITY_MODELS)
    assert all(model.name == name for name, model in DENSITY_MODELS.items())


@pytest.mark.parametrize(("name", "members"), MODELS)
def test_energy_and_loss_are_of_each_vector_alone_and_higher_where_it_is_less_likely(name: str, members: int) -> None:
    model, y = learnt(name, members), vectors(7, seed=2)
    assert model.member_count == members
    assert model.features == FEATURES
    assert model.device == torch.device("cpu")
    for of_model in (model.energy, model.loss):
        values = of_model(y)
        assert values.shape == (7,)
        assert values.isfinite().all()
        torch.testing.assert_close(torch.cat([of_model(one) for one in y.split(1)]), values)
        assert (of_model(y + 50.0) > values).all()


@pytest.mark.parametrize(("name", "members"), MODELS)
def test_gradients_reach_vectors_and_parameters(name: str, members: int) -> None:
    model, y = learnt(name, members), vectors(5, seed=2).requires_grad_(True)
    for values in (model.energy(y), model.loss(y)):
        [gradient] = torch.autograd.grad(values.sum(), y)
        assert gradient.isfinite().all()
        assert (gradient.abs().sum(1) > 0.0).all()
    assert model.is_trainable == (name != "gaussian")
    if model.is_trainable and members == 1:
        model.loss(y).mean().backward()
        assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("name", SETTINGS)
def test_latent_vectors_and_determinants_agree_with_energy_loss_inverse_and_autograd(name: str) -> None:
    model, y = invertible(name).double(), vectors(4, seed=2).double()
    z, log_det = model(y)
    torch.testing.assert_close(model.energy(y), z.square().mean(1))
    torch.testing.assert_close(model.loss(y), model.energy(y) / 2 - log_det / FEATURES)
    torch.testing.assert_close(model.inverse(z), y)
    jacobian = torch.autograd.functional.jacobian(lambda one: model(one[None])[0][0], y[0])
    torch.testing.assert_close(torch.linalg.slogdet(jacobian).logabsdet, log_det[0])


@pytest.mark.parametrize("name", SETTINGS)
def test_a_model_that_starts_fitted_draws_vectors_like_those_it_saw(name: str) -> None:
    model, y = build_density_model(FEATURES, SETTINGS[name]), vectors(20_000)
    if not (model.starts_fitted and isinstance(model, InvertibleDensityModel)):
        pytest.skip("starts without having learnt anything")
    model.start([y])
    drawn = model.sample(20_000, torch.Generator().manual_seed(3))
    deviation = y.std(0)
    torch.testing.assert_close((drawn.mean(0) - y.mean(0)) / deviation, torch.zeros(FEATURES), rtol=0.0, atol=0.04)
    torch.testing.assert_close(torch.cov((drawn / deviation).T), torch.cov((y / deviation).T), rtol=0.0, atol=0.06)


@pytest.mark.parametrize("name", SETTINGS)
def test_how_vectors_are_batched_does_not_change_the_start_and_none_are_refused(name: str) -> None:
    y = vectors(60)
    whole, parts = (build_density_model(FEATURES, SETTINGS[name]) for _ in range(2))
    whole.start([y])
    parts.start(y.split(7))
    assert all(map(torch.equal, whole.buffers(), parts.buffers()))
    if whole.starts_fitted:
        with pytest.raises(DatasetError, match="None of the training images can be read"):
            whole.start([])


@pytest.mark.parametrize("name", SETTINGS)
def test_disturbed_vectors_stay_near(name: str) -> None:
    model, y = learnt(name), vectors(400)
    torch.manual_seed(0)
    disturbed = model.disturb(y)
    assert disturbed.shape == y.shape
    assert ((disturbed - y).std(0) / y.std(0)).max() < 0.5


@pytest.mark.parametrize("stored", ["float32", "float16"])
@pytest.mark.parametrize(("name", "members"), MODELS)
def test_a_rounded_model_is_what_its_state_gives_to_the_last_bit(
    name: str, members: int, stored: StoredPrecision
) -> None:
    model, y = learnt(name, members), vectors(6, seed=2)
    before = model.energy(y)
    model.round_to(stored)
    rounded = model.energy(y)
    torch.testing.assert_close(rounded, before, rtol=0.05, atol=0.05)
    model.round_to(stored)
    assert torch.equal(model.energy(y), rounded)
    with torch.device("meta"):
        loaded = build_density_model(FEATURES, SETTINGS[name], members)
    loaded.load_state(model.state(stored), stored)
    assert torch.equal(loaded.eval().energy(y), rounded)
    assert torch.equal(loaded.loss(y), model.loss(y))


@pytest.mark.parametrize(("name", "members"), MODELS)
def test_a_state_that_is_not_whole_is_refused_by_the_name_of_the_tensor(name: str, members: int) -> None:
    model = learnt(name, members)
    state = model.state("float32")
    last = [*state][-1]
    with pytest.raises(ValueError, match=last):
        model.load_state({**state, last: state[last][:-1]}, "float32")
    del state[last]
    with pytest.raises(KeyError, match=last):
        model.load_state(state, "float32")


@pytest.mark.parametrize(("name", "members"), MODELS)
def test_export_follows_the_energy(name: str, members: int) -> None:
    class Graph(nn.Module):
        def __init__(self, model: DensityModel) -> None:
            super().__init__()
            self.model = model

        def forward(self, y: Tensor) -> Tensor:
            return self.model.energy(y)

    model, y = learnt(name, members).requires_grad_(False), vectors(4, seed=2)
    exported = torch.export.export(Graph(model), (y,)).module()
    other = vectors(4, seed=3)
    torch.testing.assert_close(exported(other), model.energy(other))


def test_an_ensemble_that_computed_takes_another_state() -> None:
    first, other = learnt("real-nvp", 3), learnt("real-nvp", 3)
    y = vectors(5)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.add_(0.05)
    assert not torch.equal(first.energy(y), other.energy(y))
    first.load_state(other.state("float32"), "float32")
    assert torch.equal(first.energy(y), other.energy(y))


def test_nothing_of_a_gaussian_is_trained() -> None:
    model, y = learnt("gaussian"), vectors(40)
    before = model.state("float32")
    result = train_flow(model, BankVectors(y[:, None], batch_images=20, seed=0), y[:, None], TrainingSettings(epochs=3))
    assert (result.history, result.kept_epoch, result.interrupted) == ([], 0, False)
    after = model.state("float32")
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_a_kind_that_does_not_exist_is_refused_before_there_is_work(product: Path, small_settings: Settings) -> None:
    model = DifferNet(small_settings.with_overrides({"flow.kind": "glow"}), device="cpu")
    with pytest.raises(SettingsError, match="no density model 'glow'; choose one of real-nvp, gaussian"):
        model.fit(product)


@pytest.mark.parametrize("kind", ["gaussian", "independent"])
def test_a_detector_learns_scores_saves_and_loads_with_another_density_model(
    product: Path, small_settings: Settings, tmp_path: Path, kind: str
) -> None:
    chosen = {"flow.kind": kind, "training.epochs": 2, "calibration.method": "cross-fitted", "calibration.folds": 3}
    model = DifferNet(small_settings.with_overrides({**chosen, "scoring.local": True}), device="cpu").fit(product)
    assert isinstance(model.flow, DensityEnsemble)
    assert isinstance(model.flow.members[0], DENSITY_MODELS[kind])
    assert model.calibration is not None
    assert len(model.held_out_scores) == 24
    good, scratch = (sorted((product / "test" / name).iterdir()) for name in ("good", "scratch"))
    scores = model.score([*good, *scratch])
    assert np.median(scores[len(good) :]) > np.median(scores[: len(good)])
    assert model.explain(scratch[0], "gradient").max() > 0.0
    model.save(tmp_path / "model.safetensors")
    loaded = DifferNet.load(tmp_path / "model.safetensors", device="cpu")
    assert loaded.score([*good, *scratch]).tolist() == scores.tolist()


def test_a_gaussian_learns_with_images_held_out_too(product: Path, small_settings: Settings) -> None:
    model = DifferNet(small_settings.with_overrides({"flow.kind": "gaussian"}), device="cpu").fit(product)
    assert isinstance(model.flow, Gaussian)
    assert model.manifest is not None
    assert (model.manifest.training.epochs, model.manifest.training.held_out_images) == (0, 10)
    assert model.calibration is not None


def test_a_file_of_a_kind_that_is_not_known_here_says_so(
    product: Path, small_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen = {"flow.kind": Independent.name, "training.epochs": 1}
    file = tmp_path / "model.safetensors"
    DifferNet(small_settings.with_overrides(chosen), device="cpu").fit(product).save(file)
    monkeypatch.delitem(cast("dict[str, type[DensityModel]]", DENSITY_MODELS), Independent.name)
    with pytest.raises(ModelFileError, match="density model 'independent' is not known here; register it"):
        DifferNet.load(file, device="cpu")
    monkeypatch.undo()
