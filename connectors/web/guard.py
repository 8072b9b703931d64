"""The middleware behind `boundary`: no handler runs before whoever asks was let in."""

import base64
import binascii
import ipaddress
from functools import lru_cache
from typing import Final
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from connectors.web.access import (
    ANY_ROLE,
    ANYONE,
    IN_HANDLER,
    NOBODY,
    OPEN,
    PRINCIPAL,
    Access,
    AccessRefused,
    Admission,
    Principal,
    Refusal,
    Role,
)
from connectors.web.boundary import METRICS, SERVICE_NAME, route_of
from connectors.web.operations import Handler
from connectors.web.problems import WRONG_HOST, WRONG_ORIGIN
from schemas.credentials import is_sendable
from streams.logs import logger

ACCESS: Final = web.AppKey("access", Access)
#: By method and template of the path; what is not there, such as an unknown path, needs a key of any role.
ADMISSIONS: Final[web.AppKey[dict[tuple[str, str], Admission]]] = web.AppKey("admissions")
#: Origins whose pages may use even an open service.
NAMED_ORIGINS: Final[web.AppKey[frozenset[str]]] = web.AppKey("named_origins")
# Headers of up to the size of a line of HTTP, so some hundred KiB.
_ADDRESSES_REMEMBERED_MAX: Final = 32
_log = logger(__name__)


@web.middleware
async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Sets PRINCIPAL, or refuses; what a handler refuses for the same reasons is counted and logged alike."""
    try:
        _let_in(request)
        return await handler(request)
    except AccessRefused as refused:
        request.app[METRICS].requests_refused.labels(request.app[SERVICE_NAME], refused.reason.value).inc()
        _log.info("access refused", reason=refused.reason.value, key_name=refused.key_name, route=route_of(request))
        raise


def _let_in(request: web.Request) -> None:
    access = request.app[ACCESS]
    method = hdrs.METH_GET if request.method == hdrs.METH_HEAD else request.method
    admission = request.app[ADMISSIONS].get((method, route_of(request)), ANY_ROLE)
    if admission in (OPEN, IN_HANDLER):
        request[PRINCIPAL] = NOBODY if access.enabled else ANYONE
    elif isinstance(admission, frozenset):
        admit(request, credential_of(request), admission)


def admit(request: web.Request, credential: str | None, roles: frozenset[Role] | None = None) -> Principal:
    """Let the bearer of the key in, as PRINCIPAL; for handlers that find keys where only they can look.

    Raises:
        AccessRefused: 401, 403 or 429; to an open service 421 under a foreign name, 403 from a foreign page.
    """
    access = request.app[ACCESS]
    if not access.enabled and not is_own_name(request):
        raise AccessRefused(Refusal.WRONG_HOST, WRONG_HOST, WRONG_HOST.meaning)
    if not access.enabled and not is_own_page(request):
        raise AccessRefused(Refusal.WRONG_ORIGIN, WRONG_ORIGIN, WRONG_ORIGIN.meaning)
    principal = access.admit(credential, roles)
    request[PRINCIPAL] = principal
    return principal


def is_own_name(request: web.Request) -> bool:
    """Whether the request came under a name of this machine, as whoever asks an open service has to mean it.

    A browser on this machine reaches it for any page of the internet whose name is made to lead here (DNS rebinding),
    and the page may read the answer; the Host header has that name then.
    """
    # Without the header aiohttp asks the system for a name, which may wait for a name server.
    return is_loopback_name(request.headers.get(hdrs.HOST))


def is_loopback_name(host: str | None) -> bool:
    """Whether a Host header names this machine for itself."""
    return host is not None and _is_loopback(f"//{host}")


def is_own_page(request: web.Request) -> bool:
    """Whether the request is no browser's, or comes from a page of this machine or of an origin that was named.

    Browsers send forms and plain texts to any address for any page, without asking first.
    """
    origin = request.headers.get(hdrs.ORIGIN)
    return origin is None or origin in request.app.get(NAMED_ORIGINS, ()) or _is_loopback(origin)


# Clients that are let in without a key are few and keep their names; what others make up pushes theirs out at worst.
@lru_cache(maxsize=_ADDRESSES_REMEMBERED_MAX)
def _is_loopback(address: str) -> bool:
    try:
        host = urlsplit(address).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def credential_of(request: web.Request) -> str | None:
    """The key in the Authorization header; None where there is no such header.

    Raises:
        AccessRefused: 401, it is there and holds no key; where no key is configured, nothing is looked at.
    """
    access = request.app[ACCESS]
    if not access.enabled:
        return None
    given = request.headers.getall(hdrs.AUTHORIZATION, [])
    if not given:
        return None
    scheme, _, rest = given[0].strip().partition(" ")
    key: str | None = None
    if len(given) == 1 and scheme.lower() == "bearer":
        key = rest.strip()
    elif len(given) == 1 and scheme.lower() == "basic" and access.takes_basic:
        key = _user_name(rest.strip())
    if key is None or not is_sendable(key):
        raise access.unauthenticated(Refusal.MALFORMED)
    return key


def _user_name(encoded: str) -> str | None:
    try:
        user, colon, _ = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        return None
    return user if colon else None
