"""Messages of the Segment spec: what becomes of a good one, and that a bad one is set aside alone."""

import json
from typing import Any

import pytest

from schemas.event import parse_structured
from schemas.mapping import Mapping, MappingSet
from schemas.sources import Source, SourceRegistry
from schemas.times import format_time, parse_time
from tests.connectors.collect.http_service import NOW, encoded, running
from tests.connectors.collect.segment_requests import KEY, SUCCESS, TRACK, keyed, letters, send, taken


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
async def test_each_call_becomes_the_event_that_it_means(
    call: str, message: dict[str, Any], expected: dict[str, Any]
) -> None:
    async with running() as collect:
        event = await taken(collect, call, {"timestamp": NOW, **message})
        shown = {**event["data"], **{name: event[name] for name in ("type", "channel")}}
        assert {name: shown.get(name) for name in expected} == expected


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


async def test_no_dead_letter_holds_a_key() -> None:
    bad = {"userId": "null", "event": "Clicked", "writeKey": KEY}
    async with running(access=keyed()) as collect:
        await send(collect, "track", bad)
        await send(
            collect, "batch", {"batch": [bad | {"type": "track"}, {"type": "nope", "writeKey": KEY}], "writeKey": KEY}
        )
        assert len(collect.producer.records) == 3
        for record in collect.producer.records:
            assert KEY not in f"{record}"
        # The rest is as it was sent.
        assert letters(collect)[0][2] == encoded({"userId": "null", "event": "Clicked"})


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
