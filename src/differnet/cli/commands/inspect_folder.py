"""``differnet inspect-folder``: what would be learnt from a folder and tested with it."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import EXIT_FAILED, print_json, print_line
from differnet.cli.options import DefectiveOption, GoodOption, JsonOption, MasksOption

__all__ = ["inspect_folder", "show_survey"]


def inspect_folder(
    folder: Annotated[Path, typer.Argument(help="Product folder, list file or table, as for 'differnet train'.")],
    good: GoodOption = None,
    defective: DefectiveOption = None,
    masks: MasksOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show what 'train' would learn from a folder and 'evaluate' test with: layout, counts, some of the paths.

    Exit code 1 if 'train' would refuse it.
    """
    show_survey(folder, good, defective, masks, as_json=as_json)


def show_survey(
    folder: Path,
    good: list[str] | None,
    defective: list[str] | None = None,
    masks: list[str] | None = None,
    *,
    as_json: bool,
) -> None:
    """Print what a folder holds."""
    from differnet.images.layouts.survey import survey  # noqa: PLC0415

    found = survey(folder, good=good, defective=defective, masks=masks)
    if as_json:
        print_json(found.to_dict())
    else:
        for line in found.lines():
            print_line(line)
    if found.refusal:
        raise typer.Exit(EXIT_FAILED)
