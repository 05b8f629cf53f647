"""``/v2``: the open inference protocol, version 2, which clients of KServe and Triton speak."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool

from differnet.server.inspecting.jobs import Upload
from differnet.server.problems import Problem
from differnet.server.station import Station
from differnet.server.wire.answers import inspection_json
from differnet.server.wire.schemas import Fault
from differnet.server.wire.tensors import MODEL_INPUTS, MODEL_OUTPUTS, REQUEST_BODY, answer, images_of

__all__ = ["build_router"]


def build_router(station: Station) -> APIRouter:
    """Make the routes."""
    router = APIRouter(prefix="/v2", tags=["inference protocol"])
    may_inspect = [Depends(station.access.role("inspect"))]

    @router.get("")
    def server() -> dict[str, Any]:
        """What serves."""
        return {"name": "differnet", "version": version("differnet"), "extensions": ["binary_tensor_data"]}

    @router.get("/health/live")
    def live() -> dict[str, bool]:
        """Whether the process answers."""
        return {"live": True}

    @router.get("/health/ready")
    def ready() -> dict[str, bool]:
        """Whether images can be inspected now."""
        reason = station.not_ready()
        if reason is not None:
            raise Problem(503, reason, retry_after=2)
        return {"ready": True}

    @router.get("/models/{name}", dependencies=may_inspect)
    def model(name: str) -> dict[str, Any]:
        """What a model takes and gives."""
        served = station.shelf.get(name)
        about = {"name": name, "versions": [served.model_id], "platform": "differnet"}
        return {**about, "inputs": MODEL_INPUTS, "outputs": MODEL_OUTPUTS}

    @router.get("/models/{name}/ready", dependencies=may_inspect)
    def model_ready(name: str) -> dict[str, Any]:
        """Whether a model can inspect now."""
        return {"name": station.shelf.get(name).name, "ready": True}

    @router.post(
        "/models/{name}/infer",
        dependencies=may_inspect,
        responses={status: {"model": Fault} for status in (504, 507)},
        openapi_extra={"requestBody": REQUEST_BODY},
    )
    async def infer(
        name: str, request: Request, inference_header_content_length: Annotated[str | None, Header()] = None
    ) -> dict[str, Any]:
        """Inspect images: one input, UINT8 (images, height, width, 3) or BYTES (image files). They are recorded."""
        station.shelf.get(name)
        station.batcher.check_room()
        async with station.receiver.receive(request, json=True) as files:
            (body,) = files
            if isinstance(body, Problem):
                raise body
            asked, contents = await run_in_threadpool(
                images_of, body.content, inference_header_content_length, station.limits.images
            )
            jobs = station.batcher.submit(name, [Upload(content, None) for content in contents]) if contents else []
            waiting = [asyncio.wrap_future(job.future) for job in jobs]
            late = (await asyncio.wait(waiting, timeout=station.limits.seconds))[1] if waiting else set()
            for future in late:
                future.cancel()
            if late:
                raise Problem(504, "The service is too busy to answer in time; try again.", retry_after=2)
            rows = []
            for future in waiting:
                result = future.result()
                if isinstance(result, Problem):
                    raise result
                rows.append(inspection_json(result))
        return answer(asked, name, rows)

    return router
