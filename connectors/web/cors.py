"""What pages of other origins may do (CORS): browsers ask first, and hand on only what the answer lets them.

Senders show a key, never a cookie, so any origin may be let in, and none ever with credentials of the browser's own:
`Access-Control-Allow-Credentials` is not sent. This keeps nobody out who is no browser: keys do that. Where none is
configured, `guard` takes nothing from pages whose origin is not named, since any page could send in somebody's name.
"""

import re
from collections.abc import Iterable
from typing import Final

from aiohttp import hdrs, web

from connectors.web.access import OPEN
from connectors.web.boundary import route_of
from connectors.web.guard import ADMISSIONS, NAMED_ORIGINS
from connectors.web.operations import Handler, Operation
from schemas.origins import ANY_ORIGIN, NO_ORIGIN

Headers = tuple[tuple[str, str], ...]
#: How long a browser may remember the answer to its first question; Chromium remembers none for longer.
PREFLIGHT_SECONDS: Final = 7200
#: Headers of answers that a page may read, besides the few that all may.
EXPOSED_HEADERS: Final = "Retry-After, X-RateLimit-Reset, X-Request-Id"
#: By path, the headers of an answer to a request that names no origin.
PLAIN_HEADERS: Final[web.AppKey[dict[str, Headers]]] = web.AppKey("plain_headers")
# Headers that requests are taken with where the browser does not say which it means to send.
_USUAL_HEADERS: Final = "Authorization, Content-Encoding, Content-Type, X-Request-Id"
# What comes back is what was sent, so nothing but names gets in.
_HEADER_NAMES: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+(?:[ \t]*,[ \t]*[A-Za-z0-9!#$%&'*+.^_`|~-]+)*", re.ASCII)
_HEADER_NAMES_LENGTH_MAX: Final = 1024


def share_across_origins(application: web.Application, operations: Iterable[Operation], origins: Iterable[str]) -> None:
    """Let pages of these origins use these operations of an application that `make_service` made.

    Adds the answer to the browser's first question (`OPTIONS`, for which no key is needed), and headers to all answers
    of their paths, errors too.

    Args:
        application: Not started yet.
        operations: Some of the application's own.
        origins: Such as `https://shop.example`; `*` is any, `none` or an empty list is none.
    """
    allowed = frozenset(origins) - {NO_ORIGIN}
    if not allowed:
        return
    application[NAMED_ORIGINS] = allowed - {ANY_ORIGIN}
    methods: dict[str, list[str]] = {}
    for operation in operations:
        methods.setdefault(operation.path, []).append(operation.method)
    for path, names in methods.items():
        application.router.add_route(hdrs.METH_OPTIONS, path, _preflight(", ".join(names)))
        application[ADMISSIONS][hdrs.METH_OPTIONS, path] = OPEN
    open_to_all = (
        (hdrs.ACCESS_CONTROL_ALLOW_ORIGIN, ANY_ORIGIN),
        (hdrs.ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED_HEADERS),
    )
    named_only = ((hdrs.VARY, hdrs.ORIGIN),)
    plain: Headers = open_to_all if ANY_ORIGIN in allowed else named_only
    application[PLAIN_HEADERS] = dict.fromkeys(methods, plain)

    async def add_headers(request: web.Request, response: web.StreamResponse) -> None:
        if route_of(request) not in methods:
            return
        origin = request.headers.get(hdrs.ORIGIN)
        if ANY_ORIGIN in allowed:
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = ANY_ORIGIN
        else:
            response.headers.add(hdrs.VARY, hdrs.ORIGIN)
            if origin is None or origin not in allowed:
                return
            response.headers[hdrs.ACCESS_CONTROL_ALLOW_ORIGIN] = origin
        response.headers[hdrs.ACCESS_CONTROL_EXPOSE_HEADERS] = EXPOSED_HEADERS

    application.on_response_prepare.append(add_headers)


def _preflight(methods: str) -> Handler:
    async def answer(request: web.Request) -> web.Response:
        asked = request.headers.get(hdrs.ACCESS_CONTROL_REQUEST_HEADERS, "").strip()
        known = len(asked) <= _HEADER_NAMES_LENGTH_MAX and _HEADER_NAMES.fullmatch(asked)
        headers = {
            hdrs.ACCESS_CONTROL_ALLOW_METHODS: methods,
            hdrs.ACCESS_CONTROL_ALLOW_HEADERS: asked if known else _USUAL_HEADERS,
            hdrs.ACCESS_CONTROL_MAX_AGE: str(PREFLIGHT_SECONDS),
            hdrs.VARY: hdrs.ACCESS_CONTROL_REQUEST_HEADERS,
            hdrs.ALLOW: f"{methods}, {hdrs.METH_OPTIONS}",
        }
        return web.Response(status=204, headers=headers)

    return answer
