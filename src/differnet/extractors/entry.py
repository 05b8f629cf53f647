"""What the catalogue says of an extractor."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch

from differnet.extractors.base import Extractor
from differnet.extractors.checkpoints import fingerprint
from differnet.extractors.weights import Weights, WeightsSource, load_weights

__all__ = ["CatalogueEntry"]


@dataclass(frozen=True)
class CatalogueEntry:
    """An extractor that settings can name.

    Attributes:
        name: What settings and model files call it.
        network: Makes it, with any weights: the class of an extractor that needs no arguments.
        source: Where its pretrained weights can be had; None for one that needs none, since its filters are computed.
    """

    name: str
    network: Callable[[], Extractor]
    source: WeightsSource | None = None

    def find_weights(self, path: str | os.PathLike[str] | None = None, *, download: bool = True) -> Weights:
        """Find its pretrained weights; see `differnet.extractors.weights.load_weights`."""
        if self.source is not None:
            return load_weights(self.name, self.network, self.source, path=path, download=download)
        state = {name: tensor.float() for name, tensor in self._make().backbone.state_dict().items()}
        return Weights(state, Path(self.name), fingerprint(state))

    def build(self, weights: Weights) -> Extractor:
        """Make it frozen, in evaluation mode, with weights that `find_weights` found."""
        extractor = self._make()
        # The counters of batch normalisation are not part of what was learnt, and not part of the weights.
        extractor.backbone.load_state_dict(weights.state, strict=False)
        return extractor.freeze()

    def _make(self) -> Extractor:
        with torch.random.fork_rng(devices=[]):  # layers draw random weights first; the caller's state stays as it was
            return self.network()
