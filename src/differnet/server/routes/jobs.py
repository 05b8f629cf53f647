"""``/v1/jobs``: work that takes long, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse

from differnet.server.incoming.access import key_of
from differnet.server.incoming.middleware import REPORT_POLICY
from differnet.server.problems import Problem
from differnet.server.products.answers import job_json
from differnet.server.station import Station
from differnet.server.wire.product_schemas import Comparison, Job, Jobs
from differnet.server.wire.schemas import Explanation, Fault

__all__ = ["build_router", "explanation_of", "layer_file"]

_KEPT = {"Cache-Control": "private, max-age=86400"}
_FILE: dict[str, Any] = {"response_class": FileResponse}
_Number = InPath(ge=1, le=1_000_000)


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["products"])
    shop = station.workshop
    reading = [Depends(station.access.role("inspect"))]
    deciding = [Depends(station.access.role("admin"))]
    conflict, unmade, gone = ({status: {"model": Fault} for status in each} for each in ((409,), (409, 410), (410,)))

    @router.get("/v1/jobs", response_model=Jobs, dependencies=reading)
    def list_jobs() -> dict[str, Any]:
        """What is under way or waits, in the order in which it is done."""
        return {"jobs": [job_json(shop, row) for row in shop.queue.active()]}

    @router.get("/v1/jobs/{job}", response_model=Job, dependencies=reading)
    def get_job(job: str) -> dict[str, Any]:
        """A job, and how far it is."""
        return job_json(shop, shop.queue.get(job))

    @router.delete("/v1/jobs/{job}", response_model=Job, responses=conflict, dependencies=deciding)  # type: ignore[arg-type]
    def cancel_job(job: str, request: Request) -> dict[str, Any]:
        """Cancel a job."""
        shop.cancel(job, key_of(request))
        return job_json(shop, shop.queue.get(job))

    @router.get("/v1/jobs/{job}/comparison", response_model=Comparison, responses=unmade, dependencies=reading)  # type: ignore[arg-type]
    def get_comparison(job: str) -> Any:  # noqa: ANN401 - JSON
        """What a comparison found."""
        row = shop.queue.get(job)
        if row["kind"] != "compare":
            raise Problem(404, "The job is no comparison.")
        return shop.result(row)

    @router.get("/v1/jobs/{job}/maps/{number}/{inspection}/heatmap.png", responses=gone, dependencies=reading, **_FILE)  # type: ignore[arg-type]
    def get_compared_map(job: str, inspection: str, number: int = _Number) -> FileResponse:
        """The heat map of a part by one of the versions that were compared, as a clear layer."""
        return layer_file(_compared(job, number, inspection))

    @router.get(
        "/v1/jobs/{job}/maps/{number}/{inspection}/explanation",
        response_model=Explanation,
        responses=gone,  # type: ignore[arg-type]
        dependencies=reading,
    )
    def get_compared_explanation(job: str, inspection: str, number: int = _Number) -> Any:  # noqa: ANN401 - JSON
        """Where that version sees the part differ from good ones."""
        return explanation_of(_compared(job, number, inspection))

    @router.get("/v1/jobs/{job}/file", responses=unmade, dependencies=reading, **_FILE)  # type: ignore[arg-type]
    def get_file(job: str) -> FileResponse:
        """The file that an export made; for OpenVINO a ZIP of two."""
        row = shop.queue.get(job)
        if row["kind"] != "export":
            raise Problem(404, "The job is no export.")
        file = shop.job_folder(row) / str(shop.result(row)["file"])
        if not file.is_file():
            raise Problem(410, "The file is no longer there; export again.")
        return FileResponse(file, media_type="application/octet-stream", filename=file.name)

    @router.get("/v1/jobs/{job}/report", responses=unmade, dependencies=reading, response_class=FileResponse)  # type: ignore[arg-type]
    def get_report(job: str) -> FileResponse:
        """The report on a version, a page of its own."""
        row = shop.queue.get(job)
        if row["kind"] != "report":
            raise Problem(404, "The job is no report.")
        file = shop.job_folder(row) / str(shop.result(row)["file"])
        if not file.is_file():
            raise Problem(410, "The report is no longer there; make it again.")
        return FileResponse(file, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})

    def _compared(job: str, number: int, inspection: str) -> Path:
        row = shop.queue.get(job)
        found = shop.result(row) if row["kind"] == "compare" else {"mapped": (), "versions": ()}
        if inspection not in found["mapped"] or number not in [each["number"] for each in found["versions"]]:
            raise Problem(404, "This comparison has no heat map of that part.")
        return shop.job_folder(row) / "maps" / f"{inspection}-{number}"

    return router


def layer_file(stem: Path) -> FileResponse:
    """A heat map that a job made."""
    file = stem.with_name(f"{stem.name}.png")
    if not file.is_file():
        raise Problem(410, "The heat map is no longer there.")
    return FileResponse(file, media_type="image/png", headers=_KEPT)


def explanation_of(stem: Path) -> Any:  # noqa: ANN401 - JSON
    """What a job's heat map shows."""
    try:
        return json.loads(stem.with_name(f"{stem.name}.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        raise Problem(410, "The heat map is no longer there.") from None
