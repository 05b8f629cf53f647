"""What settings of earlier model files mean where they say nothing of what came later."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["completed"]

_BEFORE: Mapping[str, Mapping[str, Any]] = {
    "views": {"enlarge": True, "flow_size": None, "tiles": "none"},
    "scoring": {"join": "soft-maximum", "flow_weight": 1.0, "reduced_weight": 1.0, "windows_weight": 1.0},
    "localization": {"turn_cells": "never", "reduced": "none", "fine_stages": "all"},
}


def completed(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the settings of a model file, so that it scores as on the day it was written.

    Args:
        settings: By section, as they stand in the file.

    Returns:
        The same with what its differnet did without being told.
    """
    return {
        section: {**_BEFORE.get(section, {}), **_renamed(values)} if isinstance(values, Mapping) else values
        for section, values in settings.items()
    }


def _renamed(values: Mapping[str, Any]) -> dict[str, Any]:
    named = dict(values)
    # It could be switched on or off before there were windows.
    if isinstance(named.get("reduced_cells"), bool):
        named["reduced"] = "cells" if named.pop("reduced_cells") else "none"
    # It was that of the windows too, before 2026-11-28.
    if "reduced_weight" in named:
        named.setdefault("windows_weight", named["reduced_weight"])
    return named
