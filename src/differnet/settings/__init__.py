"""Every setting of a detector, checked at the edge; presets; recipes."""

from differnet.settings.presets import PRESETS, preset
from differnet.settings.settings import (
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
