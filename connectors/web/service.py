"""A table of operations becomes an application: with probes, metrics, problems, request ids and its own description."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from http import HTTPStatus

import msgspec
from aiohttp import web

from connectors.web.access import Access, Admission, Refusal, Role
from connectors.web.boundary import METRICS, SERVICE_NAME, boundary, complete_headers
from connectors.web.guard import ACCESS, ADMISSIONS, guard
from connectors.web.limits import WebLimits
from connectors.web.openapi import openapi_document
from connectors.web.operations import Operation
from connectors.web.problems import COMMON_KINDS
from connectors.web.requests import BODIES, LIMITS, BodiesUnderWay
from connectors.web.standard import KINDS, OPENAPI, READY, STANDARD_OPERATIONS, VERSION, ReadyReport
from streams.metrics import Metrics


def make_service(
    name: str,
    operations: Sequence[Operation],
    *,
    description: str,
    metrics: Metrics,
    version: str,
    ready: Callable[[], ReadyReport],
    limits: WebLimits | None = None,
    access: Access | None = None,
) -> web.Application:
    """The application of a service.

    Services put what their handlers need under `web.AppKey`s of their own, and what starts and stops with them into
    `cleanup_ctx`. `connectors.web.server.serve` runs it.

    Args:
        name: The service's name in metrics and documents, such as `collect`.
        operations: What it answers, besides the standard operations.
        description: A sentence for the OpenAPI document.
        metrics: Where requests are counted.
        version: The program's version.
        ready: Asked at each probe; has to be quick and must not block.
        limits: Bounds of bodies and connections.
        access: Who may call it; open to everybody where nothing is given.
    """
    limits = limits or WebLimits()
    access = access or Access(role=Role.LOOKUP)
    table = (*operations, *STANDARD_OPERATIONS)
    application = web.Application(middlewares=[boundary, guard], client_max_size=limits.body_size_bytes)
    application[SERVICE_NAME] = name
    application[METRICS] = metrics
    application[VERSION] = version
    application[READY] = ready
    application[LIMITS] = limits
    application[BODIES] = BodiesUnderWay(limits.bodies_size_bytes)
    application[ACCESS] = access
    admissions: dict[tuple[str, str], Admission] = {
        (operation.method, operation.path): _admission(operation, access.role) for operation in table
    }
    application[ADMISSIONS] = admissions
    metrics.ready.set_function(lambda: float(ready().ready))
    metrics.expect_routes(
        name, ((operation.method, operation.path, _expected(operation)) for operation in table if operation.documented)
    )
    for reason in Refusal:
        metrics.requests_refused.labels(name, reason.value)
    kinds = (*COMMON_KINDS, *(kind for operation in operations for kind in operation.problems))
    application[KINDS] = {kind.code: kind for kind in kinds}
    documented = [operation for operation in table if operation.documented]
    application[OPENAPI] = msgspec.json.encode(
        openapi_document(f"Goldenthread {name}", version, description, documented, access), order="deterministic"
    )
    for operation in table:
        if operation.method == "GET":
            application.router.add_get(operation.path, operation.handler, allow_head=True)
        else:
            application.router.add_route(operation.method, operation.path, operation.handler)
    application.on_response_prepare.append(complete_headers)
    application.cleanup_ctx.append(_watching_keys)
    return application


async def _watching_keys(application: web.Application) -> AsyncIterator[None]:
    watching = asyncio.create_task(application[ACCESS].watch())
    yield
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


def _admission(operation: Operation, role: Role) -> Admission:
    return frozenset({role}) if operation.access is None else operation.access


def _expected(operation: Operation) -> tuple[int, ...]:
    """The statuses of an operation whose counts start at 0: its answers, and the one that ought never to come."""
    return (*operation.answers, HTTPStatus.INTERNAL_SERVER_ERROR)
