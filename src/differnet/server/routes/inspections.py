"""``/v1/inspections``: what was recorded, its pictures, and what people say of it."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import FileResponse, Response

from differnet.server.incoming.access import key_of
from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.problems import Problem
from differnet.server.reviewing.statistics import SAMPLE_SIZE
from differnet.server.station import Station
from differnet.server.storage.records import Filter
from differnet.server.wire.answers import inspection_json
from differnet.server.wire.schemas import Decision, Explanation, Fault, Inspection, InspectionPage, ReviewRequest

__all__ = ["build_router"]

# Pictures of an inspection change only when its model is calibrated anew.
_PRIVATE = {"Cache-Control": "private, max-age=60"}


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["inspections"])
    reading = [Depends(station.access.role("inspect"))]
    removed: dict[int | str, dict[str, Any]] = {410: {"model": Fault}}
    unmade: dict[int | str, dict[str, Any]] = {409: {"model": Fault}, **removed}

    @router.get("/v1/inspections", response_model=InspectionPage, dependencies=reading)
    def list_inspections(  # noqa: PLR0917 - parameters of the query, given by name
        model: str | None = None,
        decision: Decision | None = None,
        review: Literal["good", "defective", "unsure", "none"] | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        search: Annotated[str | None, Query(max_length=200)] = None,
        queue: Annotated[bool, Query(description="What waits for a person, oldest first.")] = False,
        limit: Annotated[int, Query(ge=1, le=500)] = 50,
        before: Annotated[str | None, Query(description="The id that 'next' of the page before gave.")] = None,
    ) -> dict[str, Any]:
        """Recorded inspections, newest first."""
        wanted = Filter(
            model=model,
            decision=decision,
            review=review,
            since=_in_utc(since),
            until=_in_utc(until),
            search=search,
            queue=queue,
        )
        page = station.records.page(wanted, limit=limit, before=before)
        return {"inspections": [inspection_json(row) for row in page.rows], "next": page.next, "total": page.total}

    @router.get("/v1/sample", response_model=InspectionPage, dependencies=reading)
    def sample(
        model: str | None = None,
        size: Annotated[int, Query(ge=1, le=200, description="How many to look at in a day (UTC).")] = SAMPLE_SIZE,
    ) -> dict[str, Any]:
        """Accepted parts of today to look at, drawn at random; none once so many of today's were looked at."""
        page = station.records.sample(model, size)
        return {"inspections": [inspection_json(row) for row in page.rows], "next": None, "total": page.total}

    @router.get("/v1/inspections/{identity}", response_model=Inspection, dependencies=reading)
    def get_inspection(identity: str) -> dict[str, Any]:
        """One inspection."""
        return inspection_json(station.records.get(identity))

    @router.get("/v1/inspections/{identity}/image", responses=removed, dependencies=reading)
    def get_image(
        identity: str,
        display: Annotated[bool, Query(description="Turn what browsers do not show, such as TIFF, into PNG.")] = False,
    ) -> Response:
        """The image as it came."""
        content, kind = station.explainer.original(station.records.get(identity), display=display)
        if isinstance(content, Path):
            return FileResponse(content, media_type=kind, headers=_PRIVATE)
        return Response(content, media_type=kind, headers=_PRIVATE)

    @router.get("/v1/inspections/{identity}/thumbnail", responses=removed, dependencies=reading)
    def get_thumbnail(identity: str) -> Response:
        """A JPEG of at most 256 pixels."""
        return Response(
            station.explainer.thumbnail(station.records.get(identity)), media_type="image/jpeg", headers=_PRIVATE
        )

    @router.get("/v1/inspections/{identity}/heatmap.png", responses=unmade, dependencies=reading)
    def get_heat_map(identity: str, style: Literal["overlay", "heat"] = "overlay") -> Response:
        """The heat map: over the image, or by itself as a clear layer of the image's size."""
        row = station.records.get(identity)
        content = station.explainer.overlay(row) if style == "overlay" else station.explainer.heat_layer(row)
        return Response(content, media_type="image/png", headers=_PRIVATE)

    @router.get(
        "/v1/inspections/{identity}/explanation", response_model=Explanation, responses=unmade, dependencies=reading
    )
    def get_explanation(identity: str) -> dict[str, Any]:
        """Where the image differs from good ones."""
        return station.explainer.explanation(station.records.get(identity))

    @router.post(
        "/v1/inspections/{identity}/review",
        response_model=Inspection,
        dependencies=[Depends(station.access.role("review"))],
        openapi_extra=json_request(ReviewRequest),
    )
    def review(
        identity: str,
        request: Request,
        body: ReviewRequest = Depends(json_body(ReviewRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Say what a part really is; the last word counts."""
        key = key_of(request)
        found = inspection_json(station.records.review(identity, body.review, body.note, key))
        station.events.tell("review", found)
        return found

    return router


def _in_utc(time: datetime | None) -> datetime | None:
    """Times without a zone are taken as UTC."""
    try:
        return (
            None
            if time is None
            else (time if time.tzinfo else time.replace(tzinfo=timezone.utc)).astimezone(timezone.utc)
        )
    except (OverflowError, ValueError):
        raise Problem(422, "The time lies outside of the calendar; give one between the years 1 and 9999.") from None
