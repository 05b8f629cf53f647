"""``/v1/events``: what happens, as it happens."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import StreamingResponse

from differnet.server.station import Station

__all__ = ["build_router"]


def build_router(station: Station) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["events"])

    @router.get("/v1/events", response_class=StreamingResponse, dependencies=[Depends(station.access.role("inspect"))])
    async def events(request: Request) -> StreamingResponse:
        """Server-sent events: `inspection` and `review` with the inspection, `models`, `job`, as one changes.

        The stream ends when the key is revoked.
        """
        stream = station.events.stream(lambda: station.access.still_valid(request, "inspect"))
        # Proxies such as nginx would keep events back until there are many.
        return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})

    return router
