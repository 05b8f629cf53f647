"""``differnet recipe``: recipes of products."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.common import with_quiet
from differnet.cli.console import print_json, say
from differnet.cli.options import JsonOption

__all__ = ["app"]

app = typer.Typer(help="Recipes: a file for each product that says how its model is made.", no_args_is_help=True)


@app.command("new")
@with_quiet
def new(
    product: Annotated[Path, typer.Argument(help="Folder with the product's images.")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Recipe to write; PRODUCT.yaml beside it by default.")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a recipe that exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a commented recipe to start from."""
    from differnet.errors import OutputError  # noqa: PLC0415
    from differnet.images import read_good_images  # noqa: PLC0415
    from differnet.settings.recipe import recipe_template  # noqa: PLC0415

    found = read_good_images(product)
    target = product.with_name(f"{product.resolve().name}.yaml") if output is None else output
    if target.exists() and not force:
        raise OutputError(f"{target}: exists already; choose another --output, or replace it with --force.")
    images = os.path.relpath(product.resolve(), target.resolve().parent)
    try:
        target.write_text(recipe_template(images), encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error.strerror}); choose another --output.") from None
    if as_json:
        print_json({"recipe": str(target), "images": len(found.paths)})
    say(f"{target}: a recipe for {len(found.paths)} good images; next: differnet train --recipe {target} -o MODEL")


@app.command("show")
@with_quiet
def show(
    recipe: Annotated[Path, typer.Argument(help="Recipe, or model file that was made by one.")],
    as_json: JsonOption = False,
) -> None:
    """Check a recipe and print it; or print the one that a model was made by."""
    from differnet.errors import ModelFileError  # noqa: PLC0415
    from differnet.extractors import check_settings  # noqa: PLC0415
    from differnet.model_file.bundle import read_manifest  # noqa: PLC0415
    from differnet.settings.recipe import read_recipe  # noqa: PLC0415

    if recipe.suffix != ".safetensors":
        text: str | None = read_recipe(recipe, check_settings).text
    else:
        text = read_manifest(recipe).recipe
    if text is None:
        raise ModelFileError(f"{recipe}: was not made by a recipe; 'differnet info' shows its settings.")
    if as_json:
        print_json({"recipe": str(recipe), "text": text})
    else:
        sys.stdout.write(text)
