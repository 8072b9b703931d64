"""The short way of the lookup: the same answers to the byte as by the general way, and nothing but what it knows."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.serve.explaining.handlers import ExplainHandlers
from connectors.serve.handlers import Handlers
from connectors.serve.operations import DESCRIPTION, operations
from connectors.serve.short_answers import ShortAnswers
from connectors.web.access import Access, AccessKey, Role
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.short_way import SHORT_FIND, Reply
from connectors.web.standard import ReadyReport
from schemas.credentials import digest_of
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED, SHARED
from streams.metrics import Metrics
from tests.connectors.serve.support import Copy, shown
from tests.connectors.serve.test_http import Clockwork

_KEY = "k" * 40
# Of an answer, what differs from one to the next.
_OWN = re.compile(rb'Date: [^\r]*|X-Request-Id: [^\r]*|"request_id":"[^"]*"')
# As long as an id of the service: it is in the body of a problem.
_GENERAL = "X-Request-Id: " + 32 * "a"


@dataclass
class Served:
    """A lookup under test, over a connection of bytes."""

    copy: Copy
    freshness: Clockwork
    metrics: Metrics
    address: tuple[str, int]
    reasons: list[str] = field(default_factory=list)
    #: What the short way was asked, and whether it had an answer.
    went: list[tuple[str, bool]] = field(default_factory=list)

    async def ask(self, path: str, *headers: str, method: str = "GET", host: str = "") -> bytes:
        """The bytes of the answer to one request on a connection of its own."""
        return (await self.ask_all([self.request(path, *headers, method=method, host=host)]))[0]

    def request(self, path: str, *headers: str, method: str = "GET", host: str = "") -> bytes:
        """A request."""
        lines = (f"{method} {path} HTTP/1.1", f"Host: {host or self.address[0]}", *headers, "", "")
        return "\r\n".join(lines).encode()

    async def ask_all(self, requests: list[bytes]) -> list[bytes]:
        """The answers to requests that are sent at once on one connection."""
        reader, writer = await asyncio.open_connection(*self.address)
        writer.write(b"".join(requests))
        answers = []
        for request in requests:
            head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
            length = re.search(rb"Content-Length: (\d+)", head)
            has_body = length is not None and not request.startswith(b"HEAD")
            answers.append(head + (await reader.readexactly(int(length[1])) if length and has_body else b""))
        writer.close()
        await writer.wait_closed()
        return answers

    async def both(self, path: str) -> tuple[bytes, bytes]:
        """The answers by both ways, without what is an answer's own; an id of the client's takes the general one."""
        short, general = await self.ask(path), await self.ask(path, _GENERAL)
        return _OWN.sub(b"", short), _OWN.sub(b"", general)


@pytest.fixture(params=[False])
async def served(request: pytest.FixtureRequest) -> AsyncIterator[Served]:
    copy, freshness, metrics = Copy(), Clockwork(), Metrics("lookup", "1")
    freshness.waiting = True
    reasons: list[str] = []
    went: list[tuple[str, bool]] = []
    ready = lambda: ReadyReport(tuple(reasons))  # noqa: E731 - it closes over the list.
    handlers = Handlers(copy.answers, copy.timeline, freshness=freshness, ready=ready, metrics=metrics)
    keys = [AccessKey(name="desk", roles=frozenset({Role.LOOKUP}), digest=digest_of(_KEY))] if request.param else []
    application = make_service(
        "lookup",
        operations(handlers, ExplainHandlers(copy.explanations, copy.finder, handlers)),
        description=DESCRIPTION,
        metrics=metrics,
        version="1",
        ready=ready,
        access=Access(keys, role=Role.LOOKUP),
    )
    application.on_response_prepare.append(handlers.complete_headers)
    short = ShortAnswers(copy.answers, freshness=freshness, ready=ready, metrics=metrics)

    def find(path: str) -> tuple[str, Reply] | None:
        reply = short.find(path)
        went.append((path, reply is not None))
        return reply

    application[SHORT_FIND] = find
    async with listening(application, "127.0.0.1", 0) as address:
        yield Served(copy, freshness, metrics, address, reasons, went)


async def test_what_is_found_is_answered_the_short_way_to_the_byte(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com", Grade.LOGIN)
    served.copy.context(customer, shown("email", "ann@example.com", Grade.LOGIN))
    served.copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    for path in (
        f"/v1/customers/{customer}/context",
        "/v1/identifiers/email/Ann%40Example.com/context",
        "/v1/identifiers/email/ann@example.com/context",
        "/v1/identifiers/cookie/c-1/context",
    ):
        short, general = await served.both(path)
        assert short.startswith(b"HTTP/1.1 200 OK\r\n")
        assert short == general
    assert [answered for _, answered in served.went] == [True] * 4


async def test_what_is_not_there_or_has_moved_is_told_the_short_way_too(served: Served) -> None:
    old, new = served.copy.home("cookie", "c-1"), served.copy.home("email", "ann@example.com")
    served.copy.link("cookie", "c-1", new, ATTACHED)
    for path, status in (
        (f"/v1/customers/{old}/context", b"308"),
        (f"/v1/customers/{'0' * 32}/context", b"404"),
        ("/v1/identifiers/email/nobody@example.com/context", b"404"),
    ):
        short, general = await served.both(path)
        assert short.split()[1] == status
        assert short == general
    assert [answered for _, answered in served.went] == [True] * 3


async def test_what_is_shared_or_unusable_goes_the_general_way(served: Served) -> None:
    served.copy.home("email", "ann@example.com")
    served.copy.link("cookie", "kiosk", served.copy.fragment("cookie", "kiosk"), SHARED)
    for path, status in (
        ("/v1/identifiers/cookie/kiosk/context", b"409"),
        ("/v1/identifiers/session/s-1/context", b"400"),
    ):
        short, general = await served.both(path)
        assert short.split()[1] == status
        assert short == general
    assert not any(answered for _, answered in served.went)


async def test_what_asks_for_more_than_the_path_is_not_even_looked_at(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    path = f"/v1/customers/{customer}/context"
    tag = re.search(rb'Etag: ("\w+")', await served.ask(path))
    assert tag is not None
    served.went.clear()
    assert (await served.ask(path, f"If-None-Match: {tag[1].decode()}")).split()[1] == b"304"
    assert (await served.ask(path, "Origin: https://elsewhere.example")).split()[1] == b"403"
    assert (await served.ask(path, host="elsewhere.example")).split()[1] == b"421"
    assert (await served.ask(path, method="HEAD")).split()[1] == b"200"
    assert (await served.ask(path, method="DELETE")).split()[1] == b"405"
    assert b"Connection: close" in await served.ask(path, "Connection: close")
    assert served.went == []


async def test_a_query_and_a_copy_that_is_not_ready_go_the_general_way(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    path = f"/v1/customers/{customer}/context"
    assert (await served.ask(path + "?realm=x")).split()[1] == b"400"
    served.reasons.append("not yet")
    assert (await served.ask(path)).split()[1] == b"503"
    assert not any(answered for _, answered in served.went)


async def test_where_nothing_waits_the_general_way_confirms_it(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    served.freshness.waiting = False
    answer = await served.ask(f"/v1/customers/{customer}/context")
    assert b"Goldenthread-Lag-Seconds: 0\r\n" in answer
    assert not any(answered for _, answered in served.went)


@pytest.mark.parametrize("served", [True], indirect=True)
async def test_a_protected_lookup_asks_for_the_key(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    path = f"/v1/customers/{customer}/context"
    assert (await served.ask(path)).split()[1] == b"401"
    assert (await served.ask(path, f"Authorization: Bearer {_KEY}")).split()[1] == b"200"
    assert served.went == []


async def test_requests_sent_at_once_are_answered_in_their_order(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    requests = [served.request(f"/v1/customers/{each}/context") for each in (customer, "0" * 32, customer)]
    statuses = [answer.split()[1] for answer in await served.ask_all(requests)]
    assert statuses == [b"200", b"404", b"200"]
    # One behind the other: what came alone takes the short way again.
    reader, writer = await asyncio.open_connection(*served.address)
    for request, status in zip(requests, statuses, strict=True):
        writer.write(request)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)
        assert head.split()[1] == status
        length = re.search(rb"Content-Length: (\d+)", head)
        assert length is not None
        await reader.readexactly(int(length[1]))
    writer.close()
    await writer.wait_closed()
    assert [answered for _, answered in served.went] == [True, True, True]


async def test_both_ways_are_counted_and_logged_alike(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    customer = served.copy.home("email", "ann@example.com")
    with caplog.at_level("INFO"):
        await served.both(f"/v1/customers/{customer}/context")
    labels = {"service": "lookup", "method": "GET", "route": "/v1/customers/{customer}/context", "status": "200"}
    count = served.metrics.registry.get_sample_value("goldenthread_http_request_duration_seconds_count", labels)
    assert count == 2
    found = {"by": "id", "outcome": "found"}
    assert served.metrics.registry.get_sample_value("goldenthread_lookups_total", found) == 2
    assert customer not in caplog.text


@given(value=st.text(min_size=1, max_size=12), encode=st.booleans())
def test_any_path_means_the_same_by_both_ways_or_is_left_to_the_general_one(value: str, encode: bool) -> None:
    """Each value that the short way takes is the one that a parser of URLs reads out of the path."""
    freshness = Clockwork()
    freshness.waiting = True
    asked: list[str] = []

    class Watched:
        """Answers nothing, and notes what it was asked."""

        def identifier(self, identifier: object) -> None:
            asked.append(identifier.value)  # type: ignore[attr-defined]

    short = ShortAnswers(
        Watched(),  # type: ignore[arg-type]
        freshness=freshness,
        ready=lambda: ReadyReport(()),
        metrics=Metrics("lookup", "1"),
    )
    segment = quote(value, safe="") if encode else value
    assert short.find(f"/v1/identifiers/crm/{segment}/context") is None
    assert asked in ([], [value])
