"""DifferNet as an outlier detector of scikit-learn, with the attributes that PyOD's users know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted
from typing_extensions import Self

from differnet.detector import DifferNet, GoodImages
from differnet.errors import CalibrationError
from differnet.images import GivenImages
from differnet.settings import preset

__all__ = ["DifferNetDetector"]


class DifferNetDetector(OutlierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn has no types
    """Learns from images of good parts; `X` is whatever `DifferNet.fit` and `inspect_many` take.

    Signs are scikit-learn's: `predict` gives 1 for good and -1 for defective, `score_samples` and `decision_function`
    are higher for good images. ``decision_scores_``, ``labels_`` and ``threshold_`` are PyOD's: scores higher for
    defective ones, labels 0 and 1.

    Args:
        preset: Name of the settings to start from.
        settings: Changes to them, such as ``{"training.epochs": 3, "seed": 1}``.
        contamination: Share of good parts that may be refused, in (0, 1): the false-reject rate of the threshold.
        device: ``auto``, ``cpu``, ``cuda``.
        weights: File or folder with the extractor's pretrained weights; None searches for them.

    Attributes:
        model_: The fitted `DifferNet`.
        offset_: ``decision_function`` is ``score_samples`` less this.
        threshold_: Anomaly scores above it are defective.
        decision_scores_: float32 (n,) anomaly scores of the training images, each by models that did not see it;
            those without near-copies.
        labels_: int (n,), 1 where they are above the threshold.
    """

    def __init__(
        self,
        preset: str = "default",
        *,
        settings: Mapping[str, Any] | None = None,
        contamination: float = 0.05,
        device: str = "auto",
        weights: str | None = None,
    ) -> None:
        self.preset = preset
        self.settings = settings
        self.contamination = contamination
        self.device = device
        self.weights = weights

    def fit(self, X: GoodImages, y: object = None) -> Self:  # noqa: N803 - scikit-learn's names
        """Learn from images of good parts.

        Args:
            X: A folder, or images in any form.
            y: Not used.

        Raises:
            CalibrationError: If the images are too few for `contamination`.
            DifferNetError: As `DifferNet.fit` does.
        """
        changes = {"calibration.false_reject_rate": self.contamination, **(self.settings or {})}
        model = DifferNet(preset(self.preset).with_overrides(changes), device=self.device, weights=self.weights).fit(X)
        if model.calibration is None:
            raise CalibrationError(model.uncalibrated_reason)
        self.model_ = model
        self.threshold_ = float(model.calibration.threshold)
        self.offset_ = -self.threshold_
        self.decision_scores_ = model.held_out_scores.numpy()
        self.labels_ = (self.decision_scores_ > self.threshold_).astype(int)
        return self

    def score_samples(self, X: GivenImages) -> NDArray[np.float64]:  # noqa: N803
        """The opposite of the anomaly score: float64 (n,), lower for defective images.

        Raises:
            ImageError: If an image cannot be used.
        """
        check_is_fitted(self)
        return -self.model_.score(X).astype(np.float64)

    def decision_function(self, X: GivenImages) -> NDArray[np.float64]:  # noqa: N803
        """Distance to the threshold: float64 (n,), below 0 for images that are refused."""
        return self.score_samples(X) - self.offset_

    def predict(self, X: GivenImages) -> NDArray[np.int64]:  # noqa: N803
        """1 for good images, -1 for defective ones: int64 (n,)."""
        return np.where(self.decision_function(X) < 0, -1, 1)

    def fit_predict(self, X: GoodImages, y: object = None) -> NDArray[np.int64]:  # noqa: N803
        """Learn from images and judge the same ones: int64 (n,), 1 or -1."""
        several = X if isinstance(X, str) or hasattr(X, "__fspath__") else list(X)
        return self.fit(several, y).predict(several)
