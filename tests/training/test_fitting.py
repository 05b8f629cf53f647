"""What fitting gives: which images calibrate, and how many epochs cross-fitting takes."""

from __future__ import annotations

from pathlib import Path

import pytest

from differnet import DifferNet, Listener, Settings
from differnet.errors import CalibrationError
from differnet.training import EpochReport

CROSS = {"calibration.method": "cross-fitted", "calibration.folds": 3, "training.epochs": 2}


class Recorder(Listener):
    def __init__(self, stop_at: int = 0) -> None:
        self.epochs: list[int] = []
        self.stop_at = stop_at

    def epoch(self, report: EpochReport) -> None:
        self.epochs.append(report.epoch)
        if len(self.epochs) == self.stop_at:
            raise KeyboardInterrupt


def test_cross_fitting_scores_every_image_and_trains_on_all(product: Path, small_settings: Settings) -> None:
    recorder = Recorder()
    model = DifferNet(small_settings.with_overrides(CROSS), device="cpu").fit(product, recorder)
    assert model.manifest is not None
    assert model.manifest.calibration is not None
    assert model.manifest.calibration.source == "cross-fitted"
    assert len(model.held_out_scores) == 24
    assert (model.manifest.training.images, model.manifest.training.held_out_images) == (24, 0)
    assert recorder.epochs == sorted(recorder.epochs)
    assert len(set(recorder.epochs)) == len(recorder.epochs)


def test_an_interrupted_cross_fitting_leaves_a_usable_model(product: Path, small_settings: Settings) -> None:
    model = DifferNet(small_settings.with_overrides(CROSS), device="cpu").fit(product, Recorder(stop_at=2))
    assert model.manifest is not None
    assert model.manifest.training.interrupted
    assert model.score(product / "test" / "good" / "000.png").shape == (1,)


@pytest.mark.parametrize(
    ("rate", "source"),
    [(0.1, "held-out"), (0.05, "cross-fitted"), (0.01, None)],
)
def test_auto_cross_fits_only_where_it_helps(
    product: Path, small_settings: Settings, rate: float, source: str | None
) -> None:
    chosen = {**CROSS, "calibration.method": "auto", "calibration.false_reject_rate": rate, "training.epochs": 1}
    model = DifferNet(small_settings.with_overrides(chosen), device="cpu").fit(product)
    assert model.manifest is not None
    record = model.manifest.calibration
    assert (record.source if record else None) == source
    if source is None:
        assert "99" in model.uncalibrated_reason
        assert "10" in model.uncalibrated_reason
        with pytest.raises(CalibrationError, match="99"):
            model.calibrate(false_reject_rate=rate)
