"""The small fleet of tests/cluster, for the commands too."""

from __future__ import annotations

from tests.cluster.conftest import archive, fleet_models, fleet_products

__all__ = ["archive", "fleet_models", "fleet_products"]
