"""The frozen feature extractors f_ex, one module each, and where their pretrained weights come from."""

from differnet.extractors.base import Extractor
from differnet.extractors.build import EXTRACTORS, build_extractor, find_weights

__all__ = ["EXTRACTORS", "Extractor", "build_extractor", "find_weights"]
