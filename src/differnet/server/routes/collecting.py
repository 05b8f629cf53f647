"""``/v1/sources`` and what is taken from them: good pictures from cameras and folders of the service's computer."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from differnet.server.collecting.collecting import Collection
from differnet.server.incoming.access import key_of
from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.products.answers import added_json, collection_json
from differnet.server.station import Station
from differnet.server.wire.collection_schemas import (
    CollectionRequest,
    CollectionStatus,
    SourceNames,
    TakeRequest,
)
from differnet.server.wire.product_schemas import AddedPictures
from differnet.server.wire.schemas import Fault

__all__ = ["build_router"]

_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Fault}}


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["products"])
    collecting = station.workshop.collecting
    deciding = [Depends(station.access.role("admin"))]

    looking = [Depends(station.access.role("inspect"))]

    @router.get("/v1/sources", response_model=SourceNames, dependencies=looking)
    def list_sources() -> dict[str, list[str]]:
        """Names of the cameras and folders that the service was started with."""
        return collecting.names

    @router.get("/v1/cameras/{camera}/frame.jpg", response_class=Response, dependencies=looking)
    def get_frame(camera: str) -> Response:
        """The last frame of a camera, at most 960 pixels; the camera is open for ten seconds from then on."""
        return Response(collecting.preview(camera), media_type="image/jpeg", headers={"Cache-Control": "no-store"})

    @router.post(
        "/v1/products/{product}/take",
        response_model=AddedPictures,
        responses=_CONFLICT,
        dependencies=deciding,
        openapi_extra=json_request(TakeRequest),
    )
    def take(
        product: str,
        request: Request,
        body: TakeRequest = Depends(json_body(TakeRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Take a picture: the first frame from now on is added to the good ones."""
        return {"pictures": [added_json(*collecting.take(product, body.camera, key_of(request)))]}

    @router.post(
        "/v1/products/{product}/collection",
        response_model=CollectionStatus,
        responses=_CONFLICT,
        dependencies=deciding,
        openapi_extra=json_request(CollectionRequest),
    )
    def begin(
        product: str,
        request: Request,
        body: CollectionRequest = Depends(json_body(CollectionRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Take good pictures in the background: of a camera every so many seconds, of a folder all that it has."""
        kind, source = ("folder", body.folder) if body.camera is None else ("camera", body.camera)
        wanted = Collection(product, kind, str(source), body.every, body.until, key_of(request))
        collecting.begin(wanted)
        return collection_json(wanted)

    @router.delete(
        "/v1/products/{product}/collection",
        response_model=CollectionStatus | None,
        responses=_CONFLICT,
        dependencies=deciding,
    )
    def end(product: str) -> dict[str, Any] | None:
        """Take no more."""
        station.workshop.catalogue.get(product)
        collecting.end(product)
        found = collecting.of(product)
        return None if found is None else collection_json(found)

    return router
