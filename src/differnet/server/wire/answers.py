"""From rows and models to the JSON values that `differnet.server.wire.schemas` describes."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from urllib.parse import quote

from differnet.detector import DifferNet
from differnet.server.inspecting.model_repository import Place
from differnet.server.storage.database import VERDICT_COLUMNS
from differnet.server.wire.schemas import ModelCard

__all__ = ["calibration_card", "inspection_json", "model_card"]


def inspection_json(row: Mapping[str, Any]) -> dict[str, Any]:
    """An inspection as JSON values.

    Args:
        row: The columns of the table, with ``removed_at`` of the image.
    """
    base = f"/v1/inspections/{row['id']}"
    reviewed_at = row.get("reviewed_at")
    return {
        "id": row["id"],
        "created": _time(row["created"]),
        "model": row["model"],
        "model_id": row["model_id"],
        "filename": row["filename"],
        "path": row["filename"] or row["id"],
        **{name: row[name] for name in VERDICT_COLUMNS},
        "review": row.get("review"),
        "reviewed_at": None if reviewed_at is None else _time(reviewed_at),
        "note": row.get("note"),
        "image_url": None if row["removed_at"] is not None else f"{base}/image",
        "thumbnail_url": f"{base}/thumbnail",
        "heat_map_url": f"{base}/heatmap.png",
        "explanation_url": f"{base}/explanation",
    }


def model_card(name: str, place: Place, *, has_report: bool) -> dict[str, Any]:
    """A model's card as JSON values."""
    card: dict[str, Any] = dict.fromkeys(ModelCard.model_fields)
    card |= {
        "name": name,
        "status": "error" if place.served is None else "ready",
        "error": place.error,
        "file": place.file.name,
        "report_url": f"/v1/models/{quote(name, safe='')}/report" if has_report else None,
    }
    served = place.served
    if served is None or served.model.manifest is None:
        return card
    manifest = served.model.manifest
    return card | {
        "model_id": served.model_id,
        "loaded_at": _time(served.loaded_at),
        "created": _time(manifest.created),
        "package_version": manifest.package_version,
        "extractor": manifest.settings.extractor.name,
        "image_size": manifest.settings.views.size,
        "views": manifest.settings.views.count,
        "training_images": manifest.training.images,
        "calibration": calibration_card(served.model),
        "drift": served.model.drift.sentence or None,
    }


def calibration_card(model: DifferNet) -> dict[str, Any] | None:
    """A model's calibration as JSON values, None if there is none."""
    record = None if model.manifest is None else model.manifest.calibration
    if record is None or model.calibration is None:
        return None
    wanted = ("threshold", "review_threshold", "false_reject_rate", "review_rate", "images", "source", "tail")
    # Scores of cross-fitting come from several flows, so that no theorem gives an interval for them.
    known = record.source != "cross-fitted" or record.groups is not None
    interval = model.calibration.rate_interval() if known else None
    return {name: getattr(record, name) for name in wanted} | {
        "rate_interval": None if interval is None else list(interval)
    }


def _time(time: datetime) -> str:
    return time.isoformat().replace("+00:00", "Z")
