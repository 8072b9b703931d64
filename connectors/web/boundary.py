"""What surrounds each request: its id, the answer to whatever was raised, its count and its line in the log.

Paths and queries can hold identifiers of people, so metrics and logs name the route's template and nothing else.
"""

import logging
import time
from http import HTTPStatus
from typing import Final

import structlog
from aiohttp import hdrs, web

from connectors.web.access import ANYONE, NOBODY, PRINCIPAL
from connectors.web.operations import Handler
from connectors.web.problems import INTERNAL_ERROR, ProblemError, from_http_exception, problem_response
from connectors.web.requests import REQUEST_ID, REQUEST_ID_HEADER, request_id_of
from streams.logs import logger
from streams.metrics import Metrics

UNMATCHED: Final = "unmatched"
SERVER_NAME: Final = "goldenthread"
#: Headers of every answer, besides its id.
COMMON_HEADERS: Final = ((hdrs.SERVER, SERVER_NAME), ("X-Content-Type-Options", "nosniff"))
SERVICE_NAME: Final = web.AppKey("service_name", str)
METRICS: Final = web.AppKey("metrics", Metrics)
# What a client that went away before its answer is counted as; nothing is sent.
STATUS_CLIENT_GONE: Final = 499
# Asked for every few seconds by machines; their lines would hide the others.
_PROBES: Final = frozenset({"/livez", "/readyz", "/metrics"})
# How things are, not that something is wrong: nobody is known by that name, or several are, or not any more.
_PLAIN_REFUSALS: Final = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.GONE})
_log = logger(__name__)
# Asked before anything is made for a line.
_level_of = logging.getLogger(__name__)


@web.middleware
async def boundary(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Outermost middleware: every request ends as a response, counted and logged once."""
    request_id = request_id_of(request)
    request[REQUEST_ID] = request_id
    started = time.perf_counter()
    status = STATUS_CLIENT_GONE
    with structlog.contextvars.bound_contextvars(request_id=request_id):
        try:
            response = await _answer(request, handler)
            status = response.status
            return response
        except web.HTTPException as redirect:
            status = redirect.status
            raise
        finally:
            _account(request, status, time.perf_counter() - started)


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    request_id = request[REQUEST_ID]
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_response(error, request_id)
    except web.HTTPException as exception:
        if exception.status < 400:
            raise
        return problem_response(from_http_exception(exception), request_id)
    except Exception as error:
        if isinstance(error, ConnectionError) and (request.transport is None or request.transport.is_closing()):
            raise
        _log.exception("request failed", route=route_of(request), error=type(error).__name__)
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun; the connection is closed") from error
        return problem_response(ProblemError(INTERNAL_ERROR, INTERNAL_ERROR.meaning), request_id)


def route_of(request: web.Request) -> str:
    """The template of the route, such as `/v1/customers/{customer}/context`; all unknown paths are one."""
    resource = request.match_info.route.resource
    return UNMATCHED if resource is None else resource.canonical


def _account(request: web.Request, status: int, seconds: float) -> None:
    principal = request.get(PRINCIPAL, NOBODY)
    known = {} if principal in (ANYONE, NOBODY) else {"key_name": principal.name}
    account(
        request.app[METRICS],
        request.app[SERVICE_NAME],
        method=request.method if request.method in hdrs.METH_ALL else "other",
        route=route_of(request),
        status=status,
        seconds=seconds,
        **known,
    )


def account(
    metrics: Metrics,
    service: str,
    *,
    method: str,
    route: str,
    status: int,
    seconds: float,
    is_plain: bool = False,
    **known: str,
) -> None:
    """Count a request and log its line, with what else is known of it.

    What is asked by machines every few seconds, or by anybody a thousand times a second (`is_plain`), has a line at
    DEBUG alone unless the answer is a fault: others would be hidden by it, and the line would cost a fifth of the
    request. Where keys are asked for nothing is plain, so that who asked for what stays in the log.
    """
    metrics.http_seconds.labels(service, method, route, str(status)).observe(seconds)
    # "Not yet" is what a probe is for: a long start would fill the log with it.
    expected = status < 400 or status == HTTPStatus.SERVICE_UNAVAILABLE or (is_plain and status in _PLAIN_REFUSALS)
    if expected and is_plain and not _level_of.isEnabledFor(logging.DEBUG):
        return
    level = _log.debug if expected and (is_plain or route in _PROBES) else _log.info
    level("request", method=method, route=route, status=status, duration_ms=round(seconds * 1000, 1), **known)


async def complete_headers(request: web.Request, response: web.StreamResponse) -> None:
    """Response signal: headers that every answer carries, streamed ones too."""
    response.headers.update(COMMON_HEADERS)
    response.headers.setdefault(REQUEST_ID_HEADER, request.get(REQUEST_ID) or request_id_of(request))
