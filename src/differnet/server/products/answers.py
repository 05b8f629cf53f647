"""From rows of products to the JSON values that `differnet.server.wire.product_schemas` describes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from differnet.server.collecting.collecting import Collection
from differnet.server.inspecting.model_repository import Place
from differnet.server.problems import Problem
from differnet.server.products.catalogue import ACTIVE, Row
from differnet.server.products.workshop import Workshop, pictures_needed
from differnet.server.wire.answers import calibration_card

__all__ = [
    "added_json",
    "collection_json",
    "details_json",
    "history_json",
    "job_json",
    "picture_json",
    "product_json",
    "version_json",
]

_MOST_REVIEWED = 2000
_OF_COLLECTIONS = ("kind", "source", "every", "until", "state", "added", "known", "refused", "said")
_OF_VERSIONS = (
    "images",
    "seconds",
    "image_size",
    "turned",
    "calibration",
    "held_out_scores",
    "remarks",
    "suspects",
    "failures",
    "choices",
)


def product_json(
    shop: Workshop, row: Row, versions: Sequence[Row], active: Sequence[Row], pictures: int
) -> dict[str, Any]:
    """A product."""
    own = [job for job in active if job["product"] == row["id"]]
    return {
        "id": row["id"],
        "name": row["name"],
        "created": row["created"],
        "pictures": pictures,
        "versions": len(versions),
        "in_service": _in_service(shop, row, versions, shop.place(row)),
        "active": job_json(shop, own[0]) if own else None,
    }


def details_json(shop: Workshop, row: Row, reviewed: Mapping[str, int]) -> dict[str, Any]:
    """A product with its choices, versions and jobs."""
    versions, jobs = shop.catalogue.versions(row["id"]), shop.queue.of(row["id"])
    collection = shop.collecting.of(row["id"])
    active = [job for job in reversed(jobs) if job["state"] in ACTIVE]
    return {
        **product_json(shop, row, versions, active, len(shop.catalogue.pictures(row["id"]))),
        "choices": row["choices"],
        "collection": None if collection is None else collection_json(collection),
        "versions_list": [version_json(version) for version in versions],
        "jobs": [job_json(shop, job) for job in jobs],
        "can_roll_back": shop.releasing.can_roll_back(row["id"]),
        "pictures_needed": pictures_needed(row["choices"]),
        "reviewed": min(sum(reviewed.values()), _MOST_REVIEWED),
        "reviewed_good": reviewed["good"],
        "reviewed_defective": reviewed["defective"],
    }


def version_json(row: Row) -> dict[str, Any]:
    """A version."""
    about = row["about"]
    return {
        "number": row["number"],
        "created": row["created"],
        "model_id": row["model_id"],
        "pictures": len(about["pictures"]),
        **{name: about[name] for name in _OF_VERSIONS},
    }


def job_json(shop: Workshop, row: Row) -> dict[str, Any]:
    """A job, with how far it is."""
    wanted = dict(row["wanted"])
    if "pictures" in wanted:
        wanted["pictures"] = len(wanted["pictures"])
    names = ("id", "product", "kind", "state", "created", "started", "ended", "result", "error")
    progress = shop.runner.progress(row["id"]) if row["state"] == "running" else None
    return {**{name: row[name] for name in names}, "wanted": wanted, "progress": progress}


def picture_json(row: Row, marks: Mapping[str, Any]) -> dict[str, Any]:
    """A picture with what is odd about it."""
    base = f"/v1/products/{row['product']}/pictures/{row['sha256']}"
    names = ("sha256", "filename", "width", "height", "bytes", "created", "left_out")
    return {
        **{name: row[name] for name in names},
        **marks,
        "thumbnail_url": f"{base}/thumbnail",
        "image_url": f"{base}/image",
    }


def added_json(kept: Row | Problem, filename: str | None) -> dict[str, Any]:
    """What became of an upload."""
    if isinstance(kept, Problem):
        return {"filename": filename, "sha256": None, "known": False, "error": kept.detail}
    return {"filename": filename, "sha256": kept["sha256"], "known": kept["known"], "error": None}


def collection_json(found: Collection) -> dict[str, Any]:
    """How far the taking of pictures is."""
    return {name: getattr(found, name) for name in _OF_COLLECTIONS}


def history_json(row: Row) -> dict[str, Any]:
    """An entry of who did what."""
    return {name: row[name] for name in ("created", "key", "key_name", "action", "about")}


def _in_service(shop: Workshop, row: Row, versions: Sequence[Row], place: Place | None) -> dict[str, Any] | None:
    if place is None or place.served is None:
        return None
    same = [version for version in versions if version["model_id"] == place.served.model_id]
    last = shop.catalogue.latest_release(row["id"]) if len(same) > 1 else None
    found = next((each for each in same if last and each["number"] == last["version"]), same[0] if same else None)
    card = calibration_card(place.served.model)
    return {
        "token": place.token,
        "model_id": place.served.model_id,
        "version": None if found is None else found["number"],
        "recalibrated": found is not None and card != found["about"]["calibration"],
        "threshold": None if card is None else card["threshold"],
    }
