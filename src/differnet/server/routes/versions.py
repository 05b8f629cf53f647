"""Versions of a product: training, comparing, releasing and exporting them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi import Path as InPath
from starlette.responses import FileResponse

from differnet.server.incoming.access import key_of
from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.problems import Problem
from differnet.server.products.answers import details_json, job_json
from differnet.server.routes.jobs import explanation_of, layer_file
from differnet.server.station import Station
from differnet.server.wire.product_schemas import (
    CompareRequest,
    ExportRequest,
    Job,
    ProductDetails,
    ReleaseRequest,
    ReportRequest,
    TrainRequest,
)
from differnet.server.wire.schemas import Explanation, Fault

__all__ = ["build_router"]

_FILE: dict[str, Any] = {"response_class": FileResponse}
_Number = InPath(ge=1, le=1_000_000)


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["products"])
    shop = station.workshop
    reading = [Depends(station.access.role("inspect"))]
    deciding = [Depends(station.access.role("admin"))]
    conflict, unmade, gone = ({status: {"model": Fault} for status in each} for each in ((409,), (409, 410), (410,)))

    @router.post(
        "/v1/products/{product}/train",
        response_model=Job,
        responses=conflict,  # type: ignore[arg-type]
        dependencies=deciding,
        openapi_extra=json_request(TrainRequest),
    )
    def train(
        product: str,
        request: Request,
        _body: TrainRequest = Depends(json_body(TrainRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Train a new version by the pictures and choices as they are now, in the background."""
        return job_json(shop, shop.train(product, key_of(request)))

    @router.post(
        "/v1/products/{product}/compare",
        response_model=Job,
        responses=unmade,  # type: ignore[arg-type]
        dependencies=deciding,
        openapi_extra=json_request(CompareRequest),
    )
    def compare(
        product: str,
        request: Request,
        body: CompareRequest = Depends(json_body(CompareRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Compare two versions on the parts that were reviewed, in the background."""
        return job_json(shop, shop.compare(product, body.versions, key_of(request)))

    @router.post(
        "/v1/products/{product}/rollback",
        response_model=ProductDetails,
        responses={status: {"model": Fault} for status in (409, 507)},
        dependencies=deciding,
        openapi_extra=json_request(ReleaseRequest),
    )
    def roll_back(
        product: str,
        request: Request,
        body: ReleaseRequest = Depends(json_body(ReleaseRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Put back into service what the last release replaced."""
        shop.releasing.roll_back(product, body.seen, key_of(request))
        return _details(product)

    @router.post(
        "/v1/products/{product}/versions/{number}/release",
        response_model=ProductDetails,
        responses={status: {"model": Fault} for status in (409, 410, 507)},
        dependencies=deciding,
        openapi_extra=json_request(ReleaseRequest),
    )
    def release(
        product: str,
        request: Request,
        number: int = _Number,
        body: ReleaseRequest = Depends(json_body(ReleaseRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Put a version into service under the product's name, at once and as a whole."""
        shop.releasing.release(product, number, body.seen, key_of(request))
        return _details(product)

    @router.post(
        "/v1/products/{product}/versions/{number}/export",
        response_model=Job,
        responses=unmade,  # type: ignore[arg-type]
        dependencies=deciding,
        openapi_extra=json_request(ExportRequest),
    )
    def export(
        product: str,
        request: Request,
        number: int = _Number,
        body: ExportRequest = Depends(json_body(ExportRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Export a version for other runtimes, in the background."""
        return job_json(shop, shop.export(product, number, body.to, with_map=body.map, key=key_of(request)))

    @router.post(
        "/v1/products/{product}/versions/{number}/report",
        response_model=Job,
        responses=unmade,  # type: ignore[arg-type]
        dependencies=deciding,
        openapi_extra=json_request(ReportRequest),
    )
    def report(
        product: str,
        request: Request,
        number: int = _Number,
        _body: ReportRequest = Depends(json_body(ReportRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Write a report on a version by the parts that were reviewed, in the background."""
        return job_json(shop, shop.report(product, number, key_of(request)))

    @router.delete("/v1/products/{product}/versions/{number}", responses=conflict, dependencies=deciding)  # type: ignore[arg-type]
    def remove_version(product: str, request: Request, number: int = _Number) -> dict[str, bool]:
        """Remove a version that is not in service, for good; its number is not given again."""
        shop.remove_version(product, number, key_of(request))
        return {"removed": True}

    @router.get("/v1/products/{product}/versions/{number}/model", responses=gone, dependencies=deciding, **_FILE)  # type: ignore[arg-type]
    def get_model(product: str, number: int = _Number) -> FileResponse:
        """The model file of a version."""
        row = shop.catalogue.get(product)
        file = shop.current_file(row, shop.catalogue.version(product, number))
        return FileResponse(file, media_type="application/octet-stream", filename=f"{row['name']}.safetensors")

    @router.get(
        "/v1/products/{product}/versions/{number}/suspects/{picture}/heatmap.png",
        responses=gone,  # type: ignore[arg-type]
        dependencies=reading,
        **_FILE,
    )
    def get_suspect_map(product: str, picture: str, number: int = _Number) -> FileResponse:
        """The heat map of a suspicious training picture, as a clear layer."""
        return layer_file(_suspect(product, number, picture))

    @router.get(
        "/v1/products/{product}/versions/{number}/suspects/{picture}/explanation",
        response_model=Explanation,
        responses=gone,  # type: ignore[arg-type]
        dependencies=reading,
    )
    def get_suspect_explanation(product: str, picture: str, number: int = _Number) -> Any:  # noqa: ANN401 - JSON
        """Where a suspicious training picture differs from the others."""
        return explanation_of(_suspect(product, number, picture))

    def _details(product: str) -> dict[str, Any]:
        row = shop.catalogue.get(product)
        return details_json(shop, row, station.records.count_reviewed(row["name"]))

    def _suspect(product: str, number: int, picture: str) -> Path:
        version = shop.catalogue.version(product, number)
        if not any(suspect["sha256"] == picture for suspect in version["about"]["suspects"]):
            raise Problem(404, "This picture is none of the version's most suspicious ones.")
        return shop.version_folder(version) / "maps" / picture

    return router
