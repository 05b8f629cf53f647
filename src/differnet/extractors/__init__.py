"""The frozen feature extractors f_ex, one module each, and where their pretrained weights come from."""

from differnet.extractors.base import Extractor
from differnet.extractors.build import EXTRACTORS, build_extractor, find_weights
from differnet.extractors.weights import Weights

__all__ = ["EXTRACTORS", "Extractor", "Weights", "build_extractor", "find_weights"]
