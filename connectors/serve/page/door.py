"""Who may look: the wrapper around every handler of the page, logging in, and logging out.

Where no key is configured everybody is let in, and the page answers under this machine's own addresses only. Where
keys are, a session opens the page (`sessions`), or a key in the Authorization header, as for every operation; a
session opens nothing but the page.
"""

from typing import Final

from aiohttp import hdrs, web

from connectors.serve.page.browser import HEADERS, read_form, require_own_form, require_own_name
from connectors.serve.page.faults import LOGIN_REFUSED, TOO_MANY_REQUESTS, UNREADABLE_FORM, PageFault
from connectors.serve.page.login import Attempts
from connectors.serve.page.sessions import Sessions
from connectors.serve.page.views import Views, see_other
from connectors.web.access import PRINCIPAL, Access, AccessRefused, Refusal
from connectors.web.boundary import METRICS, SERVICE_NAME
from connectors.web.guard import credential_of
from connectors.web.operations import Handler
from connectors.web.problems import ProblemError
from schemas.credentials import digest_of
from streams.logs import logger

log = logger(__name__)

LOGIN_PATH: Final = "/login"
_HTMX: Final = "HX-Request"
_UNKNOWN_ADDRESS: Final = "unknown"


class Door:
    """Lets requests in to the page's handlers.

    Args:
        access: The keys.
        sessions: Those who logged in.
        attempts: Bounds logging in.
        views: Shows faults.
    """

    def __init__(self, access: Access, sessions: Sessions, attempts: Attempts, views: Views) -> None:
        self._access = access
        self._sessions = sessions
        self._attempts = attempts
        self._views = views

    def inside(self, handler: Handler) -> Handler:
        """The handler for those who were let in; the others are sent to the login form."""

        async def admitted(request: web.Request) -> web.StreamResponse:
            try:
                self._admit(request)
            except AccessRefused as refused:
                if refused.reason is not Refusal.MISSING:
                    # Whoever has no session yet is sent to the form; a key that is no good was tried.
                    self._count(request, refused)
                    log.info("access refused", reason=refused.reason.value, key_name=refused.key_name)
                if refused.reason is Refusal.RATE_LIMITED:
                    raise PageFault(TOO_MANY_REQUESTS, retry_after_s=1) from None
                if _HTMX in request.headers:
                    # A part of a page was asked for; the whole of it has to go.
                    return web.Response(status=401, headers={**HEADERS, "HX-Redirect": LOGIN_PATH})
                return see_other(LOGIN_PATH)
            return await handler(request)

        return self.outside(admitted)

    def outside(self, handler: Handler) -> Handler:
        """The handler for everybody: under a name of ours, and with faults as pages."""

        async def answered(request: web.Request) -> web.StreamResponse:
            try:
                if not self._access.enabled:
                    require_own_name(request)
                return await handler(request)
            except PageFault as fault:
                return self._views.fault(request, fault)
            except ProblemError as problem:
                return self._views.problem(request, problem)

        return answered

    async def login_form(self, request: web.Request) -> web.StreamResponse:
        """`GET /login`."""
        if not self._access.enabled:
            return see_other("/")
        return self._views.page(request, "login.html", fault=None)

    async def login(self, request: web.Request) -> web.StreamResponse:
        """`POST /login`: a good key opens a session; whatever is wrong with another gives one and the same answer."""
        fields = await read_form(request)
        if fields.keys() != {"key"}:
            raise PageFault(UNREADABLE_FORM)
        if not self._access.enabled:
            return see_other("/")
        async with self._attempts.one(request.remote or _UNKNOWN_ADDRESS):
            digest = digest_of(fields["key"].strip())
            try:
                principal = self._access.admit_digest(digest)
            except AccessRefused as refused:
                self._count(request, refused)
                log.info("login refused", reason=refused.reason.value, key_name=refused.key_name)
                return self._views.page(request, "login.html", LOGIN_REFUSED.status, fault=LOGIN_REFUSED)
            log.info("logged in", key_name=principal.name)
            response = see_other("/")
            self._sessions.begin(request, response, digest)
            return response

    async def logout(self, request: web.Request) -> web.StreamResponse:
        """`POST /logout`."""
        require_own_form(request)
        response = see_other(LOGIN_PATH)
        self._sessions.end(request, response)
        return response

    def _admit(self, request: web.Request) -> None:
        credential = credential_of(request) if hdrs.AUTHORIZATION in request.headers else None
        digest = self._sessions.key_digest(request) if credential is None else digest_of(credential)
        request[PRINCIPAL] = self._access.admit_digest(digest)

    @staticmethod
    def _count(request: web.Request, refused: AccessRefused) -> None:
        request.app[METRICS].requests_refused.labels(request.app[SERVICE_NAME], refused.reason.value).inc()
