"""From an extractor's name to a frozen network with its pretrained weights."""

from __future__ import annotations

import os
from collections.abc import Mapping

import torch

from differnet.errors import SettingsError
from differnet.extractors.alexnet import AlexNet
from differnet.extractors.base import Extractor
from differnet.extractors.efficientnet_lite import EfficientNetLite0
from differnet.extractors.resnet import ResNet18
from differnet.extractors.vgg import VGG16
from differnet.extractors.weights import Weights, load_weights

__all__ = ["EXTRACTORS", "build_extractor", "find_weights"]

EXTRACTORS: Mapping[str, type[Extractor]] = {
    "alexnet": AlexNet,
    "vgg16": VGG16,
    "resnet18": ResNet18,
    "efficientnet-lite0": EfficientNetLite0,
}
"""Extractors by name."""


def find_weights(name: str, *, path: str | os.PathLike[str] | None = None, download: bool = True) -> Weights:
    """Find the pretrained weights of an extractor by its name; see `differnet.extractors.weights.load_weights`."""
    if name not in EXTRACTORS:
        raise SettingsError(f"There is no extractor '{name}'; choose one of {', '.join(EXTRACTORS)}.")
    return load_weights(name, EXTRACTORS[name], path=path, download=download)


def build_extractor(name: str, weights: Weights) -> Extractor:
    """Make a frozen extractor in evaluation mode.

    Args:
        name: A key of `EXTRACTORS`.
        weights: Its weights, from `find_weights`.
    """
    with torch.random.fork_rng(devices=[]):  # layers draw random weights first; the caller's state stays as it was
        extractor = EXTRACTORS[name]()
    # The counters of batch normalisation are not part of what was learnt, and not part of the weights.
    extractor.load_state_dict(weights.state, strict=False)
    return extractor.freeze()
