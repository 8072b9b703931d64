"""Templates to answers: what every page has in common, and how faults are shown."""

from typing import Any, Final

from aiohttp import hdrs, web

from connectors.serve.page.browser import HEADERS
from connectors.serve.page.faults import Fault, PageFault
from connectors.serve.page.rendering import Templates
from connectors.web.access import ANYONE, NOBODY, PRINCIPAL
from connectors.web.problems import ProblemError
from schemas.identity_policy import Policy, Strength

_HTML: Final = "text/html"


class Views:
    """Renders pages.

    Args:
        templates: Where they come from.
        policy: Names the kinds that a search may be by.
    """

    def __init__(self, templates: Templates, policy: Policy) -> None:
        self.templates = templates
        self._kinds = tuple(
            kind.name
            for kind in policy.kinds
            if kind.enabled and not kind.hidden and not kind.group and kind.strength is not Strength.NONE
        )

    def page(self, request: web.Request, template: str, status: int = 200, **values: Any) -> web.Response:
        """A whole page."""
        principal = request.get(PRINCIPAL, NOBODY)
        signed_in = principal.name if principal not in (ANYONE, NOBODY) else ""
        html = self.templates.render(template, kinds=self._kinds, signed_in=signed_in, **values)
        return self.html(html, status)

    @staticmethod
    def html(text: str, status: int = 200) -> web.Response:
        """HTML that is there already."""
        return web.Response(text=text, status=status, content_type=_HTML, headers=HEADERS)

    def fault(self, request: web.Request, error: PageFault) -> web.Response:
        """The page that says what went wrong, and what to do."""
        response = self.page(
            request, "fault.html", error.fault.status, fault=error.fault, candidates=error.candidates,
            may_search=error.fault.status not in (401, 421, 429),
        )  # fmt: skip
        if error.retry_after_s is not None:
            response.headers[hdrs.RETRY_AFTER] = str(error.retry_after_s)
        return response

    def problem(self, request: web.Request, error: ProblemError) -> web.Response:
        """The page for what is wrong with any request: its body, its size, its time."""
        fault = Fault(error.status, error.kind.title, error.detail, "Go back and try again.")
        response = self.fault(request, PageFault(fault))
        response.headers.update(error.headers)
        return response


def see_other(path: str) -> web.Response:
    """Go there by GET."""
    return web.Response(status=303, headers={**HEADERS, hdrs.LOCATION: path})
