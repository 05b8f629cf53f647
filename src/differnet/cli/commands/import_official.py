"""``differnet import-official``: take over a model that the authors' code trained."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from differnet.cli.console import print_json, say
from differnet.cli.options import DeviceOption, JsonOption, WeightsOption
from differnet.cli.outputs import check_writable

__all__ = ["import_official"]


def import_official(
    state: Annotated[
        Path,
        typer.Argument(
            metavar="WEIGHTS.pt", help="State dict: torch.save(model.state_dict(), ...) of the authors' code."
        ),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Model file to write (.safetensors).")],
    views: Annotated[int, typer.Option(min=1, help="Number of fixed rotations of a test image.")] = 64,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Convert the authors' weights into a model file; its scores are those of their code."""
    from differnet.detector import DifferNet  # noqa: PLC0415

    check_writable(output)
    model = DifferNet.import_official(state, views=views, device=device, weights=weights)
    model.save(output)
    chosen = model.settings
    if as_json:
        print_json({"model": str(output), "blocks": chosen.flow.blocks, "hidden": chosen.flow.hidden, "views": views})
    say(f"{output}: {chosen.flow.blocks} blocks of width {chosen.flow.hidden}, scored over {views} rotations.")
