"""Where a defect is: the heat map of an image, its hot regions, and the verdict beside them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from differnet.features import Sample
from differnet.images import ImageSource
from differnet.images.failure import Failure
from differnet.inspection.explanation import Explanation
from differnet.inspection.inspection import Inspection
from differnet.localization.localizer import display_scale
from differnet.localization.regions import find_regions

__all__ = ["explain_stream"]


def explain_stream(
    inspection: Inspection,
    images: Iterable[ImageSource],
    method: str | None = None,
    *,
    with_images: bool = False,
    visit: Callable[[Sample], None] = lambda sample: None,
) -> Iterator[Explanation | Failure]:
    """Explain images one after the other, as they come; see `DifferNet.explain_stream`.

    Args:
        inspection: Gives the verdicts.
        images: Paths and arrays; consumed as needed.
        method: Of the map; None for the model's own.
        with_images: Whether the explanations are to hold the images themselves.
        visit: Called with what is known of every image.

    Raises:
        SettingsError: If there is no such method.
    """
    model, localizer = inspection.model, inspection.localizer
    own = model.settings.localization.method
    chosen = own if method is None else method
    quick, described = localizer.method(chosen).quick, localizer.needs_cells(chosen)
    fixed = None
    if chosen == own and len(model.peaks) and model.calibration is not None:
        fixed = display_scale(model.peaks.double().numpy(), model.calibration.false_reject_rate)
    for sample in inspection.samples(images, described=described, side_by_side=quick, with_images=with_images):
        if isinstance(sample, Failure):
            yield sample
            continue
        visit(sample)
        raw = localizer.raw_map(sample.pixels, chosen, sample.anomaly)
        scale = localizer.peak(raw) if fixed is None else fixed
        heat = localizer.heat(raw, chosen, scale, sample.width, sample.height)
        smallest = localizer.smallest_region(chosen, sample.width, sample.height)
        regions = () if fixed is None else tuple(find_regions(heat, min_area=smallest))
        yield Explanation(inspection.verdict(sample), heat, regions, fixed is not None, sample.image)
