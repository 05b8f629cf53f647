"""``POST /v1/models/{name}/inspect``, and the same of a camera's next frame."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse

from differnet.server.incoming.json_body import json_body, json_request
from differnet.server.inspecting.jobs import Job, Recorded, Upload
from differnet.server.inspecting.recorder import other_images
from differnet.server.problems import Problem
from differnet.server.station import Station
from differnet.server.wire.answers import inspection_json
from differnet.server.wire.collection_schemas import TakeRequest
from differnet.server.wire.schemas import Fault, Inspections

__all__ = ["UPLOAD_BODY", "build_router"]

_BINARY = {"schema": {"type": "string", "format": "binary"}}
_FILES = {"type": "array", "items": {"type": "string", "format": "binary"}}
UPLOAD_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {"schema": {"type": "object", "properties": {"images": _FILES}}},
        "image/png": _BINARY,
        "image/jpeg": _BINARY,
        "application/octet-stream": _BINARY,
    },
}
_FAULTS = {status: {"model": Fault} for status in (504, 507)}


def build_router(station: Station) -> APIRouter:
    """Make the route."""
    router = APIRouter(tags=["inspect"])

    @router.post(
        "/v1/models/{name}/inspect",
        dependencies=[Depends(station.access.role("inspect"))],
        response_model=Inspections,
        responses=_FAULTS,  # type: ignore[arg-type]
        openapi_extra={"requestBody": UPLOAD_BODY},
    )
    async def inspect(
        name: str,
        request: Request,
        filename: str | None = None,
        idempotency_key: Annotated[str | None, Header(min_length=1, max_length=255)] = None,
    ) -> JSONResponse:
        """Inspect one or many images.

        Several as multipart/form-data, all under the name `images`; a single one also as the body itself, with
        `?filename=` if it has a name. Each is answered once it is recorded. With an `Idempotency-Key`, the same request
        sent again is answered with the inspections that it led to before.
        """
        station.shelf.get(name)
        station.batcher.check_room()
        async with station.receiver.receive(request) as files:
            uploads = [file for file in files if isinstance(file, Upload)]
            key = getattr(request.state, "key_id", "")
            results = iter(await _inspected(name, uploads, None if idempotency_key is None else (key, idempotency_key)))
            answers = [next(results) if isinstance(file, Upload) else file for file in files]
        if all(isinstance(answer, Problem) for answer in answers):
            raise _worst([answer for answer in answers if isinstance(answer, Problem)])
        names = [file.filename if isinstance(file, Upload) else None for file in files]
        return JSONResponse({"inspections": [_entry(*pair) for pair in zip(answers, names, strict=True)]})

    @router.post(
        "/v1/models/{name}/inspect-camera",
        dependencies=[Depends(station.access.role("inspect"))],
        response_model=Inspections,
        responses=_FAULTS,  # type: ignore[arg-type]
        openapi_extra=json_request(TakeRequest),
    )
    async def inspect_camera(
        name: str,
        body: TakeRequest = Depends(json_body(TakeRequest)),  # noqa: B008 - how FastAPI has it
    ) -> JSONResponse:
        """Inspect the next frame of one of the service's cameras; answered once it is recorded."""
        station.shelf.get(name)
        station.batcher.check_room()
        with station.workshop.collecting.turn(body.camera):
            upload = await run_in_threadpool(station.workshop.collecting.frame, body.camera)
            [answer] = await _inspected(name, [upload], None)
        if isinstance(answer, Problem):
            raise answer
        return JSONResponse({"inspections": [_entry(answer, upload.filename)]})

    async def _inspected(name: str, uploads: Sequence[Upload], key: tuple[str, str] | None) -> list[Recorded | Problem]:
        if key is None:
            return await _results(station, station.batcher.submit(name, uploads) if uploads else [])
        requests = [_request(*key, name, place) for place in range(len(uploads))]
        known = await run_in_threadpool(_known, uploads, requests)
        new = [place for place, request in enumerate(requests) if request not in known]
        jobs = station.batcher.submit(name, [uploads[i] for i in new], [requests[i] for i in new]) if new else []
        results = iter(await _results(station, jobs))
        return [known[request] if request in known else next(results) for request in requests]

    def _known(uploads: Sequence[Upload], requests: Sequence[str]) -> dict[str, Recorded]:
        known = station.records.of_requests(requests)
        for upload, request in zip(uploads, requests, strict=True):
            if request in known and hashlib.sha256(upload.content).hexdigest() != known[request]["sha256"]:
                raise other_images()
        return known

    async def _results(station: Station, jobs: Sequence[Job]) -> list[Recorded | Problem]:
        waiting = [asyncio.wrap_future(job.future) for job in jobs]
        if waiting:
            _, late = await asyncio.wait(waiting, timeout=station.limits.seconds)
            for future in late:
                future.cancel()
        results = []
        for future in waiting:
            result = _result(future)
            if isinstance(result, Problem):
                station.metrics.unusable.labels(str(result.status)).inc()
            results.append(result)
        return results

    def _result(future: asyncio.Future[Recorded]) -> Recorded | Problem:
        if not future.done() or future.cancelled():
            return Problem(
                504, f"The verdict took more than {station.limits.seconds:g} s, the service is busy; try again."
            )
        error = future.exception()
        if error is None:
            return future.result()
        return error if isinstance(error, Problem) else Problem(500, "The inspection failed; see the service's log.")

    return router


def _request(*parts: object) -> str:
    return hashlib.sha256("\0".join(map(str, parts)).encode("utf-8", "replace")).hexdigest()


def _entry(answer: Recorded | Problem, filename: str | None) -> dict[str, Any]:
    if isinstance(answer, Problem):
        return {"filename": filename, "error": answer.detail}
    return inspection_json(answer)


def _worst(problems: list[Problem]) -> Problem:
    """One answer for a request none of whose images could be used."""
    worst = max(problems, key=lambda problem: problem.status)
    if len(problems) == 1:
        return worst
    return Problem(
        worst.status, f"None of the {len(problems)} images could be used: {worst.detail}", retry_after=worst.retry_after
    )
