"""``differnet explain``: where an image is anomalous, as pictures and regions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from differnet.cli.console import fail_if_skipped, print_json, print_line, say, warn
from differnet.cli.describe import UnlikeImages
from differnet.cli.options import DeviceOption, JsonOption, MapMethodOption, WeightsOption
from differnet.cli.outputs import check_not_input
from differnet.cli.progress import progress

if TYPE_CHECKING:
    from differnet.images.failure import Failure
    from differnet.inspection.explanation import Explanation

__all__ = ["explain"]


def explain(
    model: Annotated[Path, typer.Argument(help="Model file.")],
    images: Annotated[
        list[Path],
        typer.Argument(help="Image files, folders (searched through), list files (.txt, a path per line)."),
    ],
    output: Annotated[Path, typer.Option("--output", "-o", help="Folder for the pictures, made if need be.")],
    map_method: MapMethodOption = None,
    device: DeviceOption = "auto",
    weights: WeightsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show where images are anomalous: a picture for each, with heat map and regions.

    On the pictures 1 is the hottest that good images get at the model's false-reject rate.
    """
    from differnet.detector import DifferNet  # noqa: PLC0415
    from differnet.errors import OutputError  # noqa: PLC0415
    from differnet.images import collect_images  # noqa: PLC0415
    from differnet.images.failure import Failure  # noqa: PLC0415
    from differnet.localization.overlay import save_overlay  # noqa: PLC0415

    found = collect_images(images)
    if found.passed_over:
        say(f"{found.passed_over}.")
    names = _unique_names(found.paths)
    check_not_input([output / name for name in names.values()], [model, *found.paths])
    try:
        output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{output}: cannot be made ({error.strerror}); choose another folder.") from None
    detector = DifferNet.load(model, device=device, weights=weights)
    rows: list[dict[str, Any]] = []
    failures: list[Failure] = []
    unlike = UnlikeImages()
    warned = False
    with progress() as listener:
        results = detector.explain_stream(found.paths, map_method, with_images=True)
        for done, (path, result) in enumerate(zip(found.paths, results, strict=True), start=1):
            listener.images("heat maps", done, len(found.paths))
            if isinstance(result, Failure):
                failures.append(result)
                continue
            if not result.scale_is_fixed and not warned:
                warn(
                    "the model has no fixed scale for these maps; 1 is the hottest of each image. Run calibrate first."
                )
                warned = True
            unlike.add(result.verdict)
            picture = output / names[path]
            save_overlay(picture, result.original, result.heat, result.regions, caption=_caption(result))
            rows.append({**result.to_dict(), "picture": str(picture)})
            if not as_json:
                print_line(_caption(result), str(picture))
    if as_json:
        skipped = [failure.to_dict() for failure in failures]
        print_json({"model": str(model), "images": rows, "skipped": skipped})
    unlike.warn()
    fail_if_skipped(failures)


def _caption(result: Explanation) -> str:
    verdict = result.verdict
    parts = [f"score {verdict.score:.4g}"]
    if verdict.decision is not None:
        parts = [verdict.decision, *parts, f"threshold {verdict.threshold:.4g}", f"p {verdict.p_value:.3g}"]
    if result.scale_is_fixed:
        parts.append(f"{len(result.regions)} region(s)")
    return ", ".join(parts)


def _unique_names(paths: list[Path]) -> dict[Path, str]:
    """Names of the pictures: that of the image, with its folders before it where that is not enough."""
    names: dict[Path, str] = {}
    taken: set[str] = set()
    for path in paths:
        parts = [*(part for part in path.parts[:-1] if part not in (path.anchor, "..")), path.stem]
        choices = ["_".join(parts[-count:]) for count in range(1, len(parts) + 1)]
        chosen = next((name for name in choices if name not in taken), f"{choices[-1]}_{len(taken)}")
        taken.add(chosen)
        names[path] = f"{chosen}.png"
    return names
