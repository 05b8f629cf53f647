"""DifferNet: find defects on photographed parts, learning from images of good parts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differnet.calibration import Calibration
    from differnet.detector import DifferNet, GoodImages
    from differnet.errors import (
        CalibrationError,
        CameraError,
        ClusterError,
        DatasetError,
        DifferNetError,
        DivergenceError,
        ImageError,
        MeasurementError,
        MissingExtraError,
        ModelFileError,
        NotFittedError,
        OutputError,
        RecipeError,
        ResumeError,
        SettingsError,
        UncalibratedWarning,
        WeightsError,
    )
    from differnet.evaluation import Evaluation, evaluate
    from differnet.extractors import CustomExtractor
    from differnet.features import Sample
    from differnet.images import (
        GivenImage,
        GivenImages,
        LabelledImage,
        RegionOfInterest,
        load_image,
        read_region,
        read_test_images,
    )
    from differnet.images.failure import Failure
    from differnet.inspection.drift import DriftReport
    from differnet.inspection.explanation import Explanation
    from differnet.inspection.verdict import Verdict
    from differnet.inspection.verdicts import Verdicts
    from differnet.integrations.scikit_learn import DifferNetDetector
    from differnet.localization.regions import Region
    from differnet.model_file.manifest import Manifest
    from differnet.report import write_report
    from differnet.settings import Settings, preset
    from differnet.training.progress import Listener
    from differnet.training.state import TrainingState

__all__ = [
    "Calibration",
    "CalibrationError",
    "CameraError",
    "ClusterError",
    "CustomExtractor",
    "DatasetError",
    "DifferNet",
    "DifferNetDetector",
    "DifferNetError",
    "DivergenceError",
    "DriftReport",
    "Evaluation",
    "Explanation",
    "Failure",
    "GivenImage",
    "GivenImages",
    "GoodImages",
    "ImageError",
    "LabelledImage",
    "Listener",
    "Manifest",
    "MeasurementError",
    "MissingExtraError",
    "ModelFileError",
    "NotFittedError",
    "OutputError",
    "RecipeError",
    "Region",
    "RegionOfInterest",
    "ResumeError",
    "Sample",
    "Settings",
    "SettingsError",
    "TrainingState",
    "UncalibratedWarning",
    "Verdict",
    "Verdicts",
    "WeightsError",
    "__version__",
    "evaluate",
    "load_image",
    "preset",
    "read_region",
    "read_test_images",
    "write_report",
]

_HOMES = {
    "Calibration": "differnet.calibration",
    "CalibrationError": "differnet.errors",
    "CameraError": "differnet.errors",
    "ClusterError": "differnet.errors",
    "CustomExtractor": "differnet.extractors",
    "DatasetError": "differnet.errors",
    "DifferNet": "differnet.detector",
    "DifferNetDetector": "differnet.integrations.scikit_learn",
    "DifferNetError": "differnet.errors",
    "DivergenceError": "differnet.errors",
    "DriftReport": "differnet.inspection.drift",
    "Evaluation": "differnet.evaluation",
    "Explanation": "differnet.inspection.explanation",
    "Failure": "differnet.images.failure",
    "GivenImage": "differnet.images",
    "GivenImages": "differnet.images",
    "GoodImages": "differnet.detector",
    "ImageError": "differnet.errors",
    "LabelledImage": "differnet.images",
    "Listener": "differnet.training.progress",
    "Manifest": "differnet.model_file.manifest",
    "MeasurementError": "differnet.errors",
    "MissingExtraError": "differnet.errors",
    "ModelFileError": "differnet.errors",
    "NotFittedError": "differnet.errors",
    "OutputError": "differnet.errors",
    "RecipeError": "differnet.errors",
    "Region": "differnet.localization.regions",
    "RegionOfInterest": "differnet.images",
    "ResumeError": "differnet.errors",
    "Sample": "differnet.features",
    "Settings": "differnet.settings",
    "SettingsError": "differnet.errors",
    "TrainingState": "differnet.training.state",
    "Verdict": "differnet.inspection.verdict",
    "Verdicts": "differnet.inspection.verdicts",
    "UncalibratedWarning": "differnet.errors",
    "WeightsError": "differnet.errors",
    "evaluate": "differnet.evaluation",
    "load_image": "differnet.images",
    "preset": "differnet.settings",
    "read_region": "differnet.images",
    "read_test_images": "differnet.images",
    "write_report": "differnet.report",
}


__version__: str


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import on first use, so that commands that need no network start without torch (PEP 562)."""
    import importlib  # noqa: PLC0415

    if name == "__version__":
        return importlib.import_module("importlib.metadata").version("differnet")
    if name not in _HOMES:
        raise AttributeError(f"module 'differnet' has no attribute '{name}'")
    return getattr(importlib.import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
