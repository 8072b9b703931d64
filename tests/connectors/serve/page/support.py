"""The page over a copy made by hand: nothing of it is faked but the lag and the number of dead letters."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any, Final

import msgspec
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer

from connectors.serve.page.activity import Activity
from connectors.serve.page.dead_watch import DeadLetters, DeadWatch
from connectors.serve.page.live import Live, LiveLimits
from connectors.serve.page.operations import PageSources, make_page
from connectors.serve.projection import Projection
from connectors.web.access import Access, AccessKey, Role
from connectors.web.limits import WebLimits
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.credentials import digest_of
from schemas.document import ContextDocument, Trait, encode_document
from schemas.identity_policy import DEFAULT_POLICY, Grade
from schemas.rows import EvidenceRow, encode_row, evidence_key
from schemas.topics import Topic
from streams.freshness import Lag
from streams.metrics import Metrics
from tests.connectors.serve.support import NOW_US, Copy, shown

Client = TestClient[Any, Any]
KEY: Final = "gt_a-key-of-more-than-sixteen-characters"
FORM: Final = {"Sec-Fetch-Site": "same-origin"}


class Stillness:
    """A lag that the test sets."""

    def __init__(self) -> None:
        self.known = True
        self.waiting = False
        self.seconds: float | None = 0.5

    def lag(self) -> Lag:
        """What is known."""
        return Lag(self.seconds)


@dataclass
class Paged:
    """A page under test."""

    copy: Copy
    client: Client
    lag: Stillness
    metrics: Metrics
    access: Access
    live: Live
    reasons: list[str] = field(default_factory=list)
    dead: list[DeadLetters] = field(default_factory=lambda: [DeadLetters(3, 1)])

    async def get(self, path: str, status: int = 200, **arguments: Any) -> str:
        """GET without following; the page's text without its markup, white space folded."""
        answer = await self.client.get(path, allow_redirects=False, **arguments)
        html = await answer.text()
        assert answer.status == status, html
        return text_of(html)

    async def post(self, path: str, fields: dict[str, str], **headers: str) -> ClientResponse:
        """POST a form as the page's own; redirects are not followed."""
        return await self.client.post(path, data=fields, headers=FORM | headers, allow_redirects=False)

    async def search(self, kind: str, value: str, status: int = 303) -> ClientResponse:
        """Search as the form does."""
        answer = await self.post("/search", {"kind": kind, "value": value, "other_kind": "", "namespace": ""})
        assert answer.status == status, await answer.text()
        return answer

    def evidence(self, one: str, other: str, grade: Grade, source: str = "shop", other_kind: str = "cookie") -> None:
        """Say that two fragments were seen together, as identity does: under both."""
        for fragment, neighbour, kind in ((one, other, other_kind), (other, one, "email")):
            key = evidence_key(fragment, neighbour, int(grade), source)
            row = EvidenceRow(NOW_US - 1_000_000, "e-1", 0, kind)
            self.copy.put(self.copy.record(Topic.LINKS, key, encode_row(row)))

    def customer(self, email: str, **traits: Any) -> str:
        """A customer with traits; returns its id."""
        customer = self.copy.home("email", email, Grade.LOGIN)
        document = msgspec.json.decode(
            self.copy.context(customer, shown("email", email, Grade.LOGIN)), type=ContextDocument
        )
        time = "2024-10-04T00:00:00Z"
        document.traits = {
            name: Trait(msgspec.Raw(msgspec.json.encode(value)), time, "crm", "e-1") for name, value in traits.items()
        }
        document.interactions.first = document.interactions.last = time
        self.copy.put(self.copy.record(Topic.CONTEXT, customer.encode(), encode_document(document)))
        return customer


@asynccontextmanager
async def paged(*keys: AccessKey, limits: LiveLimits | None = None) -> AsyncIterator[Paged]:
    """The lookup's page, served."""
    copy, lag, metrics = Copy(), Stillness(), Metrics("lookup", "1")
    activity = Activity(copy.catalogue.channels)
    copy.projection = Projection(copy.catalogue, copy.clock, None, activity.add)
    access = Access(keys, role=Role.LOOKUP, clock=copy.clock)
    reasons: list[str] = []
    dead = [DeadLetters(3, 1)]
    ready = lambda: ReadyReport(tuple(reasons))  # noqa: E731 - it closes over the list.
    page = make_page(
        PageSources(
            rows=copy.rows, finder=copy.finder, answers=copy.answers, timeline=copy.timeline,
            explanations=copy.explanations, keyring=copy.keyring,
            policy=DEFAULT_POLICY, activity=activity, freshness=lag, dead=DeadWatch(lambda: dead[0], 0.0),
            ready=ready, metrics=metrics, access=access, clock=copy.clock,
            limits=limits or LiveLimits(interval_seconds=0.05),
        )
    )  # fmt: skip
    application = make_service(
        "lookup", page.operations, description="", metrics=metrics, version="1", ready=ready,
        limits=WebLimits(body_size_bytes=4096), access=access,
    )  # fmt: skip
    page.live.attach(application)
    server = TestServer(application)
    await server.start_server(access_log=None)
    async with TestClient(server) as client:
        yield Paged(copy, client, lag, metrics, access, page.live, reasons, dead)


def lookup_key(name: str = "desk", key: str = KEY, **more: Any) -> AccessKey:
    """A key that opens the page."""
    return AccessKey(name=name, digest=digest_of(key), **({"roles": frozenset({Role.LOOKUP})} | more))


def text_of(html: str) -> str:
    """What a person reads: no tags, white space folded."""
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", html)).split())
