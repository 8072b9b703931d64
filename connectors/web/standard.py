"""The operations that every service has: probes, metrics, version, the meaning of problems, the OpenAPI document."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import web

from connectors.web.access import ANY_ROLE, OPEN, Role
from connectors.web.boundary import METRICS, SERVICE_NAME
from connectors.web.operations import Answer, Content, Operation, Parameter
from connectors.web.problems import NO_SUCH_PATH, NOT_READY, ProblemError, ProblemKind, retry_after
from streams.metrics import CONTENT_TYPE

#: How soon a probe or a client may ask again while the service starts.
READY_RETRY_SECONDS: Final = 2
#: Who may read metrics: they tell how much goes on, but of nobody.
METRICS_ROLES: Final = frozenset({Role.METRICS, Role.ADMIN})


@dataclass(frozen=True)
class ReadyReport:
    """Why a service is not ready; no reason: it is. Reasons are for people and hold no personal data."""

    reasons: tuple[str, ...] = ()

    @property
    def ready(self) -> bool:
        """Whether requests can be answered."""
        return not self.reasons


class Health(msgspec.Struct, frozen=True):
    """The answer of a probe that found nothing wrong."""

    status: str


class VersionAnswer(msgspec.Struct, frozen=True):
    """What runs here."""

    service: str
    version: str


class ProblemMeaning(msgspec.Struct, frozen=True):
    """What a kind of problem means."""

    type: str
    code: str
    status: int
    title: str
    meaning: str


READY: Final[web.AppKey[Callable[[], ReadyReport]]] = web.AppKey("ready")
VERSION: Final = web.AppKey("version", str)
KINDS: Final[web.AppKey[dict[str, ProblemKind]]] = web.AppKey("kinds")
OPENAPI: Final = web.AppKey("openapi", bytes)


def json_response(value: object, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """A JSON answer of anything that msgspec encodes."""
    body = msgspec.json.encode(value)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


def require_ready(request: web.Request) -> None:
    """For handlers that can't answer before the service is ready.

    Raises:
        ProblemError: 503 with the reasons and Retry-After.
    """
    report = request.app[READY]()
    if not report.ready:
        raise ProblemError(
            NOT_READY,
            "; ".join(report.reasons),
            headers=retry_after(READY_RETRY_SECONDS),
            members={"reasons": list(report.reasons)},
        )


async def _live(_request: web.Request) -> web.Response:
    return json_response(Health("live"))


async def _ready(request: web.Request) -> web.Response:
    require_ready(request)
    return json_response(Health("ready"))


async def _metrics(request: web.Request) -> web.Response:
    return web.Response(body=request.app[METRICS].exposition(), headers={"Content-Type": CONTENT_TYPE})


async def _version(request: web.Request) -> web.Response:
    return json_response(VersionAnswer(request.app[SERVICE_NAME], request.app[VERSION]))


async def _openapi(request: web.Request) -> web.Response:
    return web.Response(body=request.app[OPENAPI], content_type="application/json")


async def _problem(request: web.Request) -> web.Response:
    kind = request.app[KINDS].get(request.match_info["code"])
    if kind is None:
        raise ProblemError(NO_SUCH_PATH, "This service knows no such problem.")
    return json_response(ProblemMeaning(kind.type_uri, kind.code, kind.status, kind.title, kind.meaning))


STANDARD_OPERATIONS: Final = (
    Operation(
        "GET", "/livez", _live, "live", "Whether the process runs",
        {200: Answer("It does.", (Content(Health),))}, access=OPEN,
    ),
    Operation(
        "GET", "/readyz", _ready, "ready", "Whether requests can be answered",
        {200: Answer("They can.", (Content(Health),))},
        description="While not, the problem's `reasons` list what is waited for.", problems=(NOT_READY,),
        access=OPEN,
    ),
    Operation(
        "GET", "/metrics", _metrics, "metrics", "Metrics of the process",
        {200: Answer("Prometheus text format.", (Content(str, "text/plain"),))}, access=METRICS_ROLES,
    ),
    Operation(
        "GET", "/version", _version, "version", "Service and version",
        {200: Answer("What runs here.", (Content(VersionAnswer),))}, access=ANY_ROLE,
    ),
    Operation(
        "GET", "/problems/{code}", _problem, "problemMeaning", "What a kind of problem means",
        {200: Answer("Its meaning and what to do.", (Content(ProblemMeaning),))},
        parameters=(Parameter("code", "path", "The problem's `code`.", example="not_ready"),),
        problems=(NO_SUCH_PATH,), access=ANY_ROLE,
    ),
    Operation(
        "GET", "/openapi.json", _openapi, "openapi", "This document",
        {200: Answer("OpenAPI 3.1.", (Content({"type": "object"}),))}, access=ANY_ROLE,
    ),
)  # fmt: skip
