"""What ``/openapi.json`` says beyond what FastAPI finds by itself: keys, refusals, bodies and pictures."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from differnet.server.wire.collection_schemas import CollectionRequest, TakeRequest
from differnet.server.wire.product_schemas import (
    ChoicesRequest,
    CompareRequest,
    ExportRequest,
    LeaveOutRequest,
    NewProduct,
    ReleaseRequest,
    ReportRequest,
    TrainRequest,
)
from differnet.server.wire.schemas import CalibrateRequest, Fault, ReviewRequest

__all__ = ["complete"]

_ALWAYS_ANSWERED = ("/healthz", "/v2", "/v2/health/live")
_OPEN = (*_ALWAYS_ANSWERED, "/readyz", "/v2/health/ready")
_BODIES: tuple[type[BaseModel], ...] = (
    ReviewRequest,
    CalibrateRequest,
    NewProduct,
    ChoicesRequest,
    LeaveOutRequest,
    TrainRequest,
    ReleaseRequest,
    ReportRequest,
    CompareRequest,
    ExportRequest,
    TakeRequest,
    CollectionRequest,
    Fault,
)
_BINARY = {"type": "string", "format": "binary"}
# What routes answer that is not JSON, by the end of their path.
_KINDS = {
    "/thumbnail": ("image/jpeg",),
    "/frame.jpg": ("image/jpeg",),
    "/heatmap.png": ("image/png",),
    "/image": ("image/png", "image/jpeg", "image/webp", "image/bmp", "image/tiff"),
    "/report": ("text/html",),
    "/file": ("application/octet-stream",),
    "/model": ("application/octet-stream",),
    "/events": ("text/event-stream",),
    "/metrics": ("text/plain",),
}
_REFUSALS = {
    "400": "The request cannot be read.",
    "401": "A key is needed, or is not valid.",
    "403": "The key may not do this, or the request comes from another site.",
    "404": "There is none of this name or id.",
    "408": "The body did not arrive in time.",
    "413": "The body is larger than is allowed.",
    "415": "The body is of a kind that is not taken.",
    "422": "A parameter or the body is not valid.",
    "503": "The service is busy, or its database cannot be reached; Retry-After says when to try again.",
}
_OF_BODIES = ("408", "413", "415")


def complete(schema: dict[str, Any]) -> dict[str, Any]:
    """Complete a description, in place.

    Args:
        schema: As FastAPI makes it.
    """
    components = schema.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    for kind in _BODIES:
        found = kind.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(found.pop("$defs", {}))
        schemas[kind.__name__] = found
    components["securitySchemes"] = {
        "key": {"type": "apiKey", "in": "header", "name": "X-API-Key", "description": "Needed once there is a key."},
        "bearer": {"type": "http", "scheme": "bearer", "description": "The same key."},
    }
    for path, operations in schema["paths"].items():
        for operation in operations.values():
            _complete(path, operation)
    return schema


def _complete(path: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    is_open = path in _OPEN
    named = any(each["in"] == "path" or each["name"] == "before" for each in operation.get("parameters", ()))
    if not is_open:
        # The empty one: while there is no key, none is needed.
        operation["security"] = [{"key": []}, {"bearer": []}, {}]
    for status, about in _REFUSALS.items():
        missing = (
            (is_open and status not in ("400", "403", "503"))
            or (status in _OF_BODIES and "requestBody" not in operation)
            or (path in _ALWAYS_ANSWERED and status == "503")
            or (status == "404" and not named)
            or (status == "422" and not {"parameters", "requestBody"} & operation.keys())
        )
        if missing:
            responses.pop(status, None)
        else:
            fault = {"application/json": {"schema": {"$ref": "#/components/schemas/Fault"}}}
            responses[status] = {"description": about, "content": fault}
    for end, kinds in _KINDS.items():
        if path.endswith(end):
            text = {"type": "string"}
            content = {kind: {"schema": _BINARY if kind.startswith("image/") else text} for kind in kinds}
            responses["200"] = {"description": responses["200"]["description"], "content": content}
