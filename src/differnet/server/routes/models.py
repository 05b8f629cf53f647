"""``/v1/models``: what is served."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from starlette.responses import FileResponse

from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.incoming.middleware import REPORT_POLICY
from differnet.server.inspecting.model_repository import Place
from differnet.server.problems import Problem
from differnet.server.station import Station
from differnet.server.wire.answers import model_card
from differnet.server.wire.schemas import CalibrateRequest, Fault, ModelCards, ModelDetails, Recalibrated, Statistics

__all__ = ["build_router"]


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["models"], dependencies=[Depends(station.access.role("inspect"))])

    @router.get("/v1/models", response_model=ModelCards)
    def list_models() -> dict[str, Any]:
        """All models on the shelf, with their state."""
        places = station.shelf.places()
        return {"models": [_card(name, place) for name, place in places.items()]}

    @router.get("/v1/models/{name}", response_model=ModelDetails)
    def get_model(name: str) -> dict[str, Any]:
        """A model's card, with the scores that its threshold comes from."""
        place = station.shelf.place(name)
        scores = [] if place.served is None else sorted(place.served.model.held_out_scores.tolist())
        reviewed = station.records.count_reviewed(name)["good"]
        return _card(name, place) | {"held_out_scores": scores, "reviewed_good": reviewed}

    @router.get("/v1/models/{name}/report", response_class=FileResponse)
    def get_report(name: str) -> FileResponse:
        """The report beside the model file, a page of its own."""
        file = station.shelf.place(name).report
        # A link to something else would have the service give away what only it may read.
        if file is None or not file.is_file() or file.resolve().suffix != ".html":
            raise Problem(404, f"There is no report; write {name}.html beside the model file, see 'differnet report'.")
        return FileResponse(file, media_type="text/html", headers={"Content-Security-Policy": REPORT_POLICY})

    @router.get("/v1/models/{name}/statistics", response_model=Statistics)
    def get_statistics(name: str, hours: Annotated[int, Query(ge=1, le=24 * 366)] = 24) -> dict[str, Any]:
        """Counts, false rejects by review, and a control chart of scores."""
        return station.statistics.of(station.shelf.get(name), hours)

    @router.post(
        "/v1/models/{name}/calibrate",
        response_model=Recalibrated,
        responses={status: {"model": Fault} for status in (409, 507)},
        dependencies=[Depends(station.access.role("admin"))],
        openapi_extra=json_request(CalibrateRequest),
    )
    def calibrate(
        name: str,
        body: CalibrateRequest = Depends(json_body(CalibrateRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Set the threshold from the images that were reviewed good; by default only tell what would change."""
        return station.recalibration.run(name, body)

    return router


def _card(name: str, place: Place) -> dict[str, Any]:
    return model_card(name, place, has_report=place.report is not None)
