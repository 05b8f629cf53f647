"""Export targets: formats that models are exported to. A new one is a file with its class, and a line here."""

from __future__ import annotations

import os
from pathlib import Path

from differnet.errors import ModelFileError
from differnet.export.targets.onnx import OnnxTarget
from differnet.export.targets.openvino import OpenVinoTarget
from differnet.export.targets.target import Engine, ExportTarget
from differnet.registry import Registry

__all__ = ["TARGETS", "Engine", "ExportTarget", "open_engine"]

TARGETS: Registry[ExportTarget] = Registry("format", OnnxTarget(), OpenVinoTarget())
"""Formats by name."""


def open_engine(path: str | os.PathLike[str], threads: int | None = None) -> Engine:
    """Open an exported file.

    Args:
        path: Of any of the `TARGETS`, which its suffix tells: ``.onnx``, or ``.xml`` with its ``.bin``.
        threads: How many threads the runtime takes; None lets it choose.

    Raises:
        ModelFileError: If the file is missing, damaged, foreign, or newer than this version.
        MissingExtraError: If the runtime is not installed.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelFileError(f"{file}: no such file; check the path.")
    for target in TARGETS.values():
        if file.suffix == target.suffix:
            return target.open(file, threads)
    suffixes = " nor ".join(target.suffix for target in TARGETS.values())
    raise ModelFileError(f"{file}: is neither {suffixes}; give a file that 'differnet export' made.")
