"""What pages of other origins may do: the browser's first question, and the headers of every answer."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from connectors.web.access import Access, AccessKey, Role
from connectors.web.cors import share_across_origins
from connectors.web.server import listening
from connectors.web.service import make_service
from connectors.web.standard import ReadyReport
from schemas.credentials import digest_of
from streams.metrics import Metrics
from tests.connectors.web.conftest import OPERATIONS

SHOP = "https://shop.example"
ALLOW_ORIGIN = "Access-Control-Allow-Origin"
KEY = "k" * 32
PREFLIGHT = {
    "Origin": SHOP,
    "Access-Control-Request-Method": "POST",
    "Access-Control-Request-Headers": "authorization,content-type,x-retry-count",
}


@asynccontextmanager
async def _shared(*origins: str, guarded: bool = False) -> AsyncIterator[aiohttp.ClientSession]:
    key = AccessKey(name="shop", roles=frozenset({Role.COLLECT}), digest=digest_of(KEY))
    application = make_service(
        "sample",
        OPERATIONS,
        description="A sample.",
        metrics=Metrics("sample", "1"),
        version="1",
        ready=ReadyReport,
        access=Access([key] if guarded else [], role=Role.COLLECT),
    )
    shared = [operation for operation in OPERATIONS if operation.path == "/v1/echo"]
    share_across_origins(application, shared, origins)
    async with (
        listening(application, "127.0.0.1", 0) as (host, port),
        aiohttp.ClientSession(f"http://{host}:{port}") as client,
    ):
        yield client


async def test_first_question_is_answered_without_a_key() -> None:
    async with _shared("*", guarded=True) as client:
        answer = await client.options("/v1/echo", headers=PREFLIGHT)
        assert (answer.status, await answer.read()) == (204, b"")
        assert answer.headers[ALLOW_ORIGIN] == "*"
        assert answer.headers["Access-Control-Allow-Methods"] == "POST"
        assert answer.headers["Access-Control-Allow-Headers"] == "authorization,content-type,x-retry-count"
        assert "Access-Control-Allow-Credentials" not in answer.headers
        assert (await client.post("/v1/echo", json={})).status == 401
        keyed = await client.post("/v1/echo", json={}, headers={"Authorization": f"Bearer {KEY}", "Origin": SHOP})
        assert (keyed.status, keyed.headers[ALLOW_ORIGIN]) == (200, "*")


@pytest.mark.parametrize("asked", ["", "a b", "x(y)", "a," * 600 + "a"])
async def test_strange_header_names_are_not_sent_back(asked: str) -> None:
    async with _shared("*") as client:
        answer = await client.options("/v1/echo", headers={"Access-Control-Request-Headers": asked})
        assert answer.headers["Access-Control-Allow-Headers"].startswith("Authorization, Content-Encoding")


async def test_errors_carry_the_headers_too() -> None:
    async with _shared("*", guarded=True) as client:
        refused = await client.post("/v1/echo", json={}, headers={"Origin": SHOP})
        assert (refused.status, refused.headers[ALLOW_ORIGIN]) == (401, "*")
        keyed = {"Origin": SHOP, "Content-Type": "text/html", "Authorization": f"Bearer {KEY}"}
        wrong = await client.post("/v1/echo", data=b"x", headers=keyed)
        assert (wrong.status, wrong.headers[ALLOW_ORIGIN]) == (415, "*")
        assert "Retry-After" in wrong.headers["Access-Control-Expose-Headers"]


async def test_without_keys_only_pages_of_named_origins_may_send() -> None:
    # What a browser sends to any address for any page, without asking first.
    plain = {"Origin": SHOP, "Content-Type": "text/plain"}
    async with _shared("*") as client:
        assert (await client.post("/v1/echo", data=b"{}", headers=plain)).status == 403
    async with _shared(SHOP) as client:
        assert (await client.post("/v1/echo", data=b"{}", headers=plain)).status == 415
        assert (await client.post("/v1/echo", json={}, headers={"Origin": SHOP})).status == 200
        assert (await client.post("/v1/echo", json={}, headers={"Origin": "https://evil.example"})).status == 403


async def test_only_the_origins_that_are_named_are_let_in() -> None:
    async with _shared(SHOP, "https://other.example") as client:
        allowed = await client.post("/v1/echo", json={}, headers={"Origin": SHOP})
        assert (allowed.headers[ALLOW_ORIGIN], allowed.headers["Vary"]) == (SHOP, "Origin")
        for origin in ("https://evil.example", "null", "https://shop.example.evil.example"):
            other = await client.post("/v1/echo", json={}, headers={"Origin": origin})
            assert ALLOW_ORIGIN not in other.headers
            assert other.headers["Vary"] == "Origin"


async def test_other_operations_and_no_origins_are_left_alone() -> None:
    async with _shared("*") as client:
        assert ALLOW_ORIGIN not in (await client.get("/v1/things/x", headers={"Origin": SHOP})).headers
        assert (await client.options("/v1/things/x")).status == 405
    for origins in ((), ("none",)):
        async with _shared(*origins) as client:
            assert (await client.options("/v1/echo", headers=PREFLIGHT)).status == 403
            assert ALLOW_ORIGIN not in (await client.post("/v1/echo", json={}, headers={"Origin": SHOP})).headers
