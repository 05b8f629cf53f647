"""The exceptions that users meet: each message says which file or value is at fault and what to do."""

from __future__ import annotations

__all__ = [
    "CalibrationError",
    "CameraError",
    "ClusterError",
    "DatasetError",
    "DifferNetError",
    "DivergenceError",
    "ImageError",
    "MeasurementError",
    "MissingExtraError",
    "ModelFileError",
    "NotFittedError",
    "OutputError",
    "RecipeError",
    "ResumeError",
    "SettingsError",
    "UncalibratedWarning",
    "WeightsError",
]


class DifferNetError(Exception):
    """Base of every error that a user of this package can cause and mend."""


class ImageError(DifferNetError):
    """An image cannot be read, or its size or values are not usable."""


class ClusterError(DifferNetError):
    """A Ray cluster cannot be reached, or lacks what a task needs."""


class DatasetError(DifferNetError):
    """A folder or list does not hold the images that the command needs."""


class CameraError(DifferNetError):
    """A camera is not there, or gives no frames."""


class CalibrationError(DifferNetError):
    """Good images do not suffice for the threshold that was asked for."""


class SettingsError(DifferNetError):
    """A setting has a value that it must not have."""


class WeightsError(DifferNetError):
    """The pretrained weights of an extractor cannot be found or are not the expected ones."""


class ModelFileError(DifferNetError):
    """A model file is missing, damaged, foreign, or newer than this version."""


class DivergenceError(DifferNetError):
    """Training produced a loss that is not a finite number."""


class NotFittedError(DifferNetError):
    """A detector was asked for something that only a fitted one can do."""


class OutputError(DifferNetError):
    """A result cannot be written where the user asked for it."""


class RecipeError(DifferNetError):
    """A recipe cannot be read, or says something that cannot be done."""


class ResumeError(DifferNetError):
    """The state of a training cannot be gone on with: it is damaged, foreign, or of another training."""


class MissingExtraError(DifferNetError):
    """An optional package is needed; the message names the extra that installs it."""


class MeasurementError(DifferNetError):
    """A command that a benchmark measures failed, or the system does not tell what it took."""


class UncalibratedWarning(UserWarning):
    """A model that was asked for a threshold has none, since the good images are too few for the stated rate."""
