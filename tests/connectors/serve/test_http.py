"""The lookup over HTTP: every status of the contract, its headers, and what never comes out."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from yarl import URL

from connectors.serve.client import customer_get
from connectors.serve.explaining.handlers import ExplainHandlers
from connectors.serve.handlers import Handlers
from connectors.serve.operations import DESCRIPTION, operations
from connectors.web.limits import WebLimits
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.errors import UsageError
from schemas.identity_policy import Grade
from schemas.roles import ATTACHED
from schemas.times import format_time
from streams.freshness import Lag
from streams.metrics import Metrics
from tests.connectors.serve.support import Copy, shown

Client = TestClient[Any, Any]


class Clockwork:
    """A lag that the test sets."""

    def __init__(self) -> None:
        self.waiting = False
        self.known: float | None = 0.5
        self.confirmed: Future[Lag] = Future()
        self.confirmed.set_result(Lag(0.0))

    def lag(self) -> Lag:
        """What is known without looking."""
        return Lag(self.known)

    def next_pass(self) -> "Future[Lag]":
        """What looking finds."""
        return self.confirmed


@dataclass
class Served:
    """A lookup under test."""

    copy: Copy
    client: Client
    freshness: Clockwork
    metrics: Metrics
    reasons: list[str] = field(default_factory=list)

    async def get(self, path: str, status: int, **arguments: Any) -> ClientResponse:
        """GET, and the expected status; redirects are not followed."""
        answer = await self.client.get(path, allow_redirects=False, **arguments)
        assert answer.status == status, await answer.text()
        return answer

    async def post(self, question: Any, status: int) -> ClientResponse:
        """POST /v1/lookup, and the expected status."""
        answer = await self.client.post("/v1/lookup", json=question)
        assert answer.status == status, await answer.text()
        return answer

    def counted(self, by: str, outcome: str) -> float:
        """How often it was counted."""
        return self.metrics.registry.get_sample_value("goldenthread_lookups_total", {"by": by, "outcome": outcome}) or 0


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    copy, freshness, metrics = Copy(), Clockwork(), Metrics("lookup", "1")
    reasons: list[str] = []
    ready = lambda: ReadyReport(tuple(reasons))  # noqa: E731 - it closes over the list.
    handlers = Handlers(
        copy.answers, copy.timeline, freshness=freshness, ready=ready, metrics=metrics, confirm_timeout_s=0.05
    )
    application = make_service(
        "lookup",
        operations(handlers, ExplainHandlers(copy.explanations, copy.finder, handlers)),
        description=DESCRIPTION,
        metrics=metrics,
        version="1",
        ready=ready,
        limits=WebLimits(body_size_bytes=4096),
    )
    application.on_response_prepare.append(handlers.complete_headers)
    server = TestServer(application)
    # As in `connectors.web.server`: a line with the URL would hold the identifier.
    await server.start_server(access_log=None)
    async with TestClient(server) as client:
        yield Served(copy, client, freshness, metrics, reasons)


async def problem(answer: ClientResponse, code: str) -> dict[str, Any]:
    """The problem in an answer, whose shape is checked."""
    assert answer.content_type == "application/problem+json"
    body: dict[str, Any] = await answer.json()
    assert body["code"] == code
    assert body["status"] == answer.status
    assert {"type", "title", "detail", "request_id", "errors"} <= body.keys()
    assert answer.headers["Cache-Control"] == "private, no-store"
    return body


async def test_a_context_by_id_comes_as_it_was_published(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com", Grade.LOGIN)
    encoded = served.copy.context(customer, shown("email", "ann@example.com", Grade.LOGIN))
    answer = await served.get(f"/v1/customers/{customer}/context", 200)
    assert await answer.read() == encoded
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Goldenthread-Lag-Seconds"] == "0"
    assert answer.headers["ETag"].startswith('"')
    assert served.counted("id", "found") == 1


@pytest.mark.parametrize(
    ("kind", "written", "meant"),
    [
        ("email", "Ann%40Example.com", "ann@example.com"),
        ("email", "Ann@example.com", "ann@example.com"),
        ("crm", "a%2Fb", "a/b"),
        ("crm", "100%25", "100%"),
        ("crm", "%E2%82%AC", "€"),
        ("crm", "a+b", "a+b"),
        ("crm", "a%20b", "a b"),
    ],
)
async def test_a_context_by_identifier_takes_any_value_percent_encoded(
    served: Served, kind: str, written: str, meant: str
) -> None:
    served.copy.home(kind, meant, Grade.LOGIN)
    answer = await served.client.get(URL(f"/v1/identifiers/{kind}/{written}/context", encoded=True))
    assert answer.status == 200
    assert answer.headers["Goldenthread-Match"] == f"{kind}; login; recognised"
    assert served.counted("identifier", "found") == 1


async def test_an_etag_spares_the_copy_until_document_or_match_changes(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com")
    served.copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    by_id, by_cookie = f"/v1/customers/{customer}/context", "/v1/identifiers/cookie/c-1/context"
    for path in (by_id, by_cookie):
        tag = (await served.get(path, 200)).headers["ETag"]
        same = await served.get(path, 304, headers={"If-None-Match": f'"other", {tag}'})
        assert await same.read() == b""
        assert same.headers["ETag"] == tag
        assert same.headers["Cache-Control"] == "private, no-store"
        assert "Goldenthread-Lag-Seconds" in same.headers
        await served.get(path, 304, headers={"If-None-Match": f"W/{tag}"})
        await served.get(path, 200, headers={"If-None-Match": '"other"'})
    tag = (await served.get(by_cookie, 200)).headers["ETag"]
    served.copy.link("cookie", "c-1", customer, ATTACHED, Grade.LOGIN)
    await served.get(by_cookie, 200, headers={"If-None-Match": tag})
    tag = (await served.get(by_id, 200)).headers["ETag"]
    served.copy.context(customer, shown("email", "ann@example.com"), version=2)
    await served.get(by_id, 200, headers={"If-None-Match": tag})


async def test_a_merged_id_redirects_to_the_same_path_of_its_successor(served: Served) -> None:
    old, new = served.copy.home("cookie", "c-1"), served.copy.home("email", "ann@example.com")
    served.copy.link("cookie", "c-1", new, ATTACHED)
    answer = await served.get(f"/v1/customers/{old}/context", 308)
    assert answer.headers["Location"] == f"/v1/customers/{new}/context"
    assert answer.headers["Cache-Control"] == "private, no-store"
    assert answer.headers["Goldenthread-Lag-Seconds"] == "0"
    answer = await served.get(f"/v1/customers/{old}/interactions?limit=2", 308)
    assert answer.headers["Location"] == f"/v1/customers/{new}/interactions?limit=2"
    assert (served.counted("id", "moved"), served.counted("interactions", "moved")) == (1, 1)


async def test_shared_identifiers_and_ids_give_candidates_and_no_personal_data(
    served: Served, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    candidates = [served.copy.home("email", f"person-{number}@example.com") for number in range(7)]
    phone = served.copy.share("phone", "+31201234567", *candidates)
    served.copy.context(phone, level="shared")
    answers = [
        (await served.get("/v1/identifiers/phone/+31201234567/context", 409), "identifier_shared"),
        (await served.post({"identifiers": [{"kind": "phone", "value": "+31201234567"}]}, 409), "identifier_shared"),
        (await served.get(f"/v1/customers/{phone}/context", 410), "became_shared"),
        (await served.get(f"/v1/customers/{phone}/interactions", 410), "became_shared"),
    ]
    for answer, code in answers:
        body = await problem(answer, code)
        assert body["candidates"] == candidates[:5]
        assert "person" not in json.dumps(body)
        assert "31201234567" not in json.dumps(body)
        assert answer.headers["Goldenthread-Lag-Seconds"] == "0"
    captured = capsys.readouterr()
    logged = caplog.text + captured.out + captured.err
    assert "/v1/identifiers/{kind}/{value}/context" in logged
    assert "31201234567" not in logged
    assert "person" not in logged


async def test_what_nobody_knows_is_404_everywhere(served: Served) -> None:
    await problem(await served.get(f"/v1/customers/{'0' * 32}/context", 404), "not_known")
    await problem(await served.get("/v1/customers/nonsense/interactions", 404), "not_known")
    await problem(await served.get("/v1/identifiers/email/nobody@example.com/context", 404), "not_known")
    await problem(await served.post({"identifiers": [{"kind": "email", "value": "no@example.com"}]}, 404), "not_known")
    assert [served.counted(by, "unknown") for by in ("id", "interactions", "identifier", "lookup")] == [1, 1, 1, 1]


async def test_before_the_first_catch_up_everything_is_503_with_retry_after(served: Served) -> None:
    served.reasons.append("still reading")
    served.freshness.known = None
    customer = served.copy.home("email", "ann@example.com")
    for answer in (
        await served.get(f"/v1/customers/{customer}/context", 503),
        await served.get(f"/v1/customers/{customer}/interactions", 503),
        await served.get("/v1/identifiers/email/ann@example.com/context", 503),
        await served.post({"identifiers": [{"kind": "email", "value": "ann@example.com"}]}, 503),
    ):
        body = await problem(answer, "catching_up")
        assert body["reasons"] == ["still reading"]
        assert int(answer.headers["Retry-After"]) >= 1
        assert "Goldenthread-Lag-Seconds" not in answer.headers
    assert (await served.client.get("/readyz")).status == 503
    assert (await served.client.get("/livez")).status == 200
    assert served.counted("lookup", "catching_up") == 1


async def test_a_lookup_gives_match_context_and_conflicts(served: Served) -> None:
    ann = served.copy.home("email", "ann@example.com", Grade.LOGIN, level="identified")
    bob = served.copy.home("phone", "+31201234567")
    asked = [
        {"kind": "phone", "value": "+31201234567"},
        {"kind": "email", "value": "ann@example.com"},
        {"kind": "ip", "value": "10.0.0.1"},
    ]
    answer = await served.post({"identifiers": asked}, 200)
    body = await answer.json()
    assert list(body) == ["match", "context", "conflicts", "unusable"]
    assert body["match"] == {"kind": "email", "grade": "login", "level": "identified"}
    assert body["context"]["customer"] == ann
    assert body["conflicts"] == [
        {"pointer": "/identifiers/0", "kind": "phone", "level": "recognised", "grade": "claimed", "customer": bob}
    ]
    assert body["unusable"] == ["/identifiers/2"]
    assert answer.headers["Goldenthread-Match"] == "email; login; identified"
    assert answer.headers["ETag"]
    assert (await (await served.post({"identifiers": asked[1:2]}, 200)).json())["conflicts"] == []


async def test_min_grade_shows_only_the_identifiers_own_events(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com", Grade.LOGIN)
    served.copy.link("cookie", "c-1", customer, ATTACHED, Grade.CLAIMED)
    served.copy.fold_alone("cookie", "c-1")
    path = "/v1/identifiers/cookie/c-1/context"
    whole = await served.get(path, 200)
    alone = await served.get(path, 200, params={"min_grade": "login"})
    assert alone.headers["ETag"] != whole.headers["ETag"]
    assert alone.headers["Goldenthread-Match"] == "cookie; claimed; anonymous"
    body = await alone.json()
    assert "customer" not in body
    assert body["identity"] == {"level": "anonymous", "strongest": "cookie"}
    question = {"identifiers": [{"kind": "cookie", "value": "c-1"}], "min_grade": "login"}
    assert (await (await served.post(question, 200)).json())["context"] == body
    await served.get(path, 200, params={"min_grade": "claimed"})


@pytest.mark.parametrize(
    ("path", "named"),
    [
        ("/v1/identifiers/cookie/c-1/context?min_grade=some", "min_grade"),
        ("/v1/identifiers/cookie/c-1/context?min-grade=login", "min-grade"),
        ("/v1/identifiers/cookie/c-1/context?min_grade=login&min_grade=claimed", "more than once"),
        ("/v1/identifiers/cookie/c-1/context?realm=", "realm"),
        (f"/v1/identifiers/cookie/c-1/context?namespace={'n' * 200}", "namespace"),
        (f"/v1/customers/{'0' * 32}/context?min_grade=login", "min_grade"),
        (f"/v1/customers/{'0' * 32}/interactions?limit=0", "limit"),
        (f"/v1/customers/{'0' * 32}/interactions?limit=501", "limit"),
        (f"/v1/customers/{'0' * 32}/interactions?limit=many", "limit"),
        (f"/v1/customers/{'0' * 32}/interactions?cursor=nonsense", "cursor"),
        (f"/v1/customers/{'0' * 32}/interactions?cursor={'A' * 4000}", "cursor"),
        (f"/v1/customers/{'0' * 32}/interactions?page=2", "page"),
    ],
)
async def test_wrong_parameters_are_400_and_named(served: Served, path: str, named: str) -> None:
    body = await problem(await served.get(path, 400), "invalid_parameter")
    assert named in body["detail"]


@pytest.mark.parametrize(
    ("question", "pointer"),
    [
        (b"not json", ""),
        (b"\xff\xfe", ""),
        (b"[]", ""),
        (b"{}", ""),
        (b'{"identifiers": []}', "/identifiers"),
        (b'{"identifiers": [{"kind": "email"}]}', "/identifiers/0"),
        (b'{"identifiers": [{"kind": "email", "value": 7}]}', "/identifiers/0/value"),
        (b'{"identifiers": [{"kind": "email", "value": "x", "extra": 1}]}', "/identifiers/0"),
        (b'{"identifiers": [{"kind": "email", "value": "x"}], "grade": "login"}', ""),
        (b'{"identifiers": [{"kind": "email", "value": "x"}], "min_grade": "sure"}', "/min_grade"),
        (json.dumps({"identifiers": [{"kind": "cookie", "value": "x"}] * 17}).encode(), "/identifiers"),
    ],
)
async def test_wrong_bodies_are_400_with_a_pointer(served: Served, question: bytes, pointer: str) -> None:
    answer = await served.client.post("/v1/lookup", data=question, headers={"Content-Type": "application/json"})
    assert answer.status == 400
    body = await problem(answer, "invalid_body")
    assert [error["pointer"] for error in body["errors"]] == [pointer]


async def test_bodies_too_large_or_of_another_type_are_refused(served: Served) -> None:
    large = await served.client.post("/v1/lookup", data=b" " * 5000, headers={"Content-Type": "application/json"})
    assert large.status == 413
    assert (await served.client.post("/v1/lookup", data=b"{}", headers={"Content-Type": "text/plain"})).status == 415


async def test_unusable_identifiers_are_400_and_pointed_to(served: Served) -> None:
    body = await problem(await served.get("/v1/identifiers/ip/10.0.0.1/context", 400), "unusable_identifier")
    assert body["errors"] == []
    asked = [{"kind": "session", "value": "s"}, {"kind": "email", "value": "null"}]
    body = await problem(await served.post({"identifiers": asked}, 400), "unusable_identifier")
    assert [error["pointer"] for error in body["errors"]] == ["/identifiers/0", "/identifiers/1"]
    assert served.counted("lookup", "unusable") == 1


@pytest.mark.parametrize("value", ["%FF", "%00", "%ED%A0%80", "%F0%9F%92%A9", "..", "%2e%2e%2f"])
async def test_strange_values_in_paths_never_fail(served: Served, value: str) -> None:
    answer = await served.client.get(URL(f"/v1/identifiers/cookie/{value}/context", encoded=True))
    assert answer.status in (400, 404)


async def test_strange_texts_in_bodies_never_fail(served: Served) -> None:
    for value in ("\\u0000", "\\ud800", "\\ud83d\\udca9", "\\u202e"):
        body = b'{"identifiers": [{"kind": "cookie", "value": "%b"}]}' % value.encode()
        answer = await served.client.post("/v1/lookup", data=body, headers={"Content-Type": "application/json"})
        assert answer.status in (400, 404)


async def test_pages_of_interactions_follow_each_other(served: Served) -> None:
    customer = served.copy.home("cookie", "c-1", first=format_time(0), last=format_time(6))
    served.copy.put(*(served.copy.interaction(customer, time, event=f"e-{time}") for time in range(7)))
    path = f"/v1/customers/{customer}/interactions"
    shown_ids = []
    parameters = {"limit": "3"}
    while True:
        body = await (await served.get(path, 200, params=parameters)).json()
        assert list(body) == ["customer", "interactions", "next", "horizon"]
        assert body["horizon"] is None
        shown_ids += [entry["id"] for entry in body["interactions"]]
        if body["next"] is None:
            break
        parameters["cursor"] = body["next"]
    assert shown_ids == [f"e-{time}" for time in range(6, -1, -1)]
    tag = (await served.get(path, 200)).headers["ETag"]
    await served.get(path, 304, headers={"If-None-Match": tag})


async def test_zero_lag_is_only_said_by_a_look_that_began_after_the_request(served: Served) -> None:
    customer = served.copy.home("cookie", "c-1")
    path = f"/v1/customers/{customer}/context"
    assert (await served.get(path, 200)).headers["Goldenthread-Lag-Seconds"] == "0"
    served.freshness.waiting, served.freshness.known = True, 1.23456
    assert (await served.get(path, 200)).headers["Goldenthread-Lag-Seconds"] == "1.235"
    assert (await served.get("/v1/customers/x/context", 404)).headers["Goldenthread-Lag-Seconds"] == "1.235"
    # The look takes longer than a request waits for it, and two requests wait for the same one.
    served.freshness.waiting, served.freshness.known, served.freshness.confirmed = False, 0.4, Future()
    answers = await asyncio.gather(served.get(path, 200), served.get(path, 200))
    assert [answer.headers["Goldenthread-Lag-Seconds"] for answer in answers] == ["0.400", "0.400"]
    served.freshness.confirmed.set_result(Lag(0.0))
    assert (await served.get(path, 200)).headers["Goldenthread-Lag-Seconds"] == "0"


async def test_the_document_is_read_after_the_lag(served: Served) -> None:
    customer = served.copy.home("cookie", "c-1")
    served.freshness.confirmed = Future()
    asking = asyncio.create_task(served.get(f"/v1/customers/{customer}/context", 200))
    await asyncio.sleep(0)
    while not asking.done() and not served.freshness.confirmed.done():
        await asyncio.sleep(0.005)
        newest = served.copy.context(customer, shown("cookie", "c-1"), version=2)
        served.freshness.confirmed.set_result(Lag(0.0))
    assert await (await asking).read() == newest


async def test_head_has_the_headers_and_no_body(served: Served) -> None:
    customer = served.copy.home("cookie", "c-1")
    answer = await served.client.head(f"/v1/customers/{customer}/context")
    assert answer.status == 200
    assert await answer.read() == b""
    assert answer.headers["ETag"]


async def test_openapi_lists_every_route_and_its_statuses(served: Served) -> None:
    document = await (await served.client.get("/openapi.json")).json()
    expected = {
        "/v1/customers/{customer}/context": {"get": {"200", "304", "308", "400", "404", "410", "500", "503"}},
        "/v1/customers/{customer}/interactions": {"get": {"200", "304", "308", "400", "404", "410", "500", "503"}},
        "/v1/identifiers/{kind}/{value}/context": {"get": {"200", "304", "400", "404", "409", "500", "503"}},
        "/v1/lookup": {"post": {"200", "400", "404", "408", "409", "413", "415", "500", "503"}},
        "/v1/customers/{customer}/explain": {"get": {"200", "304", "308", "400", "404", "410", "500", "503"}},
        "/v1/customers/{customer}/traits/{trait}/explain": {
            "get": {"200", "304", "308", "400", "404", "410", "500", "503"}
        },
        "/v1/explain": {"post": {"200", "400", "404", "408", "413", "415", "500", "503"}},
    }
    for path, methods in expected.items():
        for method, statuses in methods.items():
            assert set(document["paths"][path][method]["responses"]) == statuses | {"401", "403", "421", "429"}, path
    listed = {
        resource.canonical for resource in served.client.app.router.resources() if resource.canonical.startswith("/v1")
    }
    assert listed == expected.keys()


async def test_the_client_asks_by_post_and_hands_problems_over(served: Served) -> None:
    customer = served.copy.home("email", "ann@example.com", Grade.LOGIN)
    url = str(served.client.make_url("/"))
    found = await asyncio.to_thread(customer_get, url, "email", "ann@example.com")
    assert found.found
    assert (found.body["context"]["customer"], found.match) == (customer, "email; login; recognised")
    assert found.lag_seconds == "0"
    missing = await asyncio.to_thread(customer_get, url, "email", "no@example.com", min_grade="login")
    assert (missing.found, missing.status, missing.body["code"]) == (False, 404, "not_known")


@pytest.mark.parametrize("body", [b"hello", b'"\xff"', b"[" * 100_000], ids=["no JSON", "no UTF-8", "no end"])
async def test_an_answer_that_can_not_be_read_comes_from_no_lookup(body: bytes) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}]}")
        writer.write(b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(UsageError, match="is no JSON"):
            await asyncio.to_thread(customer_get, f"http://127.0.0.1:{port}", "email", "ann@example.com")


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "file:///etc/passwd", "localhost"])
def test_an_address_without_a_lookup_is_named(url: str) -> None:
    with pytest.raises(UsageError, match="lookup"):
        customer_get(url, "email", "ann@example.com")
