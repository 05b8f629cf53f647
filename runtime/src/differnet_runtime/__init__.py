"""Inspect images with a model that ``differnet export`` wrote, without torch."""

from __future__ import annotations

from differnet_runtime.errors import (
    DatasetError,
    ImageError,
    InspectionError,
    ModelFileError,
    NoMapError,
    OutputError,
    SettingsError,
)
from differnet_runtime.inspector import Inspector
from differnet_runtime.verdict import Failure, Verdict

__all__ = [
    "DatasetError",
    "Failure",
    "ImageError",
    "InspectionError",
    "Inspector",
    "ModelFileError",
    "NoMapError",
    "OutputError",
    "SettingsError",
    "Verdict",
]
