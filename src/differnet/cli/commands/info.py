"""``differnet info``: what a model file says of itself."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json
from differnet.cli.options import JsonOption

__all__ = ["info"]


def info(model: Annotated[Path, typer.Argument(help="Model file.")], as_json: JsonOption = False) -> None:
    """Show a model's settings, training and origin, without loading it."""
    from differnet.model_file.bundle import read_manifest  # noqa: PLC0415

    manifest = json.loads(read_manifest(model).model_dump_json())
    document = {"model": str(model), "bytes": model.stat().st_size, **manifest}
    if as_json:
        print_json(document)
        return
    for name, value in _lines(document):
        sys.stdout.write(f"{name:<36} {value}\n")


def _lines(document: dict[str, object], prefix: str = "") -> list[tuple[str, object]]:
    lines: list[tuple[str, object]] = []
    for name, value in document.items():
        lines += _lines(value, f"{prefix}{name}.") if isinstance(value, dict) else [(prefix + name, value)]
    return lines
