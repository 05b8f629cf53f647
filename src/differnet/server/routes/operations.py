"""Health, metrics, and who is asking."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from fastapi import APIRouter, Depends
from starlette.responses import Response

from differnet.server.metrics import CONTENT_TYPE_LATEST
from differnet.server.problems import Problem
from differnet.server.station import Station
from differnet.server.storage.keyring import Role
from differnet.server.wire.schemas import Receivers, Session

__all__ = ["build_router"]


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(tags=["operations"])

    @router.get("/healthz")
    async def healthz() -> dict[str, str]:
        """Whether the process answers; it needs no key and no database."""
        return {"status": "ok"}

    @router.get("/readyz")
    def readyz() -> dict[str, str]:
        """Whether images can be inspected now."""
        reason = station.not_ready()
        if reason is not None:
            raise Problem(503, reason, retry_after=2)
        return {"status": "ready"}

    @router.get("/metrics", response_class=Response, dependencies=[Depends(station.access.role("inspect"))])
    def metrics() -> Response:
        """For Prometheus."""
        return Response(station.metrics.render(), media_type=CONTENT_TYPE_LATEST)

    @router.get("/v1/receivers", response_model=Receivers, dependencies=[Depends(station.access.role("inspect"))])
    def receivers() -> dict[str, Any]:
        """Where verdicts are sent on, and how far that is."""
        names = ("name", "model", "receiver", "waiting", "delivered", "refused", "trouble")
        return {"receivers": [{name: getattr(each, name) for name in names} for each in station.couriers]}

    @router.get("/v1/session", response_model=Session)
    async def session(role: Role = Depends(station.access.role("inspect"))) -> dict[str, Any]:  # noqa: B008 - how FastAPI has it
        """What the caller may do."""
        return {"role": role, "key_required": await station.access.key_needed(), "version": version("differnet")}

    return router
