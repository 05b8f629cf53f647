"""How much each piece of an image's evidence counts."""

from __future__ import annotations

from differnet.settings import Settings

__all__ = ["weigh_evidence"]

# An image of less than this many times the side of the reduced one shows no details that the reduced one does not.
_FINER = 1.25
# Of fewer good images the flow, which learns the density of hundreds of features, is the weakest witness: of 16 solar
# cells its image AUROC is 0.86, that of the cells 0.93.
_ENOUGH_IMAGES = 50
# How much less windows count where parts lie at any angle.
_TURNED = 0.25


def weigh_evidence(settings: Settings, images: int) -> Settings:
    """Settle the weights that are left to training: those of `ScoringSettings` that are None.

    - Where the image shows details, their cells and the windows count twice as much as the flow, and as the cells of
      the reduced image.
    - Where it is hardly larger than the reduced one, as solar cells of 300 pixels are, the cells of both are one piece
      of evidence seen twice: each counts half, flow and windows, which see what is large, three times and a half and
      three times as much as one of them.
    - A flow of few images hardly counts.
    - Windows say what is usual at a place. Where parts lie at any angle, which is told from the good images (see
      `differnet.training.view_choice`), that is little, and they count a quarter.

    Args:
        settings: With the size that images are seen at, and the kind of views.
        images: Number of good images.
    """
    if settings.scoring.join != "sum-of-logarithms" or not settings.scoring.local:
        return settings  # nothing is weighed
    if images < _ENOUGH_IMAGES:
        flow, reduced, windows = 0.1, 0.5, 1.0
    elif settings.views.size >= _FINER * settings.views.flow_side:
        flow, reduced, windows = 0.5, 0.5, 1.0
    elif settings.localization.reduced == "none":
        flow, reduced, windows = 1.0, 1.0, 1.0
    else:
        flow, reduced, windows = 3.5, 1.0, 3.0
    if settings.views.kind != "none":
        windows *= _TURNED
    chosen = {"flow_weight": flow, "reduced_weight": reduced, "windows_weight": windows}
    missing = {name: value for name, value in chosen.items() if getattr(settings.scoring, name) is None}
    return settings.model_copy(update={"scoring": settings.scoring.model_copy(update=missing)}) if missing else settings
