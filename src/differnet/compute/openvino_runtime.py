"""OpenVINO, imported so that it reports to nobody."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading
from typing import Any

__all__ = ["has_openvino", "import_openvino"]

_USAGE_STATISTICS = "openvino_telemetry"
_lock = threading.Lock()


def has_openvino() -> bool:
    """Whether OpenVINO is installed; it is not imported."""
    return importlib.util.find_spec("openvino") is not None


def import_openvino() -> Any:  # noqa: ANN401 - a module
    """Import OpenVINO without its usage statistics, which it would send to its makers at each import.

    Raises:
        ImportError: If it is not installed.
    """
    with _lock:
        if "openvino" in sys.modules or _USAGE_STATISTICS in sys.modules:
            return importlib.import_module("openvino")
        sys.modules[_USAGE_STATISTICS] = None  # type: ignore[assignment] # as if it were not installed: a stub is used
        try:
            return importlib.import_module("openvino")
        finally:
            del sys.modules[_USAGE_STATISTICS]
