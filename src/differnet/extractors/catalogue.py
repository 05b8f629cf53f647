"""The catalogue: every extractor by its name. A new one is a file with its class and `ENTRY`, and a line here."""

from __future__ import annotations

import os

from differnet.errors import SettingsError
from differnet.extractors import alexnet, efficientnet_lite, resnet, vgg
from differnet.extractors.base import Extractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.library import LIBRARIES, library_entry
from differnet.extractors.weights import Weights
from differnet.registry import Registry
from differnet.settings import Settings

__all__ = [
    "CATALOGUE",
    "build_extractor",
    "check_settings",
    "compilable_names",
    "find_entry",
    "find_weights",
]

CATALOGUE: Registry[CatalogueEntry] = Registry(
    "extractor", alexnet.ENTRY, vgg.ENTRY, resnet.ENTRY, efficientnet_lite.ENTRY
)
"""Extractors by name."""


def find_entry(name: str) -> CatalogueEntry:
    """Look up an extractor: one of the catalogue, or one that another library makes, such as ``torchvision/resnet50``.

    Raises:
        SettingsError: If there is none of that name.
        MissingExtraError: If it is of a library that is not installed.
    """
    entry = library_entry(name)
    if entry is not None:
        return entry
    try:
        return CATALOGUE.find(name)
    except SettingsError as error:
        of_libraries = ", ".join(f"{library}/MODEL" for library in LIBRARIES)
        raise SettingsError(f"{str(error).removesuffix('.')}, or another library's ({of_libraries}).") from None


def compilable_names() -> list[str]:
    """Those that OpenVINO can run."""
    return [name for name, entry in CATALOGUE.items() if getattr(entry.network, "has_openvino_stages", False)]


def check_settings(settings: Settings) -> None:
    """Refuse settings whose extractor there is not, before any work is done.

    Raises:
        SettingsError: Likewise.
    """
    try:
        find_entry(settings.extractor.name)
    except SettingsError as error:
        raise SettingsError(f"extractor.name: {error}") from None


def find_weights(name: str, *, path: str | os.PathLike[str] | None = None, download: bool = True) -> Weights:
    """Find the pretrained weights of an extractor by its name; see `differnet.extractors.weights.load_weights`."""
    return find_entry(name).find_weights(path, download=download)


def build_extractor(name: str, weights: Weights) -> Extractor:
    """Make a frozen extractor in evaluation mode.

    Args:
        name: As in the catalogue.
        weights: Its weights, from `find_weights`.
    """
    return find_entry(name).build(weights)
