"""What training settles by itself, when a model is asked whether it is of given settings."""

from __future__ import annotations

from differnet.settings import Settings

__all__ = ["as_settled"]

_WEIGHTS = ("flow_weight", "reduced_weight", "windows_weight")


def as_settled(asked: Settings, found: Settings) -> Settings:
    """The settings that were asked for, with what was left to training as a model of the same images has it.

    That is all that `choose_size`, `choose_views` and `weigh_evidence` change: a model was trained by the settings
    exactly if this gives the model's own.

    Args:
        asked: As a user gave them.
        found: Those of the model.
    """
    settled: dict[str, object] = {}
    if asked.views.tiles == "auto":
        settled["views.tiles"] = found.views.tiles
    # Images are seen no larger than they are, or in squares of tiles, which may be larger.
    if found.views.tile_count > 1 or (not asked.views.enlarge and found.views.size <= asked.views.size):
        settled["views.size"] = found.views.size
    if asked.views.kind == "auto":
        settled |= {f"views.{name}": getattr(found.views, name) for name in ("kind", "count", "training_count")}
        settled["scoring.aggregation"] = found.scoring.aggregation
    settled |= {
        f"scoring.{name}": getattr(found.scoring, name) for name in _WEIGHTS if getattr(asked.scoring, name) is None
    }
    return asked.with_overrides(settled)
