"""The exceptions that users meet: each message says which file or value is at fault and what to do."""

from __future__ import annotations

__all__ = [
    "DatasetError",
    "ImageError",
    "InspectionError",
    "ModelFileError",
    "NoMapError",
    "OutputError",
    "SettingsError",
]


class InspectionError(Exception):
    """Base of every error that a user of this package can cause and mend."""


class DatasetError(InspectionError):
    """A folder or list does not hold the images that were asked for."""


class ImageError(InspectionError):
    """An image cannot be read, or its size or values are not usable."""


class ModelFileError(InspectionError):
    """An exported file is missing, damaged, foreign, or newer than this version."""


class NoMapError(InspectionError):
    """A heat map was asked for, and the file was exported without."""


class OutputError(InspectionError):
    """A result cannot be written where the user asked for it."""


class SettingsError(InspectionError):
    """A threshold or a region of interest that was given is not usable."""
