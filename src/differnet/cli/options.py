"""Options that several commands have."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from differnet.errors import SettingsError

__all__ = [
    "DefectiveOption",
    "DeviceOption",
    "GoodOption",
    "JsonOption",
    "MapMethodOption",
    "MapsOption",
    "MasksOption",
    "WeightsOption",
    "parse_assignments",
]

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")]

DeviceOption = Annotated[str, typer.Option(help="auto (a GPU if there is one), cpu, cuda or cuda:1.")]

WeightsOption = Annotated[
    str | None,
    typer.Option(help="File or folder with the extractor's pretrained weights, instead of searching."),
]

GoodOption = Annotated[
    list[str] | None,
    typer.Option(
        "--good",
        metavar="FOLDER_OR_PATTERN",
        help="Where in the product's folder good parts are, such as 'cam*/ok', instead of what its layout says. "
        "Repeatable.",
    ),
]

DefectiveOption = Annotated[
    list[str] | None,
    typer.Option(
        "--defective", metavar="FOLDER_OR_PATTERN", help="Where defective parts are, beside --good. Repeatable."
    ),
]

MasksOption = Annotated[
    list[str] | None,
    typer.Option("--masks", metavar="FOLDER", help="Where the masks of the defective parts are. Repeatable."),
]

MapsOption = Annotated[
    bool | None,
    typer.Option(
        "--maps/--no-maps", help="Measure heat maps too; by default if there is ground truth and it is quick."
    ),
]

MapMethodOption = Annotated[
    str | None,
    # Said, not asked for: the settings would make --help take twice as long.
    typer.Option("--map-method", help="mixture, neighbours or gradient; by default the model's own."),
]


def parse_assignments(assignments: Sequence[str]) -> dict[str, Any]:
    """Turn ``NAME=VALUE`` words into a mapping; values that are JSON are read as such.

    Raises:
        SettingsError: If a word has no ``=``.
    """
    values: dict[str, Any] = {}
    for assignment in assignments:
        name, separator, value = assignment.partition("=")
        if not separator:
            raise SettingsError(f"'{assignment}' is not NAME=VALUE; write for example --set training.epochs=50.")
        try:
            values[name.strip()] = json.loads(value)
        except json.JSONDecodeError:
            values[name.strip()] = value.strip()
    return values
