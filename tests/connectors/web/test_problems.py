"""Every way in which an error can arise ends in the one shape of `problem_shape`: one test per way."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest

from tests.connectors.web.conftest import Service
from tests.connectors.web.problem_shape import assert_problem, assert_problem_body
from tests.waiting import until

Start = Callable[..., Awaitable[Service]]
JSON = {"Content-Type": "application/json"}


async def test_handler_raises_problem_with_headers_members_and_pointers(start: Start) -> None:
    service = await start()
    response = await service.client.get("/v1/things/teapot")
    problem = await assert_problem(response, 418, "short_and_stout", "/handle")
    assert problem["colour"] == "brown"
    assert response.headers["X-Spout"] == "left"
    assert problem["errors"] == [{"pointer": "/handle", "detail": "too hot", "code": "hot"}]


async def test_handler_raises_http_exception(start: Start) -> None:
    service = await start()
    await assert_problem(await service.client.get("/v1/things/forbidden"), 403, "request_refused")


async def test_redirect_is_no_problem(start: Start) -> None:
    service = await start()
    response = await service.client.get("/v1/things/moved", allow_redirects=False)
    assert (response.status, response.headers["Location"]) == (308, "/v1/things/new")
    assert response.headers["X-Request-Id"]
    assert service.count("GET", "/v1/things/{name}", 308) == 1


async def test_handler_fails_without_showing_why_but_the_log_says_it(start: Start, lines: list[Any]) -> None:
    service = await start()
    response = await service.client.get("/v1/fail", headers={"X-Request-Id": "find-me"})
    failed = next(line for line in lines if line["event"] == "request failed")
    assert (failed["request_id"], failed["error"], failed["exc_info"]) == ("find-me", "RuntimeError", True)
    assert "swordfish" not in await response.text()
    await assert_problem(response, 500, "internal_error")
    assert service.count("GET", "/v1/fail", 500) == 1


async def test_handler_fails_after_the_answer_began(start: Start) -> None:
    service = await start()
    response = await service.client.get("/v1/fail-midway")
    with pytest.raises(aiohttp.ClientPayloadError):
        await response.read()


async def test_unknown_path(start: Start) -> None:
    service = await start()
    await assert_problem(await service.client.get("/v1/nothing/ann@example.com"), 404, "no_such_path")
    assert service.count("GET", "unmatched", 404) == 1


async def test_wrong_method_names_the_right_ones(start: Start) -> None:
    service = await start()
    response = await service.client.delete("/v1/things/one")
    await assert_problem(response, 405, "method_not_allowed")
    assert response.headers["Allow"] == "GET,HEAD"


async def test_declared_length_above_the_limit(start: Start) -> None:
    service = await start(body_size_bytes=10)
    await assert_problem(await service.client.post("/v1/echo", data=b"x" * 11, headers=JSON), 413, "body_too_large")


async def test_streamed_body_above_the_limit(start: Start) -> None:
    service = await start(body_size_bytes=10)

    async def body() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    await assert_problem(await service.client.post("/v1/echo", data=body(), headers=JSON), 413, "body_too_large")


async def test_body_at_the_limit_is_taken(start: Start) -> None:
    service = await start(body_size_bytes=10)
    response = await service.client.post("/v1/echo", data=b"x" * 10, headers=JSON)
    assert (response.status, await response.json()) == (200, {"size_bytes": 10})


@pytest.mark.parametrize("content_type", ["text/plain", "application/json; charset=latin-1", "nonsense", ""])
async def test_wrong_media_type(start: Start, content_type: str) -> None:
    service = await start()
    response = await service.client.post("/v1/echo", data=b"{}", headers={"Content-Type": content_type})
    await assert_problem(response, 415, "unsupported_media_type")


async def test_missing_media_type(start: Start) -> None:
    service = await start()
    response = await service.client.post("/v1/echo", data=b"{}", skip_auto_headers=["Content-Type"])
    await assert_problem(response, 415, "unsupported_media_type")


async def test_encoded_body(start: Start) -> None:
    service = await start()
    response = await service.client.post("/v1/echo", data=b"\x1f\x8b", headers=JSON | {"Content-Encoding": "br"})
    await assert_problem(response, 415, "unsupported_encoding")
    assert response.headers["Accept-Encoding"] == "gzip, identity"


async def test_slow_body_ends(start: Start) -> None:
    service = await start(body_timeout_seconds=0.05, lingering_seconds=0.05)
    head = b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    status, headers, body = await service.raw(head)
    assert status == 408
    assert headers["Connection"] == "close"
    assert_problem_body(body, headers, 408, "body_timeout")


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"GET /v1/things/x HTTP/1.1\r\nHost h\r\n\r\n",
        b"GET /v1/things/x HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 10_000 + b"\r\n\r\n",
        b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
    ],
    ids=["no HTTP", "header without colon", "header too long", "length no number", "TLS"],
)
async def test_malformed_request(start: Start, request_bytes: bytes) -> None:
    service = await start()
    status, headers, body = await service.raw(request_bytes)
    assert (status, headers["Content-Type"]) == (400, "application/problem+json")
    assert_problem_body(body, headers, 400, "malformed_request")


async def test_malformed_chunks(start: Start) -> None:
    service = await start()
    head = b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    head += b"Transfer-Encoding: chunked\r\n\r\n"
    status, headers, body = await service.raw(head + b"zz\r\n{}\r\n0\r\n\r\n")
    assert status == 400
    assert_problem_body(body, headers, 400, "malformed_request")


@pytest.mark.parametrize("path", ["/v1/things/x", "/nothing"])
async def test_unknown_expectation(start: Start, path: str) -> None:
    service = await start()
    await assert_problem(await service.client.get(path, headers={"Expect": "tea"}), 417, "expectation_failed")


async def test_not_ready_gives_reasons(start: Start) -> None:
    service = await start()
    service.reasons[:] = ["no broker answers", "topics are not known"]
    for path in ("/readyz", "/v1/things/x"):
        response = await service.client.get(path)
        problem = await assert_problem(response, 503, "not_ready")
        assert problem["reasons"] == service.reasons
        assert response.headers["Retry-After"] == "2"


async def test_meaning_of_every_kind_can_be_asked_for(start: Start) -> None:
    service = await start()
    meaning = await (await service.client.get("/problems/short_and_stout")).json()
    assert meaning["meaning"] == "Tip it over."
    await assert_problem(await service.client.get("/problems/unheard_of"), 404, "no_such_path")


async def test_client_that_leaves_is_counted_and_harms_nobody(start: Start) -> None:
    service = await start()
    _, writer = await asyncio.open_connection(service.host, service.port)
    writer.write(
        b"POST /v1/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
    )
    await writer.drain()
    # Closed only when the handler reads the body, or the request would never have begun.
    assert (await service.client.get("/livez")).status == 200
    writer.close()
    await until(lambda: service.count("POST", "/v1/echo", 499) == 1)
