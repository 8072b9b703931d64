"""A small service on a free port, with a handler for each way in which a request can end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any

import aiohttp
import msgspec
import pytest
import structlog
from aiohttp import web

from connectors.web import boundary
from connectors.web.limits import WebLimits
from connectors.web.operations import Answer, Content, Operation, Parameter
from connectors.web.problems import INVALID_PARAMETER, FieldProblem, ProblemError, ProblemKind
from connectors.web.requests import read_body, require_media_type
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport, json_response, require_ready
from streams.metrics import Metrics

TEAPOT = ProblemKind("short_and_stout", 418, "Teapot", "Tip it over.")


class Echo(msgspec.Struct):
    """How many bytes came."""

    size_bytes: int


async def _echo(request: web.Request) -> web.Response:
    require_media_type(request, ("application/json",))
    return json_response(Echo(len(await read_body(request))))


async def _thing(request: web.Request) -> web.Response:
    require_ready(request)
    if request.match_info["name"] == "teapot":
        raise ProblemError(
            TEAPOT,
            "It is one.",
            errors=[FieldProblem("/handle", "too hot", "hot")],
            headers={"X-Spout": "left"},
            members={"colour": "brown"},
        )
    if request.match_info["name"] == "moved":
        raise web.HTTPPermanentRedirect("/v1/things/new")
    if request.match_info["name"] == "forbidden":
        raise web.HTTPForbidden
    return json_response({"name": request.match_info["name"]})


async def _fail(_request: web.Request) -> web.Response:
    raise RuntimeError("the password is swordfish")


async def _fail_midway(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    await response.write(b"half")
    raise RuntimeError("swordfish")


OPERATIONS = (
    Operation(
        "POST", "/v1/echo", _echo, "echo", "Count bytes", {200: Answer("The count.", (Content(Echo),))},
        bodies=(Content({"type": "object"}),),
    ),
    Operation(
        "GET", "/v1/things/{name}", _thing, "thing", "One thing",
        {200: Answer("The thing.", (Content(dict[str, str]),), {"ETag": "Its version."}), 308: Answer("It moved.")},
        parameters=(
            Parameter("name", "path", "Which."),
            Parameter("limit", "query", "How many.", schema=int, example=5),
        ),
        problems=(TEAPOT, INVALID_PARAMETER),
    ),
    Operation("GET", "/v1/fail", _fail, "fail", "Fails", {200: Answer("Never.")}),
    Operation("GET", "/v1/fail-midway", _fail_midway, "failMidway", "Fails later", {200: Answer("Half.")}),
)  # fmt: skip


@dataclass
class Service:
    """The running service and a client for it."""

    client: aiohttp.ClientSession
    host: str
    port: int
    metrics: Metrics
    application: web.Application
    #: What the service says when asked whether it is ready; tests replace it.
    reasons: list[str]

    async def raw(self, request: bytes) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of what comes back for bytes that no client would send; reads to the end."""
        reader, writer = await asyncio.open_connection(self.host, self.port)
        try:
            writer.write(request)
            await writer.drain()
            answer = await asyncio.wait_for(reader.read(), 10)
        finally:
            writer.close()
        head, _, body = answer.partition(b"\r\n\r\n")
        lines = head.decode().split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines[1:])
        return int(lines[0].split()[1]) if lines[0] else 0, headers, body

    def count(self, method: str, route: str, status: int) -> float | None:
        """How many requests were counted under the labels."""
        labels = {"service": "sample", "method": method, "route": route, "status": str(status)}
        return self.metrics.registry.get_sample_value("goldenthread_http_request_duration_seconds_count", labels)


def application_of(operations: tuple[Operation, ...], **limits: float) -> web.Application:
    """A service with the limits given."""
    return make_service(
        "sample",
        operations,
        description="A sample.",
        metrics=Metrics("sample", "1"),
        version="1",
        ready=ReadyReport,
        limits=WebLimits(**limits),  # type: ignore[arg-type]  # ints and floats by name.
    )


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Awaitable[Service]]]:
    """Starts a service with the limits given; it stops after the test."""
    async with AsyncExitStack() as stack:

        async def run(**limits: float) -> Service:
            metrics = Metrics("sample", "1.2.3")
            reasons: list[str] = []
            application = make_service(
                "sample",
                OPERATIONS,
                description="A sample.",
                metrics=metrics,
                version="1.2.3",
                ready=lambda: ReadyReport(tuple(reasons)),
                limits=WebLimits(**limits),  # type: ignore[arg-type]  # ints and floats by name.
            )
            host, port = await stack.enter_async_context(listening(application, "127.0.0.1", 0))
            session = await stack.enter_async_context(aiohttp.ClientSession(f"http://{host}:{port}"))
            return Service(session, host, port, metrics, application, reasons)

        yield run


@pytest.fixture
def lines(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What is logged about requests, whatever other tests configured."""
    capture = structlog.testing.LogCapture()
    recorder = structlog.wrap_logger(None, processors=[structlog.contextvars.merge_contextvars, capture])
    monkeypatch.setattr(boundary, "_log", recorder)
    return capture.entries
