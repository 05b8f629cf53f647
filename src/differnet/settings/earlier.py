"""What settings of earlier model files mean where they say nothing of what came later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["completed"]

_BEFORE: Mapping[str, Mapping[str, Any]] = {
    "views": {"enlarge": True, "flow_size": None, "tiles": "none"},
    "scoring": {"join": "soft-maximum", "flow_weight": 1.0},
    "localization": {"turn_cells": "never", "reduced_cells": False, "fine_stages": "all"},
}


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the settings of a model file, so that it scores as on the day it was written.

    Args:
        settings: By section, as they stand in the file.

    Returns:
        The same with what its differnet did without being told.
    """
    return {
        section: {**_BEFORE.get(section, {}), **values} if isinstance(values, Mapping) else values
        for section, values in settings.items()
    }
