"""The web application: routes, errors, the page."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Match, Mount
from starlette.types import Scope

from differnet.server.incoming.middleware import Middleware
from differnet.server.problems import Problem
from differnet.server.routes import (
    collecting,
    events,
    inference,
    inspect,
    inspections,
    jobs,
    models,
    operations,
    pictures,
    products,
    versions,
)
from differnet.server.station import Station
from differnet.server.wire.description import complete

__all__ = ["build_app"]

_log = logging.getLogger(__name__)

_WEB = Path(__file__).parent / "web"
_ABOUT = (
    "Inspects images of parts, records every verdict, and learns from what people say of them. Errors are always "
    '`{"detail": "one sentence"}`. Where keys exist, send one in the header `X-API-Key`; its role is inspect, review '
    "or admin, each of which may do what those before it may."
)


def build_app(station: Station) -> FastAPI:
    """Make the application.

    Args:
        station: Started with the application and stopped with it.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        station.events.bind(asyncio.get_running_loop())
        await run_in_threadpool(station.start)
        yield
        station.events.close()
        await run_in_threadpool(station.stop)

    app = FastAPI(
        title="differnet",
        summary="Inspection station",
        description=_ABOUT,
        version=version("differnet"),
        lifespan=lifespan,
        docs_url=None,  # its scripts come from elsewhere
        redoc_url=None,
    )
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(HTTPException, _on_http)
    app.add_exception_handler(Exception, _on_error)
    every = (
        inspect,
        inference,
        models,
        inspections,
        products,
        pictures,
        collecting,
        versions,
        jobs,
        events,
        operations,
    )
    for routes in every:
        app.include_router(routes.build_router(station))
    if _WEB.is_dir():
        app.router.routes.append(_Page([*app.router.routes], StaticFiles(directory=_WEB, html=True)))
    found = app.openapi
    app.openapi = lambda: app.openapi_schema or complete(found())  # type: ignore[method-assign]
    app.add_middleware(Middleware, metrics=station.metrics, access=station.access, site=station.site)
    return app


class _Page(Mount):
    """The page, at all addresses but those of the API, so that a wrong method there is told as that.

    Args:
        api: The routes of the API.
        files: The page's.
    """

    def __init__(self, api: Sequence[BaseRoute], files: StaticFiles) -> None:
        super().__init__("/", files, name="page")
        self._api = api

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        """Whether an address is one of the page's."""
        of_api = scope["path"].startswith(("/v1/", "/v2/"))
        if of_api or any(route.matches(scope)[0] is not Match.NONE for route in self._api):
            return Match.NONE, {}
        return super().matches(scope)


def _answer(status: int, detail: str, headers: dict[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"detail": detail}, status, headers)


async def _on_problem(_request: Request, problem: Exception) -> JSONResponse:
    if not isinstance(problem, Problem):
        raise problem
    headers = {}
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    if problem.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _answer(problem.status, problem.detail, headers)


async def _on_invalid(_request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, RequestValidationError):
        raise error
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"][1:])
    told = f"'{where}': {first['msg']}" if where else first["msg"]
    return _answer(422, f"The request is not valid, {told}.")


async def _on_http(request: Request, error: Exception) -> JSONResponse:
    if not isinstance(error, HTTPException):
        raise error
    known = {
        404: f"There is nothing to {request.method} at this address; /openapi.json lists what there is.",
        405: "This address does not take that method; /openapi.json lists what there is.",
    }
    headers = dict(error.headers or {})
    if error.status_code == 405:
        headers["Allow"] = ", ".join(_methods(request)) or "GET, HEAD"  # the latter of the page
    return _answer(error.status_code, known.get(error.status_code, str(error.detail)), headers)


def _methods(request: Request) -> list[str]:
    """What an address of the API takes: a route of it knows only its own method."""
    routes = [route for route in request.app.router.routes if not isinstance(route, _Page)]

    def takes(method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in routes)

    return [method for method in ("GET", "POST", "DELETE") if takes(method)]


async def _on_error(_request: Request, error: Exception) -> JSONResponse:
    _log.error("request failed", exc_info=error)
    return _answer(500, "The service failed at this request; see its log.")
