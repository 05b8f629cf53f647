"""``/v1/products``: what there is, what trainings go by, who did what."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends, Request

from differnet.server.incoming.access import key_of
from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.problems import Problem
from differnet.server.products.answers import details_json, history_json, product_json
from differnet.server.station import Station
from differnet.server.wire.product_schemas import (
    ChoicesRequest,
    History,
    NewProduct,
    ProductDetails,
    Products,
)
from differnet.server.wire.schemas import Fault

__all__ = ["build_router"]

_CONFLICT: dict[int | str, dict[str, Any]] = {409: {"model": Fault}}

_LEAST_SIDE, _MOST_SIDE = 16, 1_000_000


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["products"])
    shop = station.workshop
    reading = [Depends(station.access.role("inspect"))]
    deciding = [Depends(station.access.role("admin"))]

    def _details(product: str) -> dict[str, Any]:
        row = shop.catalogue.get(product)
        return details_json(shop, row, station.records.count_reviewed(row["name"]))

    @router.get("/v1/products", response_model=Products, dependencies=reading)
    def list_products() -> dict[str, Any]:
        """All products, with what is in service of each."""
        active = shop.queue.active()
        return {
            "products": [
                product_json(shop, row, shop.catalogue.versions(row["id"]), active, row["pictures"])
                for row in shop.catalogue.all()
            ]
        }

    @router.post(
        "/v1/products",
        response_model=ProductDetails,
        responses=_CONFLICT,
        dependencies=deciding,
        openapi_extra=json_request(NewProduct),
    )
    def create_product(
        request: Request,
        body: NewProduct = Depends(json_body(NewProduct)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Make a product, whose released model will have its name."""
        row = shop.catalogue.create(body.name, ChoicesRequest().model_dump(mode="json"), key_of(request))
        return _details(row["id"])

    @router.get("/v1/products/{product}", response_model=ProductDetails, dependencies=reading)
    def get_product(product: str) -> dict[str, Any]:
        """A product with its choices, versions and jobs."""
        return _details(product)

    @router.delete("/v1/products/{product}", responses=_CONFLICT, dependencies=deciding)
    def remove_product(product: str, request: Request) -> dict[str, bool]:
        """Remove a product, its pictures and versions; a model in service stays there."""
        shop.remove(product, key_of(request))
        return {"removed": True}

    @router.post(
        "/v1/products/{product}/choices",
        response_model=ProductDetails,
        dependencies=deciding,
        openapi_extra=json_request(ChoicesRequest),
    )
    def choose(
        product: str,
        request: Request,
        body: ChoicesRequest = Depends(json_body(ChoicesRequest)),  # noqa: B008 - how FastAPI has it
    ) -> dict[str, Any]:
        """Say what trainings go by from now on."""
        region = body.region
        if region is not None and (min(region[:2]) < 0 or min(region[2:]) < _LEAST_SIDE or max(region) > _MOST_SIDE):
            raise Problem(
                422, f"The region of interest must lie within the pictures, {_LEAST_SIDE} pixels or more wide."
            )
        shop.catalogue.choose(product, body.model_dump(mode="json"), key_of(request))
        return _details(product)

    @router.get("/v1/products/{product}/history", response_model=History, dependencies=reading)
    def get_history(product: str) -> dict[str, Any]:
        """Who did what, the newest first; also of a product that was removed."""
        return {"history": [history_json(row) for row in shop.catalogue.history(product)]}

    return router
