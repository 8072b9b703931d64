"""Requests to answers over HTTP. Every answer says how fresh it is, refusals too.

The lag is asked for before anything is read from the copy: a 0 then holds for what is read after it.
"""

import asyncio
import hashlib
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, Generic, Protocol, TypeVar

import msgspec
from aiohttp import hdrs, web

from connectors.serve.answers import Answer, Answers, Conflict, Found, Match, Moved, Shared, Unknown, Unusable
from connectors.serve.problems import (
    BECAME_SHARED,
    CATCHING_UP,
    IDENTIFIER_SHARED,
    NOT_KNOWN,
    UNUSABLE_IDENTIFIER,
)
from connectors.serve.questions import (
    IdentifierQuestion,
    PageQuestion,
    asked_in_path,
    read_question,
)
from connectors.serve.timeline import Timeline
from connectors.web.problems import FieldProblem, ProblemError, retry_after
from connectors.web.questions import NoQuestion, read_query
from connectors.web.requests import read_body, require_media_type
from connectors.web.standard import READY_RETRY_SECONDS, ReadyReport
from schemas.identity_policy import Grade
from streams.freshness import Lag
from streams.metrics import Metrics

LAG_HEADER: Final = "Goldenthread-Lag-Seconds"
MATCH_HEADER: Final = "Goldenthread-Match"
CACHE_CONTROL: Final = "private, no-store"
CONFIRM_TIMEOUT_SECONDS: Final = 0.25
_JSON: Final = "application/json"
_ETAG_LENGTH_BYTES: Final = 16
_PREFIX: Final = "/v1/"
_LAG: Final = web.RequestKey("lag", Lag)
#: By what is asked, and what comes of it: the labels of `goldenthread_lookups_total`.
ASKED_BY: Final = ("id", "identifier", "lookup", "interactions", "explain")
OUTCOMES: Final = ("found", "moved", "shared", "unknown", "unusable", "catching_up")


class LagSource(Protocol):
    """What knows the lag; `streams.freshness.Freshness` is it."""

    @property
    def waiting(self) -> bool:
        """Whether something waited a moment ago, or that can't be told."""

    def lag(self) -> Lag:
        """What is known now; never 0."""

    def next_pass(self) -> "Future[Lag]":
        """What a look that begins now finds."""


Document = TypeVar("Document")


class LookupAnswer(msgspec.Struct, Generic[Document], frozen=True, omit_defaults=True):
    """The body of an answer to `POST /v1/lookup`."""

    match: Match
    #: The context document.
    context: Document
    #: Identifiers of the question that lead elsewhere.
    conflicts: tuple[Conflict, ...]
    #: Pointers to identifiers of the question that nothing is ever known by; absent without any.
    unusable: tuple[str, ...] = ()


class Handlers:
    """The operations of the lookup.

    Args:
        answers: Reads contexts.
        timeline: Reads interactions.
        freshness: Knows the lag.
        ready: Whether the copy has been complete once.
        metrics: Where look-ups are counted.
        confirm_timeout_s: How long a request waits to see that nothing waits; without that it says the age of what it
            knows instead of 0.
    """

    def __init__(
        self,
        answers: Answers,
        timeline: Timeline,
        *,
        freshness: LagSource,
        ready: Callable[[], ReadyReport],
        metrics: Metrics,
        confirm_timeout_s: float = CONFIRM_TIMEOUT_SECONDS,
    ) -> None:
        self.answers = answers
        self._timeline = timeline
        self._freshness = freshness
        self._ready = ready
        self._lookups = metrics.lookups
        self._confirm_timeout_s = confirm_timeout_s
        for by in ASKED_BY:
            for outcome in OUTCOMES:
                self._lookups.labels(by, outcome)

    async def customer_context(self, request: web.Request) -> web.Response:
        """`GET /v1/customers/{customer}/context`."""
        read_query(request, NoQuestion)
        await self.begin(request, "id")
        answer = self.answers.customer(request.match_info["customer"])
        if isinstance(answer, Found):
            self.count("id", "found")
            return document_response(request, answer.encoded)
        return self.elsewhere(answer, request, "id", "context")

    async def identifier_context(self, request: web.Request) -> web.Response:
        """`GET /v1/identifiers/{kind}/{value}/context`."""
        query = read_query(request, IdentifierQuestion)
        asked = asked_in_path(request, query)
        await self.begin(request, "identifier")
        answer = self.answers.identifier(asked, Grade.of(query.min_grade))
        found, match = self._found(answer, "identifier")
        return document_response(request, found.encoded, {MATCH_HEADER: match_header(match)})

    async def lookup(self, request: web.Request) -> web.Response:
        """`POST /v1/lookup`."""
        require_media_type(request, (_JSON,))
        read_query(request, NoQuestion)
        identifiers, min_grade = read_question(await read_body(request))
        await self.begin(request, "lookup")
        found, match = self._found(self.answers.lookup(identifiers, min_grade), "lookup")
        body = msgspec.json.encode(LookupAnswer(match, msgspec.Raw(found.encoded), found.conflicts, found.unusable))
        headers = {MATCH_HEADER: match_header(match), hdrs.ETAG: etag_of(body)}
        return web.Response(body=body, content_type=_JSON, headers=headers)

    async def interactions(self, request: web.Request) -> web.Response:
        """`GET /v1/customers/{customer}/interactions`."""
        query = read_query(request, PageQuestion)
        cursor = query.decoded_cursor()
        await self.begin(request, "interactions")
        customer = request.match_info["customer"]
        answer = self.answers.customer(customer)
        published = self.answers.finder.context(customer)
        if isinstance(answer, Found) and published is not None:
            self.count("interactions", "found")
            # A customer of many fragments takes some milliseconds, which other requests should not wait for.
            page = await asyncio.to_thread(self._timeline.page, published, query.limit, cursor)
            return document_response(request, msgspec.json.encode(page))
        return self.elsewhere(answer, request, "interactions", "interactions")

    async def complete_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        """Response signal: nothing here may be cached by others, and every answer says how fresh it is."""
        if request.path.startswith(_PREFIX):
            response.headers[hdrs.CACHE_CONTROL] = CACHE_CONTROL
            lag = request.get(_LAG) or self._freshness.lag()
            if lag.seconds is not None:
                response.headers[LAG_HEADER] = str(lag)

    async def begin(self, request: web.Request, by: str) -> None:
        """Refuse before the first catch-up, and ask for the lag before anything is read."""
        report = self._ready()
        if not report.ready:
            self.count(by, "catching_up")
            raise ProblemError(
                CATCHING_UP,
                "; ".join(report.reasons),
                headers=retry_after(READY_RETRY_SECONDS),
                members={"reasons": list(report.reasons)},
            )
        request[_LAG] = await self._lag()

    async def _lag(self) -> Lag:
        if self._freshness.waiting:
            return self._freshness.lag()
        try:
            # The pass is everybody's: giving up on it must not cancel it.
            answer = asyncio.shield(asyncio.wrap_future(self._freshness.next_pass()))
            return await asyncio.wait_for(answer, self._confirm_timeout_s)
        except TimeoutError:
            return self._freshness.lag()

    def _found(self, answer: Answer, by: str) -> tuple[Found, Match]:
        if isinstance(answer, Found) and answer.match is not None:
            self.count(by, "found")
            return answer, answer.match
        if isinstance(answer, Shared):
            self.count(by, "shared")
            raise ProblemError(
                IDENTIFIER_SHARED, IDENTIFIER_SHARED.meaning, members={"candidates": list(answer.candidates)}
            )
        if isinstance(answer, Unusable):
            self.count(by, "unusable")
            fault = UNUSABLE_IDENTIFIER
            # One in a path has no pointer.
            pointers = answer.pointers if by == "lookup" else ()
            raise ProblemError(
                fault, fault.meaning, errors=[FieldProblem(pointer, fault.title, fault.code) for pointer in pointers]
            )
        raise self.unknown(by)

    def elsewhere(
        self, answer: Found | Moved | Shared | Unknown, request: web.Request, by: str, leaf: str
    ) -> web.Response:
        """The way to the successor of a customer that is not there any more; or 410, or 404."""
        if isinstance(answer, Moved):
            self.count(by, "moved")
            query = request.rel_url.raw_query_string
            location = f"/v1/customers/{answer.customer}/{leaf}" + (f"?{query}" if query else "")
            return web.Response(status=308, headers={hdrs.LOCATION: location})
        if isinstance(answer, Shared):
            self.count(by, "shared")
            raise ProblemError(BECAME_SHARED, BECAME_SHARED.meaning, members={"candidates": list(answer.candidates)})
        raise self.unknown(by)

    def unknown(self, by: str) -> ProblemError:
        """404."""
        self.count(by, "unknown")
        return ProblemError(NOT_KNOWN, NOT_KNOWN.meaning)

    def count(self, by: str, outcome: str) -> None:
        """Count what came of a question."""
        self._lookups.labels(by, outcome).inc()


def match_header(match: Match) -> str:
    """How sure it is that an identifier is the customer's."""
    return f"{match.kind}; {match.grade}; {match.level}"


def etag_of(body: bytes, header: str = "") -> str:
    """The ETag of a body, and of a header that belongs to it."""
    return f'"{hashlib.sha256(header.encode() + body).hexdigest()[: 2 * _ETAG_LENGTH_BYTES]}"'


def document_response(request: web.Request, body: bytes, headers: dict[str, str] | None = None) -> web.Response:
    """The body, or 304 where the client has it; a change of the match alone is a change, too."""
    headers = headers or {}
    etag = etag_of(body, headers.get(MATCH_HEADER, ""))
    headers = {**headers, hdrs.ETAG: etag}
    known = request.if_none_match or ()
    if any(entry.value in ("*", etag.strip('"')) for entry in known):
        return web.Response(status=304, headers=headers)
    return web.Response(body=body, content_type=_JSON, headers=headers)
