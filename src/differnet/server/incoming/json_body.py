"""JSON out of a request's body, read after the key was looked at, and never more of it, or longer, than it takes."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ValidationError
from starlette.requests import ClientDisconnect, Request

from differnet.server.problems import Problem

__all__ = ["json_body", "json_request"]

_MOST_BYTES = 64 << 10
_SECONDS = 10.0

_Body = TypeVar("_Body", bound=BaseModel)


def json_request(kind: type[BaseModel]) -> dict[str, Any]:
    """What the description of a route says of its body, which `json_body` reads."""
    reference = {"$ref": f"#/components/schemas/{kind.__name__}"}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": reference}}}}


def json_body(kind: type[_Body]) -> Callable[[Request], Awaitable[_Body]]:
    """A dependency that reads the body; of a route, dependencies that check keys come before it.

    FastAPI's own way reads bodies of any size, before anything is checked.
    """

    async def read(request: Request) -> _Body:
        try:
            content = await asyncio.wait_for(_content(request), _SECONDS)
        except asyncio.TimeoutError:
            raise Problem(408, f"The body did not arrive within {_SECONDS:g} s; send it at once.") from None
        except ClientDisconnect:
            raise Problem(400, "The body ended early; send it whole.") from None
        if content and request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
            raise Problem(415, "Send JSON, with the header Content-Type: application/json.")
        try:
            fields = json.loads(content) if content else {}
        except (ValueError, RecursionError):
            raise Problem(422, "The body is not valid JSON; correct it.") from None
        try:
            return kind.model_validate(fields)
        except ValidationError as error:
            raise RequestValidationError(
                [{**each, "loc": ("body", *each["loc"])} for each in error.errors(include_context=False)]
            ) from None

    return read


async def _content(request: Request) -> bytes:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _MOST_BYTES:
            raise Problem(413, f"The body has more than the {_MOST_BYTES >> 10} KiB allowed; send less.")
    return bytes(content)
