"""The page's requests to HTML: the overview, the search, a customer, its timeline, live updates, static files.

What people search for comes as a form in the body, so it is in no URL and no log; the answer leads to the customer by
its id. Everything works without JavaScript but the numbers that move.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

import msgspec
from aiohttp import hdrs, web

from connectors.serve.answers import Answers, Found, Moved, Shared, Unusable
from connectors.serve.explaining.explanations import Explanations
from connectors.serve.finding import Published
from connectors.serve.page import customer as customers
from connectors.serve.page.browser import HEADERS, read_form
from connectors.serve.page.dead_watch import DeadLetters
from connectors.serve.page.drawing import draw
from connectors.serve.page.faults import (
    BECAME_SHARED,
    CATCHING_UP,
    NO_SUCH_PAGE,
    NOT_KNOWN,
    SHARED_IDENTIFIER,
    TOO_MANY_CLIENTS,
    UNREADABLE_FORM,
    UNUSABLE,
    PageFault,
)
from connectors.serve.page.hanging import Links
from connectors.serve.page.live import Live, TooManyClients
from connectors.serve.page.newest import NewestEvents
from connectors.serve.page.rendering import IMMUTABLE, Assets
from connectors.serve.page.snapshot import Overview
from connectors.serve.page.views import Views, see_other
from connectors.serve.timeline import CURSOR_LENGTH_MAX, Cursor, Timeline
from connectors.web.standard import READY_RETRY_SECONDS, ReadyReport
from schemas.asked import AskedIdentifier
from streams.metrics import Metrics

#: What the page's look-ups are counted as in `goldenthread_lookups_total`.
ASKED_BY: Final = "page"
OUTCOMES: Final = ("found", "moved", "shared", "unknown", "unusable", "catching_up")
TIMELINE_SIZE: Final = 20
NEWEST_SHOWN: Final = 12
#: A page that is asked for waits so long for the broker to count dead letters.
DEAD_WAIT_SECONDS: Final = 1.0


@dataclass(frozen=True)
class PageParts:
    """What the page reads from, made by the service."""

    answers: Answers
    timeline: Timeline
    explanations: Explanations
    links: Links
    newest: NewestEvents
    overview: Overview
    live: Live
    #: The numbers of dead letters, within a time.
    dead: Callable[[float], Awaitable[DeadLetters | None]]
    ready: Callable[[], ReadyReport]
    metrics: Metrics


class PageHandlers:
    """The handlers behind the door."""

    def __init__(self, parts: PageParts, views: Views, assets: Assets) -> None:
        self._parts = parts
        self._views = views
        self._assets = assets
        self._lookups = parts.metrics.lookups
        for outcome in OUTCOMES:
            self._lookups.labels(ASKED_BY, outcome)

    async def overview(self, request: web.Request) -> web.StreamResponse:
        """`GET /`."""
        await self._parts.dead(DEAD_WAIT_SECONDS)
        overview = self._parts.overview
        return self._views.page(
            request, "overview.html", snapshot=overview.snapshot(), channels=overview.activity.named,
            newest=self._parts.newest.read(NEWEST_SHOWN),
        )  # fmt: skip

    async def live(self, request: web.Request) -> web.StreamResponse:
        """`GET /live`: server-sent events."""
        if request.method == hdrs.METH_HEAD:
            return web.Response(headers=HEADERS, content_type="text/event-stream")
        try:
            return await self._parts.live.stream(request, dict(HEADERS))
        except TooManyClients:
            raise PageFault(TOO_MANY_CLIENTS, retry_after_s=READY_RETRY_SECONDS) from None

    async def search(self, request: web.Request) -> web.StreamResponse:
        """`POST /search`: leads to the customer, or says why nobody is shown."""
        fields = {name: text.strip() for name, text in (await read_form(request)).items() if text.strip()}
        fields["kind"] = fields.pop("other_kind", "") or fields.get("kind", "")
        try:
            asked = msgspec.convert(fields, AskedIdentifier)
        except msgspec.ValidationError:
            raise PageFault(UNREADABLE_FORM) from None
        self._require_ready()
        answer = self._parts.answers.identifier(asked)
        if isinstance(answer, Found) and answer.customer is not None:
            self._count("found")
            identifier = self._parts.answers.finder.identifier(asked)
            found = "" if identifier is None else self._parts.answers.finder.place_of(identifier).fragment
            return see_other(f"/customers/{answer.customer}?found={found}")
        if isinstance(answer, Shared):
            self._count("shared")
            raise PageFault(SHARED_IDENTIFIER, candidates=answer.candidates)
        outcome, fault = ("unusable", UNUSABLE) if isinstance(answer, Unusable) else ("unknown", NOT_KNOWN)
        self._count(outcome)
        raise PageFault(fault)

    async def customer(self, request: web.Request) -> web.StreamResponse:
        """`GET /customers/{customer}`."""
        published = self.published(request, "customers/{customer}")
        if isinstance(published, web.Response):
            return published
        document = customers.read_document(published.encoded)
        cursor = _cursor(request)
        # A customer of many fragments takes some milliseconds, which other requests should not wait for.
        page = await asyncio.to_thread(self._parts.timeline.page, published, TIMELINE_SIZE, cursor)
        now_us = self._parts.overview.now_us()
        hanging = await asyncio.to_thread(self._parts.links.of, document, now_us)
        found = request.query.get("found", "")
        return self._views.page(
            request, "customer.html",
            customer=published.customer, document=document, name=customers.display_name(document),
            traits=customers.trait_lines(document), permissions=customers.permission_lines(document),
            timeline=customers.timeline_page(page), older=cursor is not None,
            hanging=hanging, drawing=draw(hanging), now_us=now_us,
            moved_from=request.query.get("was", "") != "",
            found=next((member for member in hanging.members if member.fragment == found), None),
        )  # fmt: skip

    async def timeline(self, request: web.Request) -> web.StreamResponse:
        """`GET /customers/{customer}/timeline`: the next page of interactions, to be put below those shown."""
        published = self.published(request, "customers/{customer}/timeline")
        if isinstance(published, web.Response):
            return published
        page = await asyncio.to_thread(self._parts.timeline.page, published, TIMELINE_SIZE, _cursor(request))
        html = self._views.templates.render(
            "timeline.html", customer=published.customer, timeline=customers.timeline_page(page),
            now_us=self._parts.overview.now_us(),
        )  # fmt: skip
        return self._views.html(html)

    async def static(self, request: web.Request) -> web.StreamResponse:
        """`GET /static/{version}/{name}`."""
        file = self._assets.files.get(request.match_info["name"])
        if file is None or request.match_info["version"] != self._assets.version:
            raise PageFault(NO_SUCH_PAGE)
        headers = {**HEADERS, hdrs.CACHE_CONTROL: IMMUTABLE, hdrs.CONTENT_TYPE: file.content_type}
        return web.Response(body=file.body, headers=headers)

    def published(self, request: web.Request, path: str) -> Published | web.Response:
        """The customer's context, or the way to its successor."""
        self._require_ready()
        customer = request.match_info["customer"]
        answer = self._parts.answers.customer(customer)
        published = self._parts.answers.finder.context(customer)
        if isinstance(answer, Found) and published is not None:
            self._count("found")
            return published
        if isinstance(answer, Moved):
            self._count("moved")
            return see_other("/" + path.format(customer=answer.customer) + "?was=another")
        if isinstance(answer, Shared):
            self._count("shared")
            raise PageFault(BECAME_SHARED, candidates=answer.candidates)
        self._count("unknown")
        raise PageFault(NOT_KNOWN)

    def _require_ready(self) -> None:
        if not self._parts.ready().ready:
            self._count("catching_up")
            raise PageFault(CATCHING_UP, retry_after_s=READY_RETRY_SECONDS)

    def _count(self, outcome: str) -> None:
        self._lookups.labels(ASKED_BY, outcome).inc()


def newest_renderer(views: Views, newest: NewestEvents) -> Callable[[], str]:
    """Renders the list of the newest events for live updates."""
    return lambda: views.templates.render("newest.html", newest=newest.read(NEWEST_SHOWN))


def _cursor(request: web.Request) -> Cursor | None:
    text = request.query.get("cursor", "")
    if not text:
        return None
    try:
        return Cursor.decoded(text[: CURSOR_LENGTH_MAX + 1])
    except ValueError:
        raise PageFault(NO_SUCH_PAGE) from None
