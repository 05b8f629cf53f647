"""The frozen feature extractors f_ex, one module each, and where their pretrained weights come from."""

from differnet.extractors.base import Extractor
from differnet.extractors.catalogue import (
    CATALOGUE,
    build_extractor,
    check_settings,
    compilable_names,
    find_weights,
)
from differnet.extractors.custom import CustomExtractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.provide import check_own, own_extractor_settings, provide_extractor
from differnet.extractors.weights import Weights, WeightsSource

__all__ = [
    "CATALOGUE",
    "CatalogueEntry",
    "CustomExtractor",
    "Extractor",
    "Weights",
    "WeightsSource",
    "build_extractor",
    "check_own",
    "check_settings",
    "compilable_names",
    "find_weights",
    "own_extractor_settings",
    "provide_extractor",
]
