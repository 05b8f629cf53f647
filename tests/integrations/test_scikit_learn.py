"""The detector behaves as scikit-learn expects: its own checks where they do not need tables of numbers as images."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import estimator_checks

from differnet import CalibrationError, DifferNet, DifferNetDetector
from tests.conftest import SMALL, plate

# Those that fit: their data are tables with a few columns, which are no images.
CHECKS = [
    "check_do_not_raise_errors_in_init_or_set_params",
    "check_estimator_cloneable",
    "check_estimator_repr",
    "check_estimator_tags_renamed",
    "check_get_params_invariance",
    "check_mixin_order",
    "check_no_attributes_set_in_init",
    "check_parameters_default_constructible",
    "check_set_params",
    "check_valid_tag_types",
]


@pytest.fixture(scope="module")
def detector(product: Path) -> DifferNetDetector:
    return DifferNetDetector(settings=SMALL, contamination=0.1, device="cpu").fit(product)


@pytest.mark.parametrize("check", CHECKS)
def test_the_checks_of_scikit_learn_pass(check: str) -> None:
    getattr(estimator_checks, check)("DifferNetDetector", DifferNetDetector())


def test_it_says_what_the_model_says_with_the_signs_of_scikit_learn(
    detector: DifferNetDetector, fitted: DifferNet, product: Path
) -> None:
    images = [*sorted((product / "test" / "good").iterdir()), *sorted((product / "test" / "blot").iterdir())]
    scores = fitted.score(images)
    assert np.array_equal(detector.score_samples(images), -scores.astype(np.float64))
    assert np.allclose(detector.decision_function(images), detector.threshold_ - scores)
    predicted = detector.predict(images)
    assert predicted.tolist() == [1 if score <= detector.threshold_ else -1 for score in scores]
    assert set(predicted[6:]) == {-1}
    assert np.array_equal(detector.decision_scores_, fitted.held_out_scores.numpy())
    assert detector.labels_.sum() == (detector.decision_scores_ > detector.threshold_).sum()


def test_clones_are_unfitted_and_copies_are_not(detector: DifferNetDetector, product: Path) -> None:
    image = product / "test" / "good" / "000.png"
    with pytest.raises(NotFittedError):
        clone(detector).predict(image)
    copy: Any = pickle.loads(pickle.dumps(detector))
    assert np.array_equal(copy.score_samples(image), detector.score_samples(image))


def test_too_few_images_for_the_contamination_are_told() -> None:
    rng = np.random.default_rng(0)
    few = [plate(rng, size=64) for _ in range(6)]
    with pytest.raises(CalibrationError, match="no threshold"):
        DifferNetDetector(settings={**SMALL, "training.epochs": 1}, contamination=0.01).fit(few)
