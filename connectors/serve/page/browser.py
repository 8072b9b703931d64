"""What protects whoever looks at the page in a browser: headers of every answer, and requests that are refused.

Without keys the page is open to whoever reaches the loopback address. A page of the internet can make a browser reach
it under a name of its own (DNS rebinding), so then the Host has to be a loopback one. Forms are
taken from the page itself only, whatever cookies the browser adds.
"""

from collections.abc import Mapping
from typing import Final
from urllib.parse import parse_qsl, urlsplit

from aiohttp import hdrs, web

from connectors.serve.page.faults import FOREIGN_FORM, UNREADABLE_FORM, WRONG_HOST, PageFault
from connectors.web.guard import is_own_name
from connectors.web.requests import read_body, require_media_type

#: Of everything that shows data. Without `same-origin` as referrer policy browsers send forms with `Origin: null`.
HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    hdrs.CACHE_CONTROL: "private, no-store",
}
FORM: Final = "application/x-www-form-urlencoded"
FORM_FIELDS_MAX: Final = 8


def require_own_name(request: web.Request) -> None:
    """Refuse a request that came under a foreign name.

    Raises:
        PageFault: 421, the Host is no loopback address.
    """
    if not is_own_name(request):
        raise PageFault(WRONG_HOST)


def require_own_form(request: web.Request) -> None:
    """Refuse a form that another site sent.

    Browsers say where a form comes from in one header or both; programs in none, and they have no cookies of others.

    Raises:
        PageFault: 403, it is another site's.
    """
    site, origin = request.headers.get("Sec-Fetch-Site"), request.headers.get(hdrs.ORIGIN)
    own_site = site is None or site in ("same-origin", "none")
    # A proxy may have changed the Host; a browser that says `same-origin` has compared before that.
    own_origin = origin is None or site == "same-origin" or _host_of(origin) == request.host.lower()
    if not own_site or not own_origin:
        raise PageFault(FOREIGN_FORM)


def _host_of(origin: str) -> str | None:
    """Host and port of an origin; None where it is none, as only programs send it."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return None


async def read_form(request: web.Request) -> dict[str, str]:
    """The fields of a form.

    Raises:
        PageFault: 403 or 400, it is another site's or can't be read.
        ProblemError: 408, 413 or 415, as of every body.
    """
    require_own_form(request)
    require_media_type(request, (FORM,))
    try:
        text = (await read_body(request)).decode()
        pairs = parse_qsl(
            text, keep_blank_values=True, strict_parsing=True, errors="strict", max_num_fields=FORM_FIELDS_MAX
        )
    except ValueError:
        raise PageFault(UNREADABLE_FORM) from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise PageFault(UNREADABLE_FORM)
    return fields
