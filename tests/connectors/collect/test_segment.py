"""The Segment API: what SDKs send becomes events, what is wrong is set aside, and both succeed."""

import asyncio
import base64
import gzip
import json
import time
from typing import Any

import aiohttp
import pytest

from connectors.collect.segment.calls import BATCH_PATHS, CALL_PATHS
from connectors.web.access import Access, AccessKey, Role
from schemas.clock import ManualClock
from schemas.credentials import digest_of
from schemas.event import parse_structured
from schemas.mapping import Mapping, MappingSet
from schemas.sources import Source, SourceRegistry
from schemas.times import format_time, parse_time
from tests.connectors.collect.http_service import NOW, Collect, encoded, running
from tests.connectors.web.problem_shape import assert_problem

SUCCESS = {"success": True}
KEY = "write-key-of-the-shop"
JSON = {"Content-Type": "application/json"}
TRACK: dict[str, Any] = {
    "type": "track",
    "messageId": "m-1",
    "userId": "u-1",
    "event": "Order Completed",
    "timestamp": "2026-11-22T09:59:00.250Z",
    "properties": {"order_id": "o-12", "total": 30},
}


def keyed(**changes: Any) -> Access:
    """One write key, that of the source `shop-web`."""
    key: dict[str, Any] = {
        "name": "shop-web",
        "roles": frozenset({Role.COLLECT}),
        "digest": digest_of(KEY),
        "source": "shop-web",
    }
    return Access([AccessKey(**key | changes)], role=Role.COLLECT, clock=ManualClock(parse_time(NOW)))


async def send(collect: Collect, path: str, body: Any, **headers: str) -> aiohttp.ClientResponse:
    """Post to the API as a server's SDK does."""
    data = body if isinstance(body, bytes) else encoded(body)
    return await collect.client.post(f"/v1/{path}", data=data, headers=JSON | headers)


async def taken(collect: Collect, path: str, body: Any) -> dict[str, Any]:
    """The one event that a body comes to."""
    answer = await send(collect, path, body)
    assert (answer.status, await answer.json()) == (200, SUCCESS)
    (record,) = collect.producer.records
    collect.producer.records.clear()
    assert record.topic.startswith("gt.raw."), record.headers
    event: dict[str, Any] = json.loads(record.value or b"")
    assert record.key == f"{event['source']}\0{event['id']}".encode()
    return event


def letters(collect: Collect) -> list[tuple[str, str, bytes]]:
    """Code, pointer and original of all dead letters."""
    dead = [record for record in collect.producer.records if record.topic == "gt.dead"]
    headers = [dict(record.headers) for record in dead]
    return [
        (own["gt-code"].decode(), own["gt-pointer"].decode(), record.value or b"")
        for own, record in zip(headers, dead, strict=True)
    ]


async def test_track_becomes_an_event() -> None:
    async with running() as collect:
        url = "https://shop.example/cart"
        context = {"page": {"url": url}, "userAgent": "Firefox", "locale": "nl-NL"}
        event = await taken(collect, "track", {**TRACK, "anonymousId": "a-7", "context": context, "writeKey": KEY})
        data = event.pop("data")
        digest = event.pop("rawdigest")
        assert event == {
            "specversion": "1.0",
            "id": "m-1",
            "source": "segment",
            "type": "order.completed",
            "time": "2026-11-22T09:59:00.250000Z",
            "channel": "web",
        }
        assert data["identifiers"] == {"account": ["u-1"], "anonymous": ["a-7"]}
        assert data["refs"] == [{"kind": "order", "id": "o-12", "status": "completed"}]
        assert (data["summary"], data["direction"]) == ("Order Completed", "in")
        assert (data["url"], data["user_agent"], data["locale"]) == (url, "Firefox", "nl-NL")
        assert (data["properties"], data["context"]) == (TRACK["properties"], context)
        assert KEY not in json.dumps(data)
        assert len(digest) == 16


CALLS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "identify": (
        "identify",
        {"userId": 7, "traits": {"email": "Ann@Example.com", "phone": "+31201234567", "plan": "pro", "fax": None}},
        {
            "type": "customer.identified",
            "identifiers": {"account": [7], "email": ["Ann@Example.com"], "phone": ["+31201234567"]},
            "traits": {"email": "Ann@Example.com", "phone": "+31201234567", "plan": "pro", "fax": None},
        },
    ),
    "page": (
        "page",
        {"anonymousId": "a-7", "properties": {"title": "Running shoes"}},
        {"type": "page.viewed", "identifiers": {"anonymous": ["a-7"]}, "summary": "Viewed Running shoes"},
    ),
    "screen": (
        "screen",
        {
            "anonymousId": "a-7",
            "name": "Home",
            "context": {"device": {"id": "D-1", "advertisingId": "AD-1", "adTrackingEnabled": True}},
        },
        {
            "type": "screen.viewed",
            "channel": "app",
            "identifiers": {"anonymous": ["a-7"], "device": ["D-1", "AD-1"]},
            "summary": "Viewed Home",
        },
    ),
    "app that may not track": (
        "track",
        {
            "anonymousId": "a-7",
            "event": "Opened",
            "context": {
                "library": {"name": "analytics-swift"},
                "device": {"id": "D-1", "advertisingId": "AD-1", "adTrackingEnabled": False},
            },
        },
        {"type": "opened", "channel": "app", "identifiers": {"anonymous": ["a-7"], "device": ["D-1"]}},
    ),
    "group": (
        "group",
        {"userId": "u-1", "groupId": "acme", "traits": {"name": "Acme", "email": "info@acme.example"}},
        {
            "type": "customer.grouped",
            "identifiers": {"account": ["u-1"]},
            "groups": {"company": ["acme"]},
            "group": {"id": "acme", "traits": {"name": "Acme", "email": "info@acme.example"}},
            "traits": None,
        },
    ),
    "alias of an account": (
        "alias",
        {"userId": "u-2", "previousId": "u-1"},
        {"type": "customer.aliased", "identifiers": {"account": ["u-2", "u-1"]}},
    ),
    "alias of an anonymous visitor": (
        "alias",
        {"userId": "u-2", "previousId": "507f191e-8a9b-4c4d-9e00-0123456789ab"},
        {"identifiers": {"account": ["u-2"], "anonymous": ["507f191e-8a9b-4c4d-9e00-0123456789ab"]}},
    ),
    "contacts in the context": (
        "track",
        {
            "userId": "u-1",
            "event": "Opened",
            "context": {
                "traits": {"email": "ann@example.com", "phone": 31201234567, "plan": "pro"},
                "externalIds": [{"type": "email", "id": "ann@work.example"}, {"type": "other", "id": "x"}],
                "groupId": "acme",
            },
        },
        {
            "identifiers": {
                "account": ["u-1"],
                "email": ["ann@example.com", "ann@work.example"],
                "phone": [31201234567],
            },
            "groups": {"company": ["acme"]},
            "traits": None,
        },
    ),
}


@pytest.mark.parametrize(("call", "message", "expected"), CALLS.values(), ids=CALLS)
async def test_what_each_call_comes_to(call: str, message: dict[str, Any], expected: dict[str, Any]) -> None:
    async with running() as collect:
        event = await taken(collect, call, {"timestamp": NOW, **message})
        shown = {**event["data"], **{name: event[name] for name in ("type", "channel")}}
        assert {name: shown.get(name) for name in expected} == expected


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


async def test_a_retry_is_the_same_event_however_it_travelled() -> None:
    async with running() as collect:
        digests = set()
        for changes in ({}, {"sentAt": NOW}, {"writeKey": KEY, "receivedAt": NOW}, {"_metadata": {"retryCount": 2}}):
            event = await taken(collect, "batch", {"batch": [TRACK | changes], "sentAt": NOW})
            digests.add((event["id"], event["rawdigest"]))
        assert len(digests) == 1
        other = await taken(collect, "track", TRACK | {"event": "Order Cancelled"})
        assert (other["id"], other["rawdigest"]) not in digests


async def test_a_message_without_id_or_time_is_given_both_and_stays_the_same() -> None:
    async with running() as collect:
        bare = {"userId": "u-1", "event": "Clicked"}
        first, again = await taken(collect, "track", bare), await taken(collect, "track", bare | {"sentAt": NOW})
        assert first == again
        assert (first["time"], first["timeassigned"]) == (format_time(parse_time(NOW)), True)
        assert (await taken(collect, "track", bare | {"userId": "u-2"}))["id"] != first["id"]
        told = await taken(collect, "track", bare | {"originalTimestamp": "2026-11-22T09:00:00+01:00"})
        assert (told["time"], told.get("timeassigned")) == ("2026-11-22T08:00:00Z", None)


async def test_the_context_of_a_batch_is_that_of_its_messages() -> None:
    async with running() as collect:
        batch: dict[str, Any] = {
            "batch": [TRACK | {"context": {"locale": "nl"}}],
            "context": {"locale": "en", "ip": "8.8.8.8"},
        }
        assert (await taken(collect, "batch", batch))["data"]["context"] == {"locale": "nl", "ip": "8.8.8.8"}
        batch["batch"] = [TRACK | {"context": None}]
        assert (await taken(collect, "batch", batch))["data"]["context"] == {"locale": "en", "ip": "8.8.8.8"}


HOSTILE: dict[str, tuple[Any, str, str]] = {
    "text": ("x", "not_an_object", ""),
    "null": (None, "not_an_object", ""),
    "list": ([TRACK], "not_an_object", ""),
    "no type": ({"userId": "u"}, "missing_attribute", "/type"),
    "unknown type": (TRACK | {"type": "delete"}, "wrong_attribute", "/type"),
    "type no text": (TRACK | {"type": ["track"]}, "wrong_attribute", "/type"),
    "track without event": (TRACK | {"event": None}, "missing_attribute", "/event"),
    "event no text": (TRACK | {"event": {"a": 1}}, "missing_attribute", "/event"),
    "event of spaces": (TRACK | {"event": "  "}, "missing_attribute", "/event"),
    "nobody's": (TRACK | {"userId": None}, "no_usable_identifier", "/data/identifiers"),
    "placeholders": (TRACK | {"userId": "null", "anonymousId": ""}, "no_usable_identifier", "/data/identifiers"),
    "id no text": (TRACK | {"userId": {"$oid": "5"}}, "wrong_attribute", "/data/identifiers/account/0"),
    "id true": (TRACK | {"userId": True}, "wrong_attribute", "/data/identifiers/account/0"),
    "id too long": (TRACK | {"userId": "x" * 300}, "identifier_too_long", "/data/identifiers/account/0"),
    "message id too long": (TRACK | {"messageId": "x" * 300}, "id_too_long", "/id"),
    "message id no text": (TRACK | {"messageId": {}, "x": [1.5]}, "", ""),
    "traits no object": ({"type": "identify", "userId": "u", "traits": [1]}, "wrong_attribute", "/data/traits"),
    "time no time": (TRACK | {"timestamp": "yesterday"}, "mapping_failed", ""),
    "time a number": (TRACK | {"timestamp": 1763805540}, "mapping_failed", ""),
    "time to come": (TRACK | {"timestamp": "2031-01-01T00:00:00Z"}, "future_time", "/time"),
    "null byte": (TRACK | {"properties": {"a": "\0"}}, "null_byte", "/properties/a"),
    "too deep": (TRACK | {"properties": json.loads("[" * 40 + "]" * 40)}, "nesting_too_deep", ""),
    "too large": (TRACK | {"properties": {"a": "x" * 300_000}}, "record_too_large", ""),
    "context no object": (TRACK | {"context": "x", "traits": 7, "properties": [], "name": 5}, "", ""),
}


@pytest.mark.parametrize(("message", "code", "pointer"), HOSTILE.values(), ids=HOSTILE)
async def test_a_bad_message_is_set_aside_with_its_bytes_and_the_others_are_taken(
    message: Any, code: str, pointer: str
) -> None:
    async with running() as collect:
        answer = await send(collect, "batch", {"batch": [TRACK, message, TRACK | {"messageId": "m-3"}]})
        assert (answer.status, await answer.json()) == (200, SUCCESS)
        events = [record for record in collect.producer.records if record.topic == "gt.raw.web"]
        if not code:
            assert len(events) == 3
            return
        assert [json.loads(event.value or b"")["id"] for event in events] == ["m-1", "m-3"]
        ((told, place, original),) = letters(collect)
        assert (told, original) == (code, encoded(message))
        assert place.startswith(pointer)
        assert collect.outcome(code) == 1
        assert collect.outcome("accepted") == 2


async def test_a_dead_letter_says_where_it_came_from() -> None:
    async with running(access=keyed()) as collect:
        await send(collect, "track", {"event": "Clicked", "writeKey": KEY})
        (record,) = collect.producer.records
        headers = dict(record.headers)
        assert (headers["gt-stage"], headers["gt-topic"]) == (b"collect", b"segment:shop-web")
        assert (headers["gt-source"], headers["content-type"]) == (b"shop-web", b"application/json")


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


async def test_a_registration_decides_channel_and_mapping() -> None:
    mapping = b"""
version: 1
source: till
when: type == 'track'
event: {id: messageId, type: "'till.used'", time: timestamp, data: {identifiers: {loyalty: userId}, whole: "@"}}
"""
    registry = SourceRegistry({"till": Source(channel="store")})
    async with running(access=keyed(source="till", name="till"), registry=registry) as collect:
        assert (await taken(collect, "screen", {"userId": "u", "writeKey": KEY}))["channel"] == "store"
    mappings = MappingSet({"till": Mapping(mapping)})
    async with running(access=keyed(source="till", name="till"), registry=registry, mappings=mappings) as collect:
        travelled = {"userId": "4711", "writeKey": KEY, "sentAt": NOW, "_metadata": {"retryCount": 1}}
        batch = {"batch": [TRACK | travelled, {"type": "page", "userId": "u"}], "writeKey": KEY}
        event = await taken(collect, "batch", batch)
        # No mapping sees the key, nor how the message travelled.
        assert event["data"]["whole"] == TRACK | {"userId": "4711"}
        assert (event["type"], event["source"], event["channel"]) == ("till.used", "till", "store")
        assert collect.outcome("skipped") == 1
        # What a mapping leaves out on purpose was not refused.
        assert b"goldenthread_events_dropped_total{" not in collect.metrics.exposition()


async def test_what_is_written_is_what_intake_reads() -> None:
    async with running() as collect:
        await send(
            collect,
            "batch",
            {"batch": [{"timestamp": NOW, "type": call, **message} for call, message, _ in CALLS.values()]},
        )
        assert len(collect.producer.records) == len(CALLS)
        for record in collect.producer.records:
            assert parse_structured(record.value or b"").fields.identifiers


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
