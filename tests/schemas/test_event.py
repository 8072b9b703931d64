"""Events in: three doors that lead to one event, and a code and pointer for every way in which one can be wrong."""

import base64
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schemas.errors import DeadCode, EventError
from schemas.event import (
    CONTENT_LENGTH_BYTES,
    CloudEvent,
    encode_structured,
    is_cloud_event,
    parse_batch,
    parse_binary,
    parse_structured,
    read_record,
)
from schemas.limits import EVENT_SIZE_BYTES_MAX, ID_LENGTH_MAX, NESTING_DEPTH_MAX

DATA: dict[str, Any] = {
    "identifiers": {"cookie": "c-77", "email": "Ann@Example.com"},
    "traits": {"first_name": "Ann"},
    "summary": "Viewed running shoes",
    "direction": "in",
    "session": "s-9",
    "refs": [{"kind": "order", "id": "o-12", "status": "paid"}],
    "permissions": {"email": {"marketing": True}},
    "groups": {"company": "acme"},
    "url": "https://shop.example/p/123",
}
EVENT: dict[str, Any] = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "shop-web",
    "type": "page.viewed",
    "time": "2026-11-22T10:00:00Z",
    "channel": "web",
    "data": DATA,
}
STRUCTURED = (("content-type", b"application/cloudevents+json; charset=utf-8"),)


def structured(**changes: Any) -> bytes:
    """The event with some attributes changed; `None` takes one away."""
    event = {name: value for name, value in {**EVENT, **changes}.items() if value is not None}
    return json.dumps(event).encode()


def binary_headers(**changes: str) -> list[tuple[str, bytes]]:
    attributes = {**{name: value for name, value in EVENT.items() if name != "data"}, **changes}
    return [
        ("content-type", b"application/json"),
        *((f"ce_{name}", text.encode()) for name, text in attributes.items()),
    ]


def fault(body: bytes) -> tuple[DeadCode, str]:
    with pytest.raises(EventError) as caught:
        read_record(body)
    return caught.value.code, caught.value.pointer


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


def test_a_structured_event_is_read_whole() -> None:
    event = parse_structured(structured(subject="s"))
    assert (event.id, event.source, event.type, event.channel) == ("e-1", "shop-web", "page.viewed", "web")
    assert event.time == 1_795_341_600_000_000
    assert event.extensions == {"subject": "s"}
    assert not event.assigned
    assert json.loads(event.data) == DATA
    assert event.fields.identifiers == DATA["identifiers"]
    assert event.fields.refs is not None
    assert event.fields.refs[0].status == "paid"
    assert len(event.content) == CONTENT_LENGTH_BYTES


def test_all_doors_give_the_same_event() -> None:
    spaced = json.dumps(dict(reversed(EVENT.items())), indent=3).encode()
    packed = {name: value for name, value in EVENT.items() if name != "data"}
    packed["data_base64"] = base64.b64encode(json.dumps(DATA).encode()).decode()
    first = parse_structured(structured())
    assert read_record(spaced, STRUCTURED) == first
    assert read_record(json.dumps(DATA).encode(), binary_headers()) == first
    assert parse_batch(b"[" + structured() + b"]") == [first]
    assert parse_structured(json.dumps(packed).encode()) == first
    assert parse_structured(encode_structured(first)) == first


def test_typed_and_textual_extensions_hash_alike() -> None:
    typed = parse_structured(structured(sampled=True, attempt=3))
    texts = read_record(json.dumps(DATA).encode(), binary_headers(sampled="true", attempt="3"))
    assert typed == texts
    assert parse_structured(encode_structured(typed)) == typed


@pytest.mark.parametrize(
    "changes",
    [
        {"traceparent": "00-1-1-00"},
        {"recordedtime": "2026-11-22T10:00:01Z"},
        {"data": {**DATA, "sentAt": "2026-11-22T10:00:09Z"}},
        {"data": {**DATA, "sent_at": "2026-11-22T10:00:09Z"}},
        {"time": "2026-11-22T11:00:00+01:00"},
        {"datacontenttype": "application/json"},
        {"channel": None},
    ],
)
def test_what_only_tells_of_the_transport_does_not_change_the_content_hash(changes: dict[str, Any]) -> None:
    assert parse_structured(structured(**changes)).content == parse_structured(structured()).content


@pytest.mark.parametrize(
    "changes",
    [
        {"type": "page.left"},
        {"time": "2026-11-22T10:00:01Z"},
        {"subject": "s"},
        {"data": {**DATA, "url": "https://shop.example/p/124"}},
    ],
)
def test_everything_else_changes_the_content_hash(changes: dict[str, Any]) -> None:
    assert parse_structured(structured(**changes)).content != parse_structured(structured()).content


def test_an_assigned_time_is_no_part_of_the_content() -> None:
    one = parse_structured(structured(timeassigned=True))
    other = parse_structured(structured(timeassigned="true", time="2026-11-22T10:05:00Z"))
    assert one.assigned
    assert other.assigned
    assert one.content == other.content
    assert parse_structured(encode_structured(one)) == one


def test_the_digest_of_a_mapped_record_stands_for_the_content() -> None:
    event = parse_structured(structured(rawdigest="00ff00ff00ff00ff"))
    assert event.content == bytes.fromhex("00ff00ff")
    assert fault(structured(rawdigest="xyz")) == (DeadCode.WRONG_ATTRIBUTE, "/rawdigest")
    assert fault(structured(rawdigest="00ff")) == (DeadCode.WRONG_ATTRIBUTE, "/rawdigest")


def test_data_is_optional_in_the_envelope() -> None:
    assert parse_structured(structured(data=None)).data == b"{}"
    assert read_record(None, binary_headers()).data == b"{}"


def test_numbers_beyond_64_bits_and_repeated_keys_are_kept() -> None:
    body = structured(data={**DATA, "big": 10**40})
    assert json.loads(parse_structured(body).data)["big"] == 10**40
    repeated = structured().replace(b'"id": "e-1"', b'"id": "e-0", "id": "e-1"')
    assert parse_structured(repeated).id == "e-1"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (DeadCode.NOT_JSON, "")),
        (b"{", (DeadCode.NOT_JSON, "")),
        (b"hello", (DeadCode.NOT_JSON, "")),
        (b'{"a": NaN}', (DeadCode.NOT_JSON, "")),
        (b'{"a": Infinity}', (DeadCode.NOT_JSON, "")),
        (b'{"a": 1e999}', (DeadCode.NOT_JSON, "")),
        (b'{"a": ' + b"1" * 5000 + b"}", (DeadCode.NOT_JSON, "")),
        (b"[]", (DeadCode.NOT_AN_OBJECT, "")),
        (b'"text"', (DeadCode.NOT_AN_OBJECT, "")),
        (b"null", (DeadCode.NOT_AN_OBJECT, "")),
        (b'{"a": "\xff"}', (DeadCode.INVALID_UTF8, "")),
        (b'{"a": "\xed\xa0\x80"}', (DeadCode.INVALID_UTF8, "")),
        (b'{"a": "\\ud800"}', (DeadCode.INVALID_UTF8, "")),
        (b'{"a": "\\udc00 and on"}', (DeadCode.INVALID_UTF8, "")),
        (b'{"a": "\x00"}', (DeadCode.NULL_BYTE, "")),
        (b"[" * 100_000, (DeadCode.NESTING_TOO_DEEP, "")),
        (b'{"a":' * 40_000, (DeadCode.NESTING_TOO_DEEP, "")),
        (b" " * (EVENT_SIZE_BYTES_MAX + 1), (DeadCode.RECORD_TOO_LARGE, "")),
    ],
)
def test_bytes_that_are_no_event(body: bytes, expected: tuple[DeadCode, str]) -> None:
    assert fault(body) == expected


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type", "time"])
def test_a_required_attribute_is_missing_empty_or_of_another_type(name: str) -> None:
    assert fault(structured(**{name: None})) == (DeadCode.MISSING_ATTRIBUTE, f"/{name}")
    assert fault(structured(**{name: ""})) == (DeadCode.WRONG_ATTRIBUTE, f"/{name}")
    assert fault(structured(**{name: 7})) == (DeadCode.WRONG_ATTRIBUTE, f"/{name}")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"specversion": "0.3"}, (DeadCode.WRONG_ATTRIBUTE, "/specversion")),
        ({"time": "yesterday"}, (DeadCode.INVALID_TIME, "/time")),
        ({"time": "2026-02-30T10:00:00Z"}, (DeadCode.INVALID_TIME, "/time")),
        ({"time": "2026-11-22T10:00:00"}, (DeadCode.INVALID_TIME, "/time")),
        ({"time": "1969-12-31T23:59:59Z"}, (DeadCode.INVALID_TIME, "/time")),
        ({"time": "9999-12-31T23:59:59-12:00"}, (DeadCode.INVALID_TIME, "/time")),
        ({"time": "2" * 100}, (DeadCode.INVALID_TIME, "/time")),
        ({"id": "i" * (ID_LENGTH_MAX + 1)}, (DeadCode.ID_TOO_LONG, "/id")),
        ({"source": "s" * 300}, (DeadCode.WRONG_ATTRIBUTE, "/source")),
        ({"channel": 7}, (DeadCode.WRONG_ATTRIBUTE, "/channel")),
        ({"id": "e\0"}, (DeadCode.NULL_BYTE, "/id")),
        ({"data": {"identifiers": {"email": "a\0@b"}}}, (DeadCode.NULL_BYTE, "/data/identifiers/email")),
        ({"data": {"tra\0its": 1}}, (DeadCode.NULL_BYTE, "/data")),
        ({"data": {"list": [1, "\0"]}}, (DeadCode.NULL_BYTE, "/data/list/1")),
        ({"trace": {"a": 1}}, (DeadCode.WRONG_ATTRIBUTE, "/trace")),
        ({"score": 1.5}, (DeadCode.WRONG_ATTRIBUTE, "/score")),
        ({"timeassigned": "perhaps"}, (DeadCode.WRONG_ATTRIBUTE, "/timeassigned")),
        ({"data": []}, (DeadCode.NOT_AN_OBJECT, "/data")),
        ({"data": "text"}, (DeadCode.NOT_AN_OBJECT, "/data")),
        ({"data_base64": "e30="}, (DeadCode.WRONG_ATTRIBUTE, "/data_base64")),
        ({"data": None, "data_base64": "%%"}, (DeadCode.WRONG_ATTRIBUTE, "/data_base64")),
        ({"data": None, "data_base64": 7}, (DeadCode.WRONG_ATTRIBUTE, "/data_base64")),
        ({"data": None, "data_base64": "aGVsbG8="}, (DeadCode.NOT_JSON, "/data_base64")),
        (
            {"data": None, "data_base64": "e30=", "datacontenttype": "image/png"},
            (DeadCode.WRONG_ATTRIBUTE, "/datacontenttype"),
        ),
    ],
)
def test_a_wrong_attribute_is_named(changes: dict[str, Any], expected: tuple[DeadCode, str]) -> None:
    assert fault(structured(**changes)) == expected


@pytest.mark.parametrize(
    ("data", "pointer"),
    [
        ({"identifiers": []}, "/data/identifiers"),
        ({"identifiers": {"email": "a@b.example", "crm": 1.5}}, "/data/identifiers/crm"),
        ({"identifiers": {"crm": True}}, "/data/identifiers/crm"),
        ({"identifiers": {"email": "a@b.example", "phone": ["+31201234567", {}]}}, "/data/identifiers/phone/1"),
        ({"identifiers": {"a/b~c": {}}}, "/data/identifiers/a~1b~0c"),
        ({"traits": "x"}, "/data/traits"),
        ({"summary": 1}, "/data/summary"),
        ({"direction": "up"}, "/data/direction"),
        ({"session": []}, "/data/session"),
        ({"refs": {}}, "/data/refs"),
        ({"refs": [{"kind": "order", "id": "1"}, {"kind": "order"}]}, "/data/refs/1"),
        ({"refs": [{"kind": "order", "id": []}]}, "/data/refs/0/id"),
        ({"permissions": {"email": {"news": True}, "sms": {"news": "yes"}}}, "/data/permissions/sms/news"),
        ({"permissions": {"email": True}}, "/data/permissions/email"),
        ({"groups": {"company": [1.5]}}, "/data/groups/company/0"),
        ({"link": "no"}, "/data/link"),
    ],
)
def test_a_wrong_type_in_data_is_pointed_at(data: dict[str, Any], pointer: str) -> None:
    assert fault(structured(data=data)) == (DeadCode.WRONG_ATTRIBUTE, pointer)


def test_depth_is_bounded_exactly_and_alike_at_all_doors() -> None:
    fitting = {"deep": nested(NESTING_DEPTH_MAX - 1)}
    beyond = {"deep": nested(NESTING_DEPTH_MAX)}
    parse_structured(structured(data=fitting))
    read_record(json.dumps(fitting).encode(), binary_headers())
    pointer = "/data/deep" + "/0" * (NESTING_DEPTH_MAX - 1)
    assert fault(structured(data=beyond)) == (DeadCode.NESTING_TOO_DEEP, pointer)
    with pytest.raises(EventError) as caught:
        read_record(json.dumps(beyond).encode(), binary_headers())
    assert (caught.value.code, caught.value.pointer) == (DeadCode.NESTING_TOO_DEEP, pointer)


def test_brackets_in_texts_are_no_depth() -> None:
    assert parse_structured(structured(data={**DATA, "note": "[{" * 100})).id == "e-1"


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([("ce_id", b"\xff")], (DeadCode.INVALID_UTF8, "/id")),
        (binary_headers(id="e\0"), (DeadCode.NULL_BYTE, "/id")),
        ([*binary_headers()[1:], ("content-type", b"avro/binary")], (DeadCode.WRONG_ATTRIBUTE, "/datacontenttype")),
        (binary_headers(time="now"), (DeadCode.INVALID_TIME, "/time")),
        ([("ce_specversion", b"1.0")], (DeadCode.MISSING_ATTRIBUTE, "/id")),
        ([("content-type", b"application/cloudevents-batch+json")], (DeadCode.WRONG_ATTRIBUTE, "/datacontenttype")),
    ],
)
def test_a_wrong_header_is_named(headers: list[tuple[str, bytes]], expected: tuple[DeadCode, str]) -> None:
    with pytest.raises(EventError) as caught:
        read_record(b"{}", headers)
    assert (caught.value.code, caught.value.pointer) == expected


def test_binary_attributes_that_are_no_text_are_refused() -> None:
    with pytest.raises(EventError) as caught:
        parse_binary({"specversion": "1.0", "id": "\ud800"}, b"{}")
    assert caught.value.code is DeadCode.INVALID_UTF8


def test_a_record_without_value_is_no_event() -> None:
    with pytest.raises(EventError) as caught:
        read_record(None)
    assert caught.value.code is DeadCode.NOT_AN_OBJECT


def test_a_batch_tells_of_each_wrong_event_with_its_place() -> None:
    events = parse_batch(b"[" + b", ".join([structured(), structured(id=None), b"7"]) + b"]")
    assert isinstance(events[0], CloudEvent)
    faults = [(error.code, error.pointer) for error in events[1:] if isinstance(error, EventError)]
    assert faults == [(DeadCode.MISSING_ATTRIBUTE, "/1/id"), (DeadCode.NOT_AN_OBJECT, "/2")]
    assert parse_batch(b"[]") == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{}", DeadCode.NOT_AN_OBJECT),
        (b"[", DeadCode.NOT_JSON),
        (b"[" * 50_000, DeadCode.NESTING_TOO_DEEP),
        (b"\xff", DeadCode.INVALID_UTF8),
    ],
)
def test_a_batch_that_is_no_list_is_refused_as_a_whole(body: bytes, code: DeadCode) -> None:
    with pytest.raises(EventError) as caught:
        parse_batch(body)
    assert caught.value.code is code


def test_records_that_are_no_cloud_events_are_told_apart() -> None:
    assert is_cloud_event(structured())
    assert is_cloud_event(b"rubbish", STRUCTURED)
    assert is_cloud_event(None, binary_headers())
    assert not is_cloud_event(b'{"payload": {"specversion": "1.0"}}')
    assert not is_cloud_event(b'{"order": 1}', [("gt-source", b"shop")])
    assert not is_cloud_event(b'{"specversion"')
    assert not is_cloud_event(None)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=4) | st.dictionaries(st.text(max_size=8), children, max_size=4),
    max_leaves=12,
)
FIELDS = st.dictionaries(st.sampled_from([*DATA, "link", "parties", "sentAt"]), JSON, max_size=6)
ENVELOPES = st.fixed_dictionaries(
    {},
    optional={name: st.just(value) | JSON for name, value in EVENT.items() if name != "data"}
    | {"data": FIELDS | JSON, "data_base64": JSON, "rawdigest": JSON, "timeassigned": JSON},
)
BYTES = st.binary(max_size=200) | ENVELOPES.map(lambda value: json.dumps(value).encode())
HEADERS = st.lists(
    st.tuples(
        st.sampled_from(["content-type", *(f"ce_{name}" for name in EVENT), "ce_", "other"]),
        st.binary(max_size=20) | st.sampled_from([b"application/cloudevents+json", b"1.0", b"2026-11-22T10:00:00Z"]),
    ),
    max_size=7,
)


def read_or_fault(value: bytes, headers: list[tuple[str, bytes]]) -> CloudEvent | EventError:
    try:
        return read_record(value, headers)
    except EventError as error:
        return error


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(BYTES, HEADERS)
def test_no_bytes_crash_the_reader(value: bytes, headers: list[tuple[str, bytes]]) -> None:
    is_cloud_event(value, headers)
    event = read_or_fault(value, headers)
    if isinstance(event, EventError):
        assert event.message
        assert event.pointer == "" or event.pointer.startswith("/")
    else:
        assert parse_structured(encode_structured(event)) == event


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(FIELDS)
def test_every_place_in_data_is_pointed_at_or_accepted(data: dict[str, Any]) -> None:
    body = structured(data=data)
    event = read_or_fault(body, [])
    if isinstance(event, CloudEvent):
        assert msgspec.json.decode(event.data) == json.loads(body)["data"]
    elif event.code is DeadCode.WRONG_ATTRIBUTE:
        assert event.pointer.count("/") >= 2
    else:
        assert event.code in {DeadCode.NULL_BYTE, DeadCode.NOT_JSON, DeadCode.INVALID_UTF8}
