"""What needs the networks, in a process of its own: ``python -m differnet.bench.probe NAME JSON``; prints JSON."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from differnet.bench.ceilings import measure_ceilings
from differnet.bench.results import Ceilings, Scaling
from differnet.bench.scaling import Variants, scale_extractor_size, scale_image_size, scale_views
from differnet.bench.stages import measure_stages
from differnet.compute.devices import choose_device
from differnet.detector import DifferNet
from differnet.errors import DifferNetError

__all__ = ["PROBES", "main"]

_MOST_VIEWS_AT_ONCE = 64


def _ceilings(options: Mapping[str, Any]) -> dict[str, Any]:
    device = choose_device(options["device"])
    return asdict(measure_ceilings(device, budget_seconds=options["budget_seconds"]))


def _stages(options: Mapping[str, Any]) -> dict[str, Any]:
    ceilings = TypeAdapter(Ceilings).validate_python(options["ceilings"])
    model = _model(options)
    # All views of all images are in memory together.
    images = _images(options)[: max(1, _MOST_VIEWS_AT_ONCE // model.settings.views.count)]
    return asdict(measure_stages(model, images, ceilings, options["repetitions"]))


def _image_size(options: Mapping[str, Any]) -> dict[str, Any] | None:
    model = _model(options)
    if model.region is not None:  # which fixes the size
        return None
    return asdict(
        scale_image_size(model, _images(options), _folder(options), options["repetitions"], quick=options["quick"])
    )


def _varied(measure: Callable[..., Scaling]) -> Callable[[Mapping[str, Any]], dict[str, Any]]:
    def probe(options: Mapping[str, Any]) -> dict[str, Any]:
        variants = Variants(
            Path(options["model"]), _folder(options), device=options["device"], weights=options["weights"]
        )
        return asdict(measure(variants, _images(options), options["repetitions"], quick=options["quick"]))

    return probe


def _model(options: Mapping[str, Any]) -> DifferNet:
    return DifferNet.load(options["model"], device=options["device"], weights=options["weights"])


def _images(options: Mapping[str, Any]) -> list[Path]:
    return [Path(image) for image in options["images"]]


def _folder(options: Mapping[str, Any]) -> Path:
    return Path(options["folder"])


PROBES: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any] | None]] = {
    "ceilings": _ceilings,
    "stages": _stages,
    "image size": _image_size,
    "extractor size": _varied(scale_extractor_size),
    "views": _varied(scale_views),
}
"""By name what takes its options and gives a JSON document; None for what does not apply to the model."""


def main() -> None:
    """Print the document on stdout; a failure that the user can mend is one line on stderr."""
    name, options = sys.argv[1:]
    try:
        document = PROBES[name](json.loads(options))
    except DifferNetError as error:
        sys.exit(str(error))
    json.dump(document, sys.stdout)


if __name__ == "__main__":
    main()
