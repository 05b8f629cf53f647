"""Training: the likelihood rises, the kept epoch is the best, it can be repeated, stopped, and fails clearly."""

from __future__ import annotations

import math
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from differnet.errors import DivergenceError
from differnet.flow import NormalizingFlow, negative_log_likelihood
from differnet.settings import TrainingSettings
from differnet.training import EpochReport, train_flow
from differnet.training.vectors import BankVectors

SETTINGS = TrainingSettings(epochs=15, learning_rate=2e-3, batch_images=8)


def make_bank(images: int = 40, views: int = 4, seed: int = 0) -> Tensor:
    """Features on a curved line: a flow can learn them, a Gaussian cannot."""
    generator = torch.Generator().manual_seed(seed)
    t = torch.randn(images, views, 1, generator=generator)
    noise = torch.randn(images, views, 6, generator=generator) * 0.1
    return torch.cat([t, t**2, t.sin(), t, -t, t * 0], dim=2) + noise


def make_flow(seed: int = 0) -> NormalizingFlow:
    torch.manual_seed(seed)
    return NormalizingFlow(6, blocks=4, hidden=16)


def vectors(bank: Tensor, seed: int = 0) -> BankVectors:
    return BankVectors(bank, batch_images=SETTINGS.batch_images, seed=seed)


def median_loss(flow: NormalizingFlow, features: Tensor) -> float:
    with torch.no_grad():
        return negative_log_likelihood(*flow(features.flatten(0, 1))).median().item()


def test_training_raises_the_likelihood_of_unseen_data() -> None:
    flow, held_out = make_flow(), make_bank(20, seed=1)
    before = median_loss(flow, held_out)
    result = train_flow(flow, vectors(make_bank()), held_out, SETTINGS)
    assert median_loss(flow, held_out) < before - 0.5
    assert len(result.history) == SETTINGS.epochs
    assert not flow.training


class SpoiledVectors(BankVectors):
    """From epoch 6 on the training data are others than the held-out ones, so that the held-out loss rises."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        for batch in super().epoch(number):
            yield batch * (10.0 if number > 5 else 1.0)


def test_the_kept_epoch_is_the_one_with_the_best_held_out_loss() -> None:
    flow, held_out = make_flow(), make_bank(20, seed=1)
    result = train_flow(flow, SpoiledVectors(make_bank(), batch_images=8, seed=0), held_out, SETTINGS)
    losses = [report.held_out_loss for report in result.history]
    best = min(loss for loss in losses if loss is not None)
    assert losses[result.kept_epoch - 1] == best
    assert result.kept_epoch <= 5 < len(losses)
    assert median_loss(flow, held_out) == pytest.approx(best, abs=1e-5)


def test_keep_last_keeps_the_last_epoch() -> None:
    settings = SETTINGS.model_copy(update={"keep": "last", "epochs": 3})
    assert train_flow(make_flow(), vectors(make_bank()), make_bank(10, seed=1), settings).kept_epoch == 3


def test_patience_ends_training_early() -> None:
    settings = SETTINGS.model_copy(update={"epochs": 500, "patience": 3})
    source = SpoiledVectors(make_bank(), batch_images=8, seed=0)
    result = train_flow(make_flow(), source, make_bank(20, seed=1), settings)
    assert len(result.history) == result.kept_epoch + 3


def test_the_same_seed_gives_the_same_flow_to_the_last_bit() -> None:
    first, second, other = make_flow(), make_flow(), make_flow()
    train_flow(first, vectors(make_bank()), None, SETTINGS)
    train_flow(second, vectors(make_bank()), None, SETTINGS)
    train_flow(other, vectors(make_bank(), seed=1), None, SETTINGS)
    for a, b, c in zip(first.parameters(), second.parameters(), other.parameters(), strict=True):
        assert torch.equal(a, b)
        assert not torch.equal(a, c)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_ends_with_a_clear_error(value: float) -> None:
    bank = make_bank()
    bank[3, 0, 0] = value
    with pytest.raises(DivergenceError, match=r"epoch 1 .*learning_rate"):
        train_flow(make_flow(), vectors(bank), None, SETTINGS)


class InterruptedVectors(BankVectors):
    """The user presses Ctrl-C in the middle of epoch 4."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        for i, batch in enumerate(super().epoch(number)):
            if number == 4 and i == 1:
                raise KeyboardInterrupt
            yield batch


def test_ctrl_c_keeps_the_best_state_so_far() -> None:
    flow, held_out = make_flow(), make_bank(20, seed=1)
    source = InterruptedVectors(make_bank(), batch_images=8, seed=0)
    result = train_flow(flow, source, held_out, SETTINGS)
    assert result.interrupted
    assert len(result.history) == 3
    kept = result.history[result.kept_epoch - 1].held_out_loss
    assert median_loss(flow, held_out) == pytest.approx(kept, abs=1e-5)


def test_without_a_watched_likelihood_ctrl_c_keeps_the_last_whole_epoch() -> None:
    whole, interrupted = make_flow(), make_flow()
    three = SETTINGS.model_copy(update={"epochs": 3})
    train_flow(whole, vectors(make_bank()), None, three)
    result = train_flow(interrupted, InterruptedVectors(make_bank(), batch_images=8, seed=0), None, SETTINGS)
    assert (result.interrupted, result.kept_epoch) == (True, 3)
    for a, b in zip(whole.parameters(), interrupted.parameters(), strict=True):
        assert torch.equal(a, b)


class NeverWhole(BankVectors):
    """The user presses Ctrl-C in the middle of the first epoch."""

    def epoch(self, number: int) -> Iterator[Tensor]:
        yield next(super().epoch(number))
        raise KeyboardInterrupt


def test_ctrl_c_in_the_first_epoch_has_nothing_to_keep() -> None:
    with pytest.raises(KeyboardInterrupt):
        train_flow(make_flow(), NeverWhole(make_bank(), batch_images=8, seed=0), None, SETTINGS)


def test_every_epoch_is_reported() -> None:
    reports: list[EpochReport] = []
    train_flow(make_flow(), vectors(make_bank()), None, SETTINGS, reports.append)
    assert [report.epoch for report in reports] == list(range(1, SETTINGS.epochs + 1))
    assert all(math.isfinite(report.loss) and report.held_out_loss is None for report in reports)


def test_an_epoch_gives_every_vector_once_in_a_new_order() -> None:
    bank = torch.arange(7 * 3 * 2.0).view(7, 3, 2)
    source = BankVectors(bank, batch_images=2, seed=0)
    first, second = (torch.cat(list(source.epoch(number))) for number in (1, 2))
    assert not torch.equal(first, second)
    expected = bank.flatten(0, 1)
    for epoch in (first, second):
        assert torch.equal(epoch[epoch[:, 0].argsort()], expected)
