"""DifferNet: find defects on photographed parts, learning from images of good parts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differnet.calibration import Calibration
    from differnet.detector import DifferNet
    from differnet.features import Sample
    from differnet.images import RegionOfInterest
    from differnet.images.failure import Failure
    from differnet.inspection.explanation import Explanation
    from differnet.inspection.verdict import Verdict
    from differnet.localization.regions import Region
    from differnet.settings import Settings
    from differnet.training.progress import Listener

__all__ = [
    "Calibration",
    "DifferNet",
    "Explanation",
    "Failure",
    "Listener",
    "Region",
    "RegionOfInterest",
    "Sample",
    "Settings",
    "Verdict",
]

_HOMES = {
    "Calibration": "differnet.calibration",
    "DifferNet": "differnet.detector",
    "Explanation": "differnet.inspection.explanation",
    "Failure": "differnet.images.failure",
    "Listener": "differnet.training.progress",
    "Region": "differnet.localization.regions",
    "RegionOfInterest": "differnet.images",
    "Sample": "differnet.features",
    "Settings": "differnet.settings",
    "Verdict": "differnet.inspection.verdict",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import on first use, so that commands that need no network start without torch (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'differnet' has no attribute '{name}'")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(_HOMES[name]), name)
