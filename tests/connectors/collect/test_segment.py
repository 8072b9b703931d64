"""The Segment API: paths, keys, content types, answers; what is refused, and that nothing is promised too early."""

import asyncio
import base64
import gzip
import json
import time

import pytest

from connectors.collect.segment.calls import BATCH_PATHS, CALL_PATHS
from tests.connectors.collect.http_service import NOW, encoded, running
from tests.connectors.collect.segment_requests import KEY, SUCCESS, TRACK, keyed, send, taken
from tests.connectors.web.problem_shape import assert_problem


async def test_every_path_takes_its_call() -> None:
    async with running() as collect:
        for call, paths in CALL_PATHS.items():
            message = {"userId": "u-1", "event": "Clicked", "previousId": "u-0", "groupId": "g", "type": "whatever"}
            given = [path.removeprefix("/v1/") for path in paths]
            events = [await taken(collect, path, message) for path in (*given, f"{given[0]}/")]
            assert events[0] == events[1] == events[2], call
        for path in BATCH_PATHS:
            assert (await taken(collect, path.removeprefix("/v1/"), {"batch": [TRACK]}))["id"] == "m-1"


@pytest.mark.parametrize("content_type", ["text/plain", "text/plain;charset=UTF-8", "application/json", None])
async def test_a_browser_need_not_ask_first(content_type: str | None) -> None:
    async with running(access=keyed()) as collect:
        body = encoded({"batch": [TRACK], "writeKey": KEY, "sentAt": NOW})
        headers = {} if content_type is None else {"Content-Type": content_type}
        answer = await collect.client.post(
            "/v1/b",
            data=body,
            headers={"Origin": "https://shop.example", **headers},
            skip_auto_headers=["Content-Type"],
        )
        assert (answer.status, await answer.json()) == (200, SUCCESS)
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert json.loads(collect.producer.records[0].value or b"")["source"] == "shop-web"


@pytest.mark.parametrize(
    ("headers", "body_key"),
    [
        ({"Authorization": "Basic " + base64.b64encode(f"{KEY}:".encode()).decode()}, None),
        ({"Authorization": "Basic " + base64.b64encode(f"{KEY}:any".encode()).decode()}, "another"),
        ({"Authorization": f"Bearer {KEY}"}, None),
        ({}, KEY),
    ],
    ids=["basic", "basic with a password", "bearer", "body"],
)
async def test_the_key_names_the_source(headers: dict[str, str], body_key: str | None) -> None:
    async with running(access=keyed()) as collect:
        for path, body in (("track", TRACK), ("batch", {"batch": [TRACK]})):
            given = body | ({} if body_key is None else {"writeKey": body_key})
            assert (await send(collect, path, given, **headers)).status == 200
        assert {json.loads(each.value or b"")["source"] for each in collect.producer.records} == {"shop-web"}


async def test_a_token_for_any_source_speaks_for_segment() -> None:
    async with running(access=keyed(source=None, name="tool")) as collect:
        assert (await send(collect, "track", TRACK, Authorization=f"Bearer {KEY}")).status == 200
        assert json.loads(collect.producer.records[0].value or b"")["source"] == "segment"


async def test_who_has_no_key_is_told_so_whatever_was_sent() -> None:
    async with running(access=keyed()) as collect:
        for body in (TRACK, TRACK | {"writeKey": "another"}, TRACK | {"writeKey": 7}, b"no json", b"[]"):
            await assert_problem(await send(collect, "track", body), 401, "unauthenticated")
        basic = "Basic " + base64.b64encode(b"wrong:").decode()
        await assert_problem(await send(collect, "batch", {"batch": []}, Authorization=basic), 401, "unauthenticated")
        assert collect.producer.records == []


async def test_too_many_requests_say_when_to_come_back() -> None:
    async with running(access=keyed(requests_per_second=1)) as collect:
        answers = [await send(collect, "track", TRACK | {"writeKey": KEY}) for _ in range(5)]
        limited = [answer for answer in answers if answer.status == 429]
        await assert_problem(limited[0], 429, "rate_limited")
        assert limited[0].headers["X-RateLimit-Reset"] == limited[0].headers["Retry-After"]


async def test_without_keys_any_key_will_do() -> None:
    async with running() as collect:
        basic = "Basic " + base64.b64encode(b"whatever:").decode()
        assert (await send(collect, "track", TRACK, Authorization=basic)).status == 200
        assert (await send(collect, "track", TRACK, Authorization="Nonsense")).status == 200


@pytest.mark.parametrize(
    ("path", "body", "code"),
    [
        ("track", b"", "not_json"),
        ("track", b"{", "not_json"),
        ("track", b"[]", "not_an_object"),
        ("track", b'"x"', "not_an_object"),
        ("track", b'{"userId": "\xff"}', "invalid_utf8"),
        ("track", b'{"userId": "a\0b"}', "null_byte"),
        ("track", b"{" * 5000, "not_json"),
        ("batch", b"[]", "not_an_object"),
        ("batch", b"{}", "not_an_object"),
        ("batch", b'{"batch": {}}', "not_an_object"),
        ("batch", b'{"batch": [{"type": "track"}, ]}', "not_json"),
    ],
)
async def test_a_body_without_messages_is_refused(path: str, body: bytes, code: str) -> None:
    async with running() as collect:
        pointer = "/batch" if body in (b"{}", b'{"batch": {}}') else ""
        await assert_problem(await send(collect, path, body), 400, code, pointer)
        assert collect.producer.records == []
        assert collect.outcome(code) == 1


async def test_an_empty_batch_succeeds() -> None:
    async with running() as collect:
        assert await (await send(collect, "batch", {"batch": []})).json() == SUCCESS


async def test_other_content_types_and_large_bodies_are_refused() -> None:
    async with running(body_size_bytes=1000) as collect:
        answer = await collect.client.post("/v1/track", data=b"a=1", headers={"Content-Type": "multipart/form-data"})
        await assert_problem(answer, 415, "unsupported_media_type")
        await assert_problem(await send(collect, "track", b"x" * 1001), 413, "body_too_large")
        bomb = gzip.compress(bytes(1_000_000))
        await assert_problem(await send(collect, "b", bomb, **{"Content-Encoding": "gzip"}), 413, "body_too_large")
        cut = gzip.compress(encoded(TRACK))[:-4]
        await assert_problem(await send(collect, "t", cut, **{"Content-Encoding": "gzip"}), 400, "invalid_encoding")


async def test_two_thousand_messages_are_taken_at_once_and_hold_up_nobody() -> None:
    async with running() as collect:
        batch = {"batch": [TRACK | {"messageId": f"m-{number}"} for number in range(2000)]}
        body = gzip.compress(encoded(batch))
        large = asyncio.create_task(send(collect, "batch", body, **{"Content-Encoding": "gzip"}))
        waits = []
        while not large.done():
            asked = time.monotonic()
            assert (await collect.client.get("/livez")).status == 200
            waits.append(time.monotonic() - asked)
        assert await (await large).json() == SUCCESS
        assert len({record.key for record in collect.producer.records}) == 2000
        assert len(waits) > 10
        too_many = {"batch": [TRACK] * 2501}
        await assert_problem(await send(collect, "batch", too_many), 413, "batch_too_long")
        assert len(collect.producer.records) == 2000


async def test_nothing_is_promised_when_the_broker_does_not_take_it() -> None:
    async with running() as collect:
        collect.producer.failure = "timed out"
        answer = await send(collect, "batch", {"batch": [TRACK, {}]})
        await assert_problem(answer, 503, "not_acknowledged")
        assert int(answer.headers["Retry-After"]) > 0
        assert collect.outcome("not_acknowledged") == 2
    async with running(looked=False) as collect:
        await assert_problem(await send(collect, "track", TRACK), 503, "not_ready")


async def test_sdks_are_told_to_send_here() -> None:
    async with running(access=keyed()) as collect:
        answer = await collect.client.get(f"/v1/projects/{KEY}/settings", headers={"Origin": "https://shop.example"})
        settings = await answer.json()
        host = f"{collect.client._base_url}".removeprefix("http://").rstrip("/")
        assert settings["integrations"]["Segment.io"]["apiHost"] == f"{host}/v1"
        assert settings["integrations"]["Segment.io"]["protocol"] == "http"
        assert (answer.headers["Cache-Control"], answer.headers["Access-Control-Allow-Origin"]) == ("no-store", "*")
        behind = await collect.client.get(f"/v1/projects/{KEY}/settings", headers={"X-Forwarded-Proto": "https"})
        assert (await behind.json())["integrations"]["Segment.io"]["protocol"] == "https"
        await assert_problem(await collect.client.get("/v1/projects/another/settings"), 401, "unauthenticated")
        strange = await collect.client.get(f"/v1/projects/{KEY}/settings", headers={"Host": "h\u00f6st.example"})
        await assert_problem(strange, 400, "malformed_request")


async def test_figures_of_sdks_about_themselves_are_dropped() -> None:
    async with running(access=keyed()) as collect:
        await assert_problem(await send(collect, "m", {"series": []}), 401, "unauthenticated")
    async with running() as collect:
        assert await (await send(collect, "m", {"series": [{"type": "Counter"}]})).json() == SUCCESS
        assert collect.producer.records == []


async def test_openapi_describes_every_path() -> None:
    async with running() as collect:
        document = await (await collect.client.get("/openapi.json")).json()
        assert not [path for path in document["paths"] if path.endswith("/")]
        for path in (*(path for paths in CALL_PATHS.values() for path in paths), *BATCH_PATHS, "/v1/m"):
            operation = document["paths"][path]["post"]
            assert operation["requestBody"]["content"].keys() == {"application/json", "text/plain"}
            assert "200" in operation["responses"]
        assert "invalid_encoding" in document["paths"]["/v1/t"]["post"]["responses"]["400"]["description"]
