"""``differnet weights``: the extractors' pretrained weights."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer

from differnet.cli.common import with_quiet
from differnet.cli.console import print_json
from differnet.cli.options import JsonOption

__all__ = ["app", "weights_table"]

app = typer.Typer(help="List or fetch the extractors' pretrained weights.", no_args_is_help=True, rich_markup_mode=None)


def weights_table() -> list[dict[str, Any]]:
    """For each extractor where its weights lie, or what makes them available."""
    from differnet.errors import WeightsError  # noqa: PLC0415
    from differnet.extractors import CATALOGUE  # noqa: PLC0415
    from differnet.extractors.weights import locate  # noqa: PLC0415

    rows: list[dict[str, Any]] = []
    for name, entry in CATALOGUE.items():
        if entry.source is None:
            continue  # needs none
        remedy = entry.source.remedy
        try:
            found = next(
                ((place, file) for place, file in locate(name, entry.source) if file is not None and file.is_file()),
                None,
            )
        except WeightsError as error:
            found, remedy = None, str(error)
        rows.append(
            {
                "name": name,
                "found": found is not None,
                "place": found[0] if found else None,
                "file": str(found[1]) if found else None,
                "remedy": None if found else remedy,
            }
        )
    return rows


@app.command("list")
@with_quiet
def list_weights(as_json: JsonOption = False) -> None:
    """Show for each extractor where its weights are found."""
    rows = weights_table()
    if as_json:
        print_json({"weights": rows})
        return
    for row in rows:
        where = f"{row['place']}: {row['file']}" if row["found"] else f"missing. {row['remedy']}"
        sys.stdout.write(f"{row['name']:<20} {where}\n")


@app.command("fetch")
@with_quiet
def fetch(
    name: Annotated[
        str,
        typer.Argument(
            help="An extractor, see 'weights list', or one that another library makes, such as timm/resnet18."
        ),
    ],
    as_json: JsonOption = False,
) -> None:
    """Find the weights, check them, and keep them in the user's cache for work offline."""
    from differnet.errors import OutputError  # noqa: PLC0415
    from differnet.extractors import find_weights  # noqa: PLC0415
    from differnet.extractors.weights import cache_file, write_cache  # noqa: PLC0415

    found = find_weights(name)
    if not write_cache(name, found):
        raise OutputError(f"{cache_file(name)}: cannot be written; make the cache folder writable.")
    document = {
        "name": name,
        "origin": str(found.origin),
        "cache": str(cache_file(name)),
        "sha256": found.fingerprint,
    }
    if as_json:
        print_json(document)
    else:
        sys.stdout.write(f"{name}: {found.origin} (sha256 {found.fingerprint})\n")
