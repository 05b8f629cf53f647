"""When Python looks for garbage: not while a command begins or ends, which a user waits for."""

from __future__ import annotations

import gc

__all__ = ["begin_quickly", "collect_as_usual", "end_quickly"]

_USUAL = gc.get_threshold()
_OBJECTS = 10_000


def begin_quickly() -> None:
    """Look at every 10,000 objects, not every 700: imports make hundreds of thousands that stay. 0.2 s with torch."""
    gc.set_threshold(_OBJECTS)


def collect_as_usual() -> None:
    """Once all is imported: what takes many images must not keep the garbage of some, which may hold their pixels."""
    gc.set_threshold(*_USUAL)


def end_quickly() -> None:
    """Leave out the look through all objects by which Python ends: 0.4 s with torch."""
    gc.freeze()
