"""The small fleet of tests/fleet, for the commands too."""

from __future__ import annotations

from tests.fleet.conftest import archive, fleet_models, fleet_products

__all__ = ["archive", "fleet_models", "fleet_products"]
