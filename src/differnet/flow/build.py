"""Density models with nothing learnt yet, as the settings describe them. A new one is its class, and a line here."""

from __future__ import annotations

from differnet.flow.density import DensityModel
from differnet.flow.ensemble import DensityEnsemble
from differnet.flow.gaussian import Gaussian
from differnet.flow.normalizing_flow import NormalizingFlow
from differnet.registry import Registry
from differnet.settings import FlowSettings

__all__ = ["DENSITY_MODELS", "build_density_model"]

DENSITY_MODELS: Registry[type[DensityModel]] = Registry("density model", NormalizingFlow, Gaussian)
"""Density models by name, from which ``flow.kind`` chooses."""


def build_density_model(features: int, settings: FlowSettings, members: int = 1) -> DensityModel:
    """Make a density model that has learnt nothing yet, or an ensemble of more than one.

    Args:
        features: Number of features, d.
        settings: Of the flow.
        members: Number of models.

    Raises:
        SettingsError: If there is no such model, or a setting is not allowed.
    """
    kind = DENSITY_MODELS.find(settings.kind)
    if members == 1:
        return kind.from_settings(features, settings)
    return DensityEnsemble([kind.from_settings(features, settings) for _ in range(members)])
