"""Extractors by name of other libraries, where they are installed: ``torchvision/resnet50``, ``timm/resnet18``."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import torch
from torch import Tensor, nn

from differnet.errors import DifferNetError, MissingExtraError, SettingsError, WeightsError
from differnet.extractors.base import IMAGENET_MEAN, IMAGENET_STD, Extractor
from differnet.extractors.checkpoints import fingerprint
from differnet.extractors.custom import CustomExtractor
from differnet.extractors.entry import CatalogueEntry
from differnet.extractors.stage_names import drop_unused, find_stage_names
from differnet.extractors.weights import ENVIRONMENT_VARIABLE, Weights, WeightsSource, cache_file, write_cache
from differnet.installing import install_extra

__all__ = ["LIBRARIES", "library_entry"]

# Stages finer than this say too little to be worth their memory.
_FINEST_STRIDE = 4


def _from_torchvision(library: ModuleType, model: str, pretrained: bool) -> CustomExtractor:
    """A classifier, whose stages are found by their sizes."""
    weights = library.models.get_model_weights(model).DEFAULT
    network = library.models.get_model(model, weights=weights if pretrained else None).eval()
    names = find_stage_names(network)
    drop_unused(network, names)
    shown = weights.transforms()
    mean, std = getattr(shown, "mean", IMAGENET_MEAN), getattr(shown, "std", IMAGENET_STD)
    return CustomExtractor(network, names, name=f"torchvision/{model}", mean=tuple(mean), std=tuple(std))


def _from_timm(library: ModuleType, model: str, pretrained: bool) -> CustomExtractor:
    """A model that timm has cut to its stages."""
    network = library.create_model(model, features_only=True, pretrained=pretrained)
    first = next(
        (i for i, stride in enumerate(network.feature_info.reduction()) if stride >= _FINEST_STRIDE),
        0,
    )
    config = network.default_cfg
    mean, std = config.get("mean", IMAGENET_MEAN), config.get("std", IMAGENET_STD)
    return CustomExtractor(_From(network, first), name=f"timm/{model}", mean=tuple(mean), std=tuple(std))


LIBRARIES: Mapping[str, Callable[[ModuleType, str, bool], CustomExtractor]] = {
    "torchvision": _from_torchvision,
    "timm": _from_timm,
}
"""What makes an extractor, by the library that it does it with."""


class _From(nn.Module):
    """The maps of a network from one of its stages on."""

    def __init__(self, network: nn.Module, first: int) -> None:
        super().__init__()
        self.network = network
        self._first = first

    def forward(self, images: Tensor) -> list[Tensor]:
        return list(self.network(images))[self._first :]


@dataclass(frozen=True)
class LibrarySource(WeightsSource):
    """Pretrained weights that a library has, or downloads.

    Attributes:
        library: Its name.
        model: The model's name there.
    """

    library: str = ""
    model: str = ""

    @property
    def remedy(self) -> str:
        """What makes the weights available."""
        name = f"{self.library}/{self.model}"
        return (
            f"Run 'differnet weights fetch {name}' where there is internet, and set {ENVIRONMENT_VARIABLE} to the file "
            "that it writes."
        )

    @property
    def asked(self) -> str:
        """What is asked for by the network."""
        return f"{self.model} by {self.library}"

    def fetch(self, name: str, network: Callable[[], Extractor]) -> Weights:
        """Let the library get the weights, and keep them in the cache."""
        try:
            backbone = _make(self.library, self.model, pretrained=True).backbone
        except DifferNetError:
            raise
        except Exception as error:  # each library, and what it downloads with, has its own
            raise WeightsError(_first_line(error)) from None
        state = {
            key: tensor.float().contiguous()
            for key, tensor in backbone.state_dict().items()
            if not key.endswith("num_batches_tracked")
        }
        weights = Weights(state, Path(name), fingerprint(state))
        return Weights(state, cache_file(name), weights.fingerprint) if write_cache(name, weights) else weights


def library_entry(name: str) -> CatalogueEntry | None:
    """What the catalogue would say of an extractor ``library/model``; None for other names.

    Raises:
        MissingExtraError: If the library is not installed.
    """
    library, _, model = name.partition("/")
    if not model or library not in LIBRARIES:
        return None
    if importlib.util.find_spec(library) is None:
        raise MissingExtraError(f"The extractor {name} needs {library}; install with: {install_extra(library)}")
    return CatalogueEntry(name, partial(_make, library, model), LibrarySource(library=library, model=model))


def _make(library: str, model: str, *, pretrained: bool = False) -> CustomExtractor:
    try:
        module = importlib.import_module(library)
    except Exception as error:  # RuntimeError, if its operators do not fit this torch
        raise MissingExtraError(
            f"The extractor {library}/{model} needs {library}, which cannot be imported ({_first_line(error)}); "
            f"install the version that fits torch {torch.__version__}: {install_extra(library)}"
        ) from None
    try:
        with torch.device("cpu"):  # also where a skeleton is asked for: some models compute while they are made
            return LIBRARIES[library](module, model, pretrained)
    except Exception as error:
        if pretrained or isinstance(error, DifferNetError):
            raise
        raise SettingsError(f"{library} cannot make the extractor '{model}' ({_first_line(error)}).") from None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
