"""What should be said of the images that a model learnt from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from differnet.calibration import Calibration, images_needed
from differnet.images import RegionOfInterest, TrainingImages
from differnet.model_file.manifest import Suspect
from differnet.settings import Settings
from differnet.training.fitted import Fitted
from differnet.views import Tiling
from differnet.views.tiling import tiling_for

__all__ = ["remark_on_pages", "remarks_of", "remarks_on_shape"]

_MOST_NAMED = 5
_SQUEEZED = 2.0
_LOOK = (
    "Look at them ('differnet explain', or the report): remove what is defective, or train with --leave-out-outliers."
)


def remarks_of(
    fitted: Fitted, suspects: Sequence[Suspect], settings: Settings, threshold: Calibration | None
) -> tuple[str, ...]:
    """Say what a user should know of the images that were scored to calibrate: a sentence or a few each.

    Args:
        fitted: What was learnt.
        suspects: The most suspicious images, those left out among them.
        settings: All settings.
        threshold: That was set; None if there is none.
    """
    found = (
        _near_copies(fitted),
        _too_few(fitted, settings),
        _pattern(fitted),
        _left_out([suspect for suspect in suspects if suspect.left_out]),
        _uncounted([suspect for suspect in suspects if suspect.uncounted]),
        _far_off([suspect for suspect in suspects if suspect.far_off and not (suspect.left_out or suspect.uncounted)]),
        "" if threshold is None else _threshold(suspects, threshold),
    )
    return tuple(remark for remark in found if remark)


def _near_copies(fitted: Fitted) -> str:
    members: dict[int, list[str]] = {}
    for group, is_copy, name in zip(fitted.grouping.groups, fitted.grouping.copies, fitted.names, strict=True):
        if is_copy:
            members.setdefault(group, []).append(PurePath(name).name)
    several = sorted((names for names in members.values() if len(names) > 1), key=len, reverse=True)
    if not several:
        return ""
    named = "; ".join(_shortened([", ".join(_shortened(names)) for names in several]))
    return (
        f"{sum(map(len, several))} of {len(fitted.names)} good images are near-copies of others, in {len(several)} "
        f"group(s): {named}. A group was learnt from together or not at all, and counts once for the threshold."
    )


def _too_few(fitted: Fitted, settings: Settings) -> str:
    images, groups = len(fitted.scores), len(set(fitted.grouping.groups))
    rate = settings.calibration.false_reject_rate
    needed = images_needed(rate)
    if groups >= images or groups >= needed or images < needed or settings.calibration.method == "none":
        return ""
    return (
        f"The {images} images that set the threshold are of {groups} independent group(s), and a rate of {rate:g} "
        f"takes {needed}: it cannot be promised for parts that are not among these. Give good images of more parts."
    )


def _pattern(fitted: Fitted) -> str:
    if not fitted.grouping.pattern:
        return ""
    return (
        f"Images in whose names '{fitted.grouping.pattern}' is the same look most alike. If they show the same part or "
        "place, the stated rate holds for these alone, and cannot be promised for others: train with --group-by "
        f"'{fitted.grouping.pattern}', so that it is measured on parts that were not learnt from."
    )


def _left_out(suspects: list[Suspect]) -> str:
    if not suspects:
        return ""
    return (
        f"{len(suspects)} good image(s) scored far above the others by models that did not see them, and were left "
        f"out: {_listed(suspects)}. Look at them."
    )


def _uncounted(suspects: list[Suspect]) -> str:
    if not suspects:
        return ""
    told = (
        f"{len(suspects)} good image(s) score far above the others by models that did not see them, and were learnt "
        f"from, but do not count for the threshold: {_listed(suspects)}."
    )
    return " ".join((told, _LOOK, "Good parts that are as rare may be refused: give more images of such."))


def _far_off(suspects: list[Suspect]) -> str:
    if not suspects:
        return ""
    return (
        f"{len(suspects)} good image(s) score far above the others by models that did not see them: "
        f"{_listed(suspects)}. {_LOOK}"
    )


def _threshold(suspects: Sequence[Suspect], threshold: Calibration) -> str:
    setting = [
        suspect
        for suspect in suspects
        if suspect.far_off and not suspect.left_out and suspect.score == threshold.threshold
    ]
    if not setting:
        return ""
    return (
        f"The threshold is the score of {PurePath(setting[0].name).name}, {setting[0].deviations:.1f} deviations above "
        "what is usual of good images: defects that are less strange pass."
    )


def _listed(suspects: list[Suspect]) -> str:
    named = [f"{PurePath(suspect.name).name} ({suspect.deviations:.1f} deviations)" for suspect in suspects]
    return ", ".join(
        [*named[:_MOST_NAMED], *([f"and {len(named) - _MOST_NAMED} more"] if len(named) > _MOST_NAMED else [])]
    )


def _shortened(items: Sequence[str]) -> list[str]:
    return [*items[:_MOST_NAMED], *(["..."] if len(items) > _MOST_NAMED else [])]


def remark_on_pages(seen: TrainingImages | None) -> tuple[str, ...]:
    """Say that there were files of which more than what was learnt from could be read."""
    if seen is None or seen.pages == 1:
        return ()
    return (f"Some files have several pages or frames, up to {seen.pages}: of each the first alone is read.",)


def remarks_on_shape(
    seen: TrainingImages | None, settings: Settings, region: RegionOfInterest | None
) -> tuple[str, ...]:
    """Say how much images that are far from square are squeezed.

    Args:
        seen: What the training images were like.
        settings: With the size that they are resized to.
        region: What they are cropped to before; None for whole images.
    """
    if seen is None:
        return ()
    aspects = seen.aspects if region is None else (region.box[2] / region.box[3],) * 2
    longest = max(aspects[1], 1 / aspects[0])
    if longest <= _SQUEEZED:
        return ()
    size, tiling = settings.views.size, Tiling.of(settings.views.tiles, settings.views.size)
    if tiling is not None:
        side, cut = ("width", aspects) if tiling.wide else ("height", (1 / aspects[1], 1 / aspects[0]))
        found = f"Images are seen as {tiling.count} overlapping tiles, cut along their {side} (views.tiles)."
        usual = tiling.length / tiling.thickness
        if cut[0] * _SQUEEZED < usual or cut[1] > usual * _SQUEEZED:
            found += " Some have quite other sides, and are squeezed: train on those by themselves."
        return (found,)
    # By itself training cuts those that are long enough.
    tiles = "auto" if tiling_for(aspects, size) is not None else "1x2" if aspects[1] >= 1 / aspects[0] else "2x1"
    return (
        f"Images whose sides differ {longest:.1f} to 1 are resized to squares of {size} x {size} pixels: along the "
        f"longer side, detail shrinks {longest:.1f} times as much. If defects are small, have them cut into tiles "
        f"(--set views.tiles={tiles}), or give a part of them by --region.",
    )
