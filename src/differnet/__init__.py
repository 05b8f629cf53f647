"""DifferNet: find defects on photographed parts, learning from images of good parts only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from differnet.detector import DifferNet, ImageScore, Listener
    from differnet.features import Failure
    from differnet.settings import Settings

__all__ = ["DifferNet", "Failure", "ImageScore", "Listener", "Settings"]

_HOMES = {
    "DifferNet": "differnet.detector",
    "ImageScore": "differnet.detector",
    "Listener": "differnet.detector",
    "Failure": "differnet.features",
    "Settings": "differnet.settings",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the name stands for
    """Import on first use, so that commands that need no network start without torch (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module 'differnet' has no attribute '{name}'")
    import importlib  # noqa: PLC0415

    return getattr(importlib.import_module(_HOMES[name]), name)
