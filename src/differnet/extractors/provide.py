"""The extractor that a detector works with: one of the catalogue, or the user's own, and the one that a model needs."""

from __future__ import annotations

import copy
import os

from differnet.errors import SettingsError, WeightsError
from differnet.extractors.base import Extractor
from differnet.extractors.catalogue import CATALOGUE, build_extractor, check_settings, find_entry, find_weights
from differnet.extractors.custom import CustomExtractor
from differnet.extractors.weights import Weights
from differnet.settings import Settings

__all__ = ["check_own", "own_extractor_settings", "provide_extractor"]


def own_extractor_settings(settings: Settings, own: CustomExtractor | None) -> Settings:
    """Settings that name the extractor which was given; those for one of the catalogue as they are.

    Raises:
        SettingsError: If the catalogue has one of its name, or none was given and the catalogue has not the one named.
    """
    if own is None:
        check_settings(settings)
        return settings
    if own.name in CATALOGUE:
        raise SettingsError(f"The catalogue has an extractor '{own.name}' already; give yours another name.")
    return settings.with_overrides({"extractor.name": own.name})


def check_own(name: str, sha256: str, own: CustomExtractor | None, model: str | os.PathLike[str]) -> None:
    """Refuse to load a model with another extractor than it was trained with.

    Args:
        name: The extractor's, as the model file says it.
        sha256: Its fingerprint, likewise.
        own: The user's own extractor, if one was given.
        model: The model file.

    Raises:
        WeightsError: If the model needs an extractor of the user's own and none was given, or was trained with another.
    """
    if own is None:
        try:
            find_entry(name)
        except SettingsError:
            raise WeightsError(
                f"{model}: needs your own extractor '{name}', which model files do not hold; give it in Python: "
                f"DifferNet.load(path, extractor=CustomExtractor(network, stages, name='{name}'))."
            ) from None
    elif own.name != name:
        raise WeightsError(f"{model}: was trained with the extractor '{name}', not with '{own.name}'; give the former.")
    elif own.sha256 != sha256:
        raise WeightsError(
            f"{model}: was trained with another extractor '{name}' (SHA-256 {sha256[:12]}...) than the one given "
            f"({own.sha256[:12]}...); give it with the weights, stages and normalisation of then."
        )


def provide_extractor(
    settings: Settings,
    *,
    own: CustomExtractor | None = None,
    weights: str | os.PathLike[str] | Weights | None = None,
    sha256: str | None = None,
) -> tuple[Extractor, str]:
    """Make a frozen extractor.

    Args:
        settings: They name it, and the stages that are pooled.
        own: The user's own.
        weights: Pretrained weights of one in the catalogue, or where they are; None searches for them.
        sha256: The fingerprint that a model asks for; None for any.

    Returns:
        The extractor, and the SHA-256 fingerprint of its weights.

    Raises:
        SettingsError: If there is no such extractor, or it has not the stages.
        WeightsError: If its weights are not found, or not those that are asked for.
    """
    name = settings.extractor.name
    extractor: Extractor
    if own is not None:
        extractor, found = copy.deepcopy(own), own.sha256
    else:
        given = weights if isinstance(weights, Weights) else find_weights(name, path=weights)
        if sha256 is not None and given.fingerprint != sha256:
            raise WeightsError(
                f"The model was trained with other {name} weights (SHA-256 {sha256[:12]}...) than those in "
                f"{given.origin} ({given.fingerprint[:12]}...); point --weights or DIFFERNET_WEIGHTS at the former."
            )
        extractor, found = build_extractor(name, given), given.fingerprint
    count = len(extractor.stage_channels) + 1
    if min(settings.extractor.stages) < -count:
        raise SettingsError(
            f"extractor.stages: the extractor {name} has {count} stages, and {min(settings.extractor.stages)} is "
            f"asked for; choose from -{count} to -1."
        )
    return extractor, found
