"""Every setting of a detector, checked at the edge; presets; recipes."""

from differnet.settings.presets import PRESETS, preset
from differnet.settings.settings import (
    EXTRACTOR_NAME,
    CalibrationSettings,
    ExtractorSettings,
    FlowSettings,
    LocalizationSettings,
    ScoringSettings,
    Settings,
    TrainingSettings,
    ViewSettings,
)

__all__ = [
    "EXTRACTOR_NAME",
    "PRESETS",
    "CalibrationSettings",
    "ExtractorSettings",
    "FlowSettings",
    "LocalizationSettings",
    "ScoringSettings",
    "Settings",
    "TrainingSettings",
    "ViewSettings",
    "preset",
]
