"""``/v1/products/{product}/pictures``: the good pictures that are learnt from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import FileResponse, Response

from differnet.server.incoming.access import key_of
from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.inspecting.jobs import Upload
from differnet.server.products.answers import added_json, picture_json
from differnet.server.routes.inspect import UPLOAD_BODY
from differnet.server.station import Station
from differnet.server.wire.product_schemas import AddedPictures, LeaveOutRequest, Pictures
from differnet.server.wire.schemas import Fault

__all__ = ["build_router"]

# A picture never changes under its hash.
_KEPT = {"Cache-Control": "private, max-age=86400"}
_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Fault}}
_GONE: dict[int | str, dict[str, Any]] = {410: {"model": Fault}}


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["products"])
    shop = station.workshop
    reading = [Depends(station.access.role("inspect"))]
    collecting = [Depends(station.access.role("review"))]
    deciding = [Depends(station.access.role("admin"))]

    @router.get("/v1/products/{product}/pictures", response_model=Pictures, dependencies=reading)
    def list_pictures(product: str) -> dict[str, Any]:
        """All pictures, with near-copies, unusual sizes and those that the last training found suspicious marked."""
        row, rows = shop.catalogue.get(product), shop.catalogue.pictures(product)
        versions = shop.catalogue.versions(product)
        suspects = versions[0]["about"]["suspects"] if versions else []
        marks = shop.findings.marks(rows, suspects, row["choices"]["region"])
        return {"pictures": [picture_json(*pair) for pair in zip(rows, marks, strict=True)]}

    @router.post(
        "/v1/products/{product}/pictures",
        response_model=AddedPictures,
        responses=_CONFLICT,
        dependencies=collecting,
        openapi_extra={"requestBody": UPLOAD_BODY},
    )
    async def add_pictures(product: str, request: Request, filename: str | None = None) -> dict[str, Any]:
        """Add good pictures, as images are sent to be inspected. One that is there already is no second one."""
        await run_in_threadpool(shop.catalogue.get, product)
        async with station.receiver.receive(request) as files:
            uploads = [file for file in files if isinstance(file, Upload)]
            kept = iter(await run_in_threadpool(shop.pictures.add, product, uploads, key_of(request)))
            found = [next(kept) if isinstance(file, Upload) else file for file in files]
            names = [file.filename if isinstance(file, Upload) else None for file in files]
        return {"pictures": [added_json(*pair) for pair in zip(found, names, strict=True)]}

    @router.post(
        "/v1/products/{product}/leave-out",
        response_model=Pictures,
        dependencies=collecting,
        openapi_extra=json_request(LeaveOutRequest),
    )
    def leave_out(
        product: str,
        request: Request,
        body: LeaveOutRequest = Depends(json_body(LeaveOutRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Leave pictures out of trainings from now on, or take them in again."""
        shop.catalogue.leave_out(product, body.pictures, left_out=body.left_out, key=key_of(request))
        return list_pictures(product)

    @router.delete("/v1/products/{product}/pictures/{picture}", responses=_CONFLICT, dependencies=deciding)
    def remove_picture(product: str, picture: str, request: Request) -> dict[str, bool]:
        """Remove a picture for good."""
        shop.pictures.remove(product, picture, key_of(request))
        return {"removed": True}

    @router.get("/v1/products/{product}/pictures/{picture}/image", responses=_GONE, dependencies=reading)
    def get_image(
        product: str,
        picture: str,
        display: Annotated[bool, Query(description="Turn what browsers do not show, such as TIFF, into PNG.")] = False,
    ) -> Response:
        """A picture as it came."""
        content, kind = shop.pictures.original(shop.catalogue.picture(product, picture), display=display)
        if isinstance(content, bytes):
            return Response(content, media_type=kind, headers=_KEPT)
        return FileResponse(content, media_type=kind, headers=_KEPT)

    @router.get("/v1/products/{product}/pictures/{picture}/thumbnail", responses=_GONE, dependencies=reading)
    def get_thumbnail(product: str, picture: str) -> Response:
        """A JPEG of at most 256 pixels."""
        file = shop.pictures.thumbnail(shop.catalogue.picture(product, picture))
        return FileResponse(file, media_type="image/jpeg", headers=_KEPT)

    return router
