"""Flows with fresh weights, as the settings describe them."""

from __future__ import annotations

from differnet.flow.coupling import OFFICIAL_CLAMP_FACTOR, TWO_OVER_PI
from differnet.flow.ensemble import FlowEnsemble
from differnet.flow.normalizing_flow import NormalizingFlow
from differnet.settings import FlowSettings

__all__ = ["build_flow", "build_flows"]


def build_flow(features: int, settings: FlowSettings) -> NormalizingFlow:
    """Make a flow with fresh weights."""
    return NormalizingFlow(
        features,
        settings.blocks,
        settings.hidden,
        settings.clamp,
        clamp_factor=OFFICIAL_CLAMP_FACTOR if settings.official_clamp_factor else TWO_OVER_PI,
        whiten=settings.whiten,
    )


def build_flows(features: int, settings: FlowSettings, members: int) -> NormalizingFlow | FlowEnsemble:
    """Make a flow, or an ensemble of more than one, with fresh weights."""
    if members == 1:
        return build_flow(features, settings)
    return FlowEnsemble([build_flow(features, settings) for _ in range(members)])
