"""Events over HTTP: what is answered, what is written, and that an answer never promises more than the broker did."""

import asyncio
from typing import Any

import msgspec
import pytest
from multidict import CIMultiDict, CIMultiDictProxy

from connectors.collect.cloud_events_http import binary_attributes
from connectors.collect.delivery import STALLED_SECONDS
from schemas.errors import DeadCode, EventError
from schemas.event import parse_structured
from schemas.topics import partition_of
from tests.connectors.collect.http_service import BATCH, STRUCTURED, encoded, event, running
from tests.connectors.web.problem_shape import assert_problem
from tests.waiting import until

BINARY = {
    "Content-Type": "application/json",
    "ce-specversion": "1.0",
    "ce-id": "e-1",
    "ce-source": "shop-web",
    "ce-type": "page.viewed",
    "ce-time": "2026-11-22T10:00:00Z",
    "ce-channel": "web",
}
DATA = {"identifiers": {"cookie": "c-77"}}


async def test_structured_event_is_written_as_it_was_sent() -> None:
    body = (
        b'  {"channel":"web", "specversion":"1.0","id":"e-1","source":"shop-web","type":"t",'
        b'"time":"2026-11-22T10:00:00+01:00", "data":{"identifiers":{"cookie":"c"}, "n": 1.50}}\n'
    )
    async with running() as collect:
        response = await collect.post(body)
        assert (response.status, await response.json()) == (202, {"accepted": 1})
        (record,) = collect.producer.records
        assert record.topic == "gt.raw.web"
        assert record.value == body
        assert record.key == b"shop-web\0e-1"
        assert record.partition == partition_of(record.key, 4)
        assert record.headers == (("content-type", b"application/cloudevents+json"),)
        assert collect.outcome("accepted") == 1
    assert collect.producer.closed


async def test_channel_of_the_registration_is_added() -> None:
    async with running() as collect:
        sent = event(source="till", channel=None)
        assert (await collect.post(sent)).status == 202
        (record,) = collect.producer.records
        assert record.topic == "gt.raw.store"
        assert msgspec.json.decode(record.value or b"") == sent | {"channel": "store"}


async def test_binary_event_is_written_in_structured_mode() -> None:
    async with running() as collect:
        headers = BINARY | {
            "ce-id": "%E2%82%AC%201",
            "ce-sentby": '"a \\"b\\""',
            "Content-Type": "application/json; charset=utf-8",
        }
        response = await collect.post(DATA, headers)
        assert (response.status, await response.json()) == (202, {"accepted": 1})
        (record,) = collect.producer.records
        assert record.topic == "gt.raw.web"
        written = parse_structured(record.value or b"")
        assert (written.id, written.source, written.channel) == ("€ 1", "shop-web", "web")
        assert written.extensions["sentby"] == 'a "b"'
        assert msgspec.json.decode(written.data) == DATA


async def test_batch_is_written_event_by_event() -> None:
    events = [event(1), event(2, channel="chat"), event(3, source="till", channel=None)]
    async with running() as collect:
        response = await collect.post(events, BATCH)
        assert (response.status, await response.json()) == (202, {"accepted": 3})
        assert [record.topic for record in collect.producer.records] == ["gt.raw.web", "gt.raw.chat", "gt.raw.store"]
        assert [record.value for record in collect.producer.records[:2]] == [encoded(each) for each in events[:2]]
        value = collect.metrics.registry.get_sample_value(
            "goldenthread_events_received_total", {"stage": "collect", "channel": "chat"}
        )
        assert value == 1


async def test_empty_batch_is_accepted() -> None:
    async with running() as collect:
        response = await collect.post(b"[]", BATCH)
        assert (response.status, await response.json()) == (202, {"accepted": 0})
        assert collect.producer.records == []


@pytest.mark.parametrize(("body", "accepted"), [(event(), 1), ([event(1), event(2)], 2)])
async def test_plain_json_is_an_event_or_a_batch(body: Any, accepted: int) -> None:
    async with running() as collect:
        response = await collect.post(b"\n" + encoded(body), {"Content-Type": "application/json"})
        assert (response.status, await response.json()) == (202, {"accepted": accepted})


def _deep(levels: int) -> dict[str, Any]:
    return {"a": _deep(levels - 1)} if levels else {}


BAD_EVENTS = {
    "not JSON": (b"{", "not_json", ""),
    "empty": (b"", "not_json", ""),
    "not an object": (b"7", "not_an_object", ""),
    "array as one event": (b"[]", "not_an_object", ""),
    "invalid UTF-8": (b'{"id":"\xff"}', "invalid_utf8", ""),
    "null byte": (event(id="a\0b"), "null_byte", "/id"),
    "no specversion": (event(specversion=None), "missing_attribute", "/specversion"),
    "other specversion": (event(specversion="0.3"), "wrong_attribute", "/specversion"),
    "no id": (event(id=None), "missing_attribute", "/id"),
    "id no text": (event(id=7), "wrong_attribute", "/id"),
    "id too long": (event(id="x" * 257), "id_too_long", "/id"),
    "no source": (event(source=None), "missing_attribute", "/source"),
    "no type": (event(type=None), "missing_attribute", "/type"),
    "no time": (event(time=None), "missing_attribute", "/time"),
    "unparsable time": (event(time="yesterday"), "invalid_time", "/time"),
    "future time": (event(time="2026-11-22T10:06:00Z"), "future_time", "/time"),
    "no channel": (event(channel=None), "unknown_channel", "/channel"),
    "unknown channel": (event(channel="moon"), "unknown_channel", "/channel"),
    "unknown channel of registration": (event(source="lost", channel=None), "unknown_channel", "/channel"),
    "data no object": (event(data=[]), "not_an_object", "/data"),
    "no data": (event(data=None), "no_usable_identifier", "/data/identifiers"),
    "no usable identifier": (
        event(data={"identifiers": {"email": "null"}}),
        "no_usable_identifier",
        "/data/identifiers",
    ),
    "identifier too long": (
        event(data={"identifiers": {"cookie": "x" * 257}}),
        "identifier_too_long",
        "/data/identifiers/cookie",
    ),
    "too many identifiers": (
        event(data={"identifiers": {"cookie": [f"c-{number}" for number in range(17)]}}),
        "too_many_identifiers",
        "/data/identifiers",
    ),
    "too many traits": (
        event(data=DATA | {"traits": {f"t{number}": 1 for number in range(65)}}),
        "too_many_traits",
        "/data/traits",
    ),
    "trait too large": (event(data=DATA | {"traits": {"t": "x" * 1025}}), "trait_too_large", "/data/traits/t"),
    "event too large": (event(data=DATA | {"note": "x" * 262_144}), "record_too_large", ""),
}


@pytest.mark.parametrize(("body", "code", "pointer"), BAD_EVENTS.values(), ids=BAD_EVENTS)
async def test_bad_event_is_refused_with_code_and_pointer(body: Any, code: str, pointer: str) -> None:
    async with running() as collect:
        problem = await assert_problem(await collect.post(body), 400, code, pointer)
        assert problem["errors"][0]["code"] == code
        assert collect.producer.records == []
        assert collect.outcome(code) == 1
        assert (await collect.post(event())).status == 202


async def test_nesting_too_deep_is_refused() -> None:
    async with running() as collect:
        response = await collect.post(event(data=DATA | {"deep": _deep(20)}))
        problem = await assert_problem(response, 400, "nesting_too_deep", *["/data/deep" + "/a" * 15])
        assert problem["errors"][0]["code"] == "nesting_too_deep"
        assert (await collect.post(b"[" * 100_000)).status == 400


@pytest.mark.parametrize(
    ("changes", "code", "pointer"),
    [
        ({"ce-time": ""}, "wrong_attribute", "/time"),
        ({"ce-id": "%FF"}, "invalid_utf8", "/id"),
        ({"ce-id": "a%00b"}, "null_byte", "/id"),
        ({"ce-channel": "moon"}, "unknown_channel", "/channel"),
        ({"ce-specversion": "2"}, "wrong_attribute", "/specversion"),
        ({"ce-datacontenttype": "text/plain"}, "wrong_attribute", "/datacontenttype"),
    ],
)
async def test_bad_binary_event_is_refused(changes: dict[str, str], code: str, pointer: str) -> None:
    async with running() as collect:
        await assert_problem(await collect.post(DATA, BINARY | changes), 400, code, pointer)


def test_binary_attribute_given_twice_is_refused() -> None:
    headers = CIMultiDictProxy(CIMultiDict([*BINARY.items(), ("CE-Id", "other")]))
    with pytest.raises(EventError) as refused:
        binary_attributes(headers)
    assert (refused.value.code, refused.value.pointer) == (DeadCode.WRONG_ATTRIBUTE, "/id")


async def test_missing_binary_attribute_is_refused() -> None:
    async with running() as collect:
        headers = {name: value for name, value in BINARY.items() if name != "ce-type"}
        await assert_problem(await collect.post(DATA, headers), 400, "missing_attribute", "/type")


@pytest.mark.parametrize("body", [b"", b"{", b'{"a":"\xff"}'])
async def test_bad_binary_data_is_refused(body: bytes) -> None:
    async with running() as collect:
        response = await collect.post(body, BINARY)
        assert response.status == 400
        assert collect.producer.records == []


async def test_batch_is_all_or_nothing_with_a_pointer_for_each_bad_event() -> None:
    events = [event(1), event(2, time="soon"), event(3), event(4, channel="moon"), "five"]
    async with running() as collect:
        problem = await assert_problem(
            await collect.post(events, BATCH), 400, "batch_refused", "/1/time", "/3/channel", "/4"
        )
        assert [error["code"] for error in problem["errors"]] == ["invalid_time", "unknown_channel", "not_an_object"]
        assert problem["detail"] == "3 of 5 events are refused, so none is taken."
        assert collect.producer.records == []
        assert collect.outcome("invalid_time") == 1
        assert collect.outcome("refused_with_batch") == 2


async def test_only_the_first_faults_of_a_batch_are_listed() -> None:
    async with running() as collect:
        response = await collect.post([event(number, type=None) for number in range(100)], BATCH)
        pointers = [f"/{number}/type" for number in range(20)]
        problem = await assert_problem(response, 400, "batch_refused", *pointers)
        assert "the first 20 are listed" in problem["detail"]
        assert collect.outcome("missing_attribute") == 100


@pytest.mark.parametrize(("body", "code"), [(b"[1,", "not_json"), (b"{}", "not_an_object"), (b"\xff", "invalid_utf8")])
async def test_batch_that_is_none_is_refused(body: bytes, code: str) -> None:
    async with running() as collect:
        await assert_problem(await collect.post(body, BATCH), 400, code, "")


async def test_batch_too_long_is_refused() -> None:
    async with running(batch_events_max=3) as collect:
        assert (await collect.post([event(number) for number in range(3)], BATCH)).status == 202
        response = await collect.post([event(number) for number in range(4)], BATCH)
        await assert_problem(response, 413, "batch_too_long")
        assert len(collect.producer.records) == 3


async def test_event_that_grows_past_the_bound_by_its_channel_is_refused() -> None:
    async with running() as collect:
        small = encoded(event(source="till", channel=None, data=DATA | {"note": ""}))
        sent = event(source="till", channel=None, data=DATA | {"note": "x" * (262_144 - len(small))})
        assert len(encoded(sent)) == 262_144
        await assert_problem(await collect.post(sent), 400, "record_too_large", "")


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "application/cloudevents+avro"])
async def test_other_content_types_are_refused(content_type: str) -> None:
    async with running() as collect:
        response = await collect.post(event(), {"Content-Type": content_type})
        await assert_problem(response, 415, "unsupported_media_type")
        assert response.headers["Accept"].startswith("application/cloudevents+json")


async def test_encoded_body_is_refused() -> None:
    async with running() as collect:
        response = await collect.post(b"\x1f\x8b\x08", STRUCTURED | {"Content-Encoding": "br"})
        await assert_problem(response, 415, "unsupported_encoding")


async def test_body_above_its_setting_is_refused() -> None:
    async with running(body_size_bytes=100) as collect:
        await assert_problem(await collect.post(b"x" * 101), 413, "body_too_large")


async def test_failed_delivery_promises_nothing() -> None:
    async with running() as collect:
        collect.producer.failure = "gt.raw.web/0: timed out"
        response = await collect.post([event(1), event(2)], BATCH)
        problem = await assert_problem(response, 503, "not_acknowledged")
        assert "nothing is promised" in problem["detail"]
        assert "gt.raw.web" not in problem["detail"]
        assert response.headers["Retry-After"] == "5"
        assert collect.outcome("not_acknowledged") == 2
        assert collect.outcome("accepted") is None


async def test_answer_comes_only_after_the_acknowledgement() -> None:
    async with running() as collect:
        collect.producer.open.clear()
        answer = asyncio.create_task(collect.post(event()))
        await until(lambda: collect.producer.outstanding_bytes)
        assert not answer.done()
        collect.producer.open.set()
        assert (await answer).status == 202


async def test_too_much_under_way_is_overload() -> None:
    async with running(in_flight_bytes_max=1000) as collect:
        collect.producer.open.clear()
        first = asyncio.create_task(collect.post(event(data=DATA | {"note": "x" * 400})))
        await until(lambda: collect.producer.outstanding_bytes)
        response = await collect.post(event(2, data=DATA | {"note": "x" * 400}))
        await assert_problem(response, 503, "overloaded")
        assert response.headers["Retry-After"] == "2"
        collect.producer.open.set()
        assert (await first).status == 202
        assert (await collect.post(event(2))).status == 202


async def test_what_is_still_being_judged_takes_room_too_and_gives_it_back() -> None:
    """A lenient door lets others in while it judges: bodies that wait for that are bounded as those on their way."""
    messages = [{"type": "page", "userId": "u", "messageId": f"m-{number}"} for number in range(400)]
    batch = encoded({"batch": messages})
    json = {"Content-Type": "application/json"}
    async with running(in_flight_bytes_max=len(batch) + 100) as collect:
        posts = [collect.client.post("/v1/batch", data=batch, headers=json) for _ in range(8)]
        statuses = [answer.status for answer in await asyncio.gather(*posts)]
        assert set(statuses) == {200, 503}
        assert len(collect.producer.records) == 400 * statuses.count(200)
        # Whatever became of a request, its room is free again.
        assert (await collect.post(b"{no json")).status == 400
        assert (await collect.client.post("/v1/batch", data=batch, headers=json)).status == 200


async def test_while_the_broker_does_not_answer_others_are_told_at_once() -> None:
    async with running() as collect:
        collect.producer.waiting_seconds = STALLED_SECONDS + 1
        response = await collect.post(event())
        problem = await assert_problem(response, 503, "overloaded")
        assert "does not answer" in problem["detail"]
        assert response.headers["Retry-After"] == "2"
        collect.producer.waiting_seconds = 0.0
        assert (await collect.post(event())).status == 202


async def test_a_body_past_the_bound_has_room_when_it_is_alone() -> None:
    async with running(in_flight_bytes_max=10) as collect:
        assert (await collect.post(event())).status == 202


async def test_not_ready_before_the_broker_was_found() -> None:
    async with running(looked=False) as collect:
        await assert_problem(await collect.client.get("/readyz"), 503, "not_ready")
        await assert_problem(await collect.post(event()), 503, "not_ready")
        await collect.readiness.look()
        assert (await collect.client.get("/readyz")).status == 200
        assert (await collect.post(event())).status == 202


async def test_openapi_describes_the_three_modes_and_every_code() -> None:
    async with running() as collect:
        document: dict[str, Any] = await (await collect.client.get("/openapi.json")).json()
        operation = document["paths"]["/v1/events"]["post"]
        assert operation["requestBody"]["content"].keys() == {
            "application/cloudevents+json",
            "application/cloudevents-batch+json",
            "application/json",
        }
        for _, code, _ in BAD_EVENTS.values():
            assert f"`{code}`" in operation["responses"]["400"]["description"]
            assert (await collect.client.get(f"/problems/{code}")).status == 200
        assert {"`not_acknowledged`", "`overloaded`", "`not_ready`"} <= {
            line.split(":")[0] for line in operation["responses"]["503"]["description"].split("\n")
        }
