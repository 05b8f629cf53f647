"""Images that differ from the training images, and more refusals than stated, are told; clean batches are not."""

from __future__ import annotations

import copy
import io
import json
import pickle
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image

from differnet import DifferNet
from differnet.calibration import calibrate
from differnet.features import Sample
from differnet.features.reference import Reference, appearance
from differnet.inspection.drift import DriftMonitor
from differnet.inspection.verdict import Verdict, give_verdict
from tests.cli.test_commands import run
from tests.conftest import plate

Pixels = NDArray[np.uint8]


def compressed(image: Pixels) -> Pixels:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=30)
    return np.asarray(Image.open(file))


CHANGES: dict[str, tuple[Callable[[Pixels], Pixels], str]] = {
    "lighter": (lambda image: np.clip(image * 1.2, 0, 255).astype(np.uint8), "lighter"),
    "darker": (lambda image: (image * 0.8).astype(np.uint8), "darker"),
    "blurred": (lambda image: np.asarray(cv2.GaussianBlur(image, (0, 0), 2), np.uint8), "less sharp"),
    "compressed": (compressed, "compression"),
}


def plates(count: int, seed: int = 100) -> list[Pixels]:
    rng = np.random.default_rng(seed)
    return [plate(rng) for _ in range(count)]


@pytest.fixture
def model(model_file: Path) -> DifferNet:
    return DifferNet.load(model_file, device="cpu")


def test_images_like_those_of_training_raise_nothing(model: DifferNet) -> None:
    list(model.inspect_stream(plates(30)))
    report = model.drift
    assert (report.images, report.is_raised, report.sentence, report.compared) == (30, False, "", True)


@pytest.mark.parametrize("change", CHANGES)
def test_images_unlike_those_of_training_are_told(model: DifferNet, change: str) -> None:
    function, word = CHANGES[change]
    for image in plates(30):
        model.inspect_prepared([model.prepare(function(image))])
    report = model.drift
    assert report.is_raised
    assert word in report.sentence
    assert report.to_dict()["sentence"] == report.sentence
    assert f"{report.refused} of 30 images refused where 10 % were stated" in report.sentence


def test_false_alarms_are_rarer_than_one_in_a_hundred() -> None:
    """Of batches of 100 that are drawn as the 200 of the training were, by every one of the three questions."""
    rng = np.random.default_rng(0)
    mixing = rng.normal(0, 1, (40, 8)).astype(np.float32)
    raised = 0
    for _ in range(200):
        looks = rng.normal(0, 1, (300, 4)).astype(np.float32)
        features = torch.from_numpy((rng.normal(0, 1, (300, 8)) @ mixing.T).astype(np.float32))
        scores = rng.normal(0, 1, 300)
        reference = Reference.of([*looks[:200]], features[:200])
        assert reference is not None
        monitor, calibration = DriftMonitor(reference), calibrate(scores[:200], 0.05)
        _fill(monitor, looks[200:], features[200:], [calibration.decide(score) for score in scores[200:]])
        raised += monitor.report(calibration).is_raised
    assert raised <= 2


def test_more_refusals_than_stated_are_told_of_a_model_that_knows_no_looks() -> None:
    calibration = calibrate(np.arange(99.0), 0.05)
    for refused, raised in ((0, False), (9, False), (60, True)):
        monitor = DriftMonitor(None)
        _fill(
            monitor,
            np.zeros((100, 4), np.float32),
            torch.zeros(100, 2),
            ["reject"] * refused + ["accept"] * (100 - refused),
        )
        report = monitor.report(calibration)
        assert (report.is_raised, report.refused, report.differences) == (raised, refused, ())
    assert (
        report.sentence
        == "60 of 100 images refused where 5 % were stated: they are defective, or something else has changed."
    )
    assert monitor.report(None).sentence == ""


def test_what_training_images_looked_like_is_kept(model: DifferNet, fitted: DifferNet) -> None:
    known = fitted.fitted.reference
    assert known is not None
    assert known.images == len(known.appearance) == 10
    for other in (model, copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        reference = other.fitted.reference
        assert reference is not None
        assert reference.appearance.equal(known.appearance)
        assert reference.features.equal(known.features)
        assert reference.dimension == known.dimension


def test_appearance_measures_what_it_says() -> None:
    image = plates(1)[0]
    light, contrast, sharpness, colour = appearance(image)
    assert light == pytest.approx(image[..., 1].mean(), rel=0.05)
    assert contrast == pytest.approx(image[..., 1].std(), rel=0.2)
    assert colour == 0.0
    assert appearance(CHANGES["blurred"][0](image))[2] < sharpness - 0.5
    assert np.isfinite(appearance(np.full((64, 64, 3), 7, np.uint8))).all()


def test_score_tells_at_the_end(model_file: Path, tmp_path: Path) -> None:
    for place, image in enumerate(plates(15)):
        Image.fromarray(CHANGES["darker"][0](image)).save(tmp_path / f"{place}.png")
    done = run("score", model_file, tmp_path, "--json")
    document = json.loads(done.stdout)
    assert document["drift"]["raised"]
    assert document["drift"]["images"] == 15
    assert "darker" in document["drift"]["sentence"]
    assert "darker" in done.stderr


def _fill(monitor: DriftMonitor, looks: NDArray[np.float32], features: object, decisions: list[str]) -> None:
    for look, row, decision in zip(looks, features, decisions, strict=True):  # type: ignore[call-overload]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("differnet.inspection.drift.appearance", lambda pixels, look=look: look)
            sample = Sample(0, "", 1, 1, (), np.zeros((4, 4, 3), np.uint8), features=row[None])
            verdict = give_verdict(0.0, None, source="", width=1, height=1, model_id="", milliseconds=0.0)
            monitor.add(sample, Verdict(**{**verdict.__dict__, "decision": decision}))
