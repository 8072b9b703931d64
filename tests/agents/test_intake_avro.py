"""Goal: Avro on a raw topic is the same event as its JSON. Method: the same content in both forms, through intake."""

import json
import random
from pathlib import Path
from typing import Any

import msgspec
import pytest

from schemas.avro.framing import FRAME_SIZE_BYTES, frame_of, schema_id_of
from schemas.avro.reading import AvroReader
from schemas.errors import DeadCode, EventError
from schemas.messages import RoutedEvent
from schemas.sources import SourceRegistry, load_sources
from schemas.topics import Topic
from tests.agents.test_intake import MAPPING, NOW, NOW_MS, _headers, _intake, _Raw, _routed
from tests.schemas.avro.any_avro import Sample, mutated, written

TEXT_MAP = {"type": "map", "values": "string"}
DATA = {
    "type": "record", "name": "Data", "fields": [
        {"name": "identifiers", "type": TEXT_MAP},
        {"name": "summary", "type": ["null", "string"], "default": None},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "traits", "type": {"type": "map", "values": ["null", "string"]}},
    ],
}  # fmt: skip
EVENT = {
    "type": "record", "name": "Event", "fields": [
        *({"name": name, "type": "string"} for name in ("specversion", "id", "source", "type")),
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "channel", "type": ["null", "string"], "default": None},
        {"name": "data", "type": DATA},
    ],
}  # fmt: skip
TICKET = {
    "type": "record", "name": "Ticket", "fields": [
        {"name": "id", "type": "string"},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "mail", "type": "string"},
    ],
}  # fmt: skip
TICKETS = {"type": "array", "items": TICKET}
SCHEMAS: dict[int, Any] = {1: DATA, 2: EVENT, 3: TICKET, 4: TICKETS}
VALUES = {
    "identifiers": {"email": "ann@example.com", "cookie": "c-77"}, "summary": None, "at": NOW_MS,
    "traits": {"first_name": "Ann", "city": None},
}  # fmt: skip
JSON_DATA = {"identifiers": VALUES["identifiers"], "at": NOW, "traits": VALUES["traits"]}
ATTRIBUTES = (
    ("ce_specversion", b"1.0"), ("ce_id", b"e-1"), ("ce_source", b"shop-web"), ("ce_type", b"page.viewed"),
    ("ce_time", NOW.encode()),
)  # fmt: skip
AVRO = ("content-type", b"application/avro")


def read_framed(value: bytes) -> bytes:
    schema = SCHEMAS.get(schema_id_of(value))
    if schema is None:
        raise EventError(DeadCode.UNKNOWN_SCHEMA, "no such schema")
    return AvroReader(json.dumps(schema)).json(value[FRAME_SIZE_BYTES:])


def framed(schema_id: int, value: Any) -> bytes:
    return frame_of(schema_id) + written(Sample(SCHEMAS[schema_id], value, None))


def event_of(*records: _Raw, registry: SourceRegistry | None = None) -> list[RoutedEvent]:
    intake = _intake(registry, read_framed=read_framed)
    return [_routed(intake.handle(record)) for record in records]


def structured(**changes: Any) -> dict[str, Any]:
    return plain(time=NOW_MS, data=VALUES, channel=None) | changes


def plain(**changes: Any) -> dict[str, Any]:
    event = {"specversion": "1.0", "id": "e-1", "source": "shop-web", "type": "page.viewed", "time": NOW}
    return event | {"data": JSON_DATA} | changes


@pytest.fixture
def mapped(tmp_path: Path) -> SourceRegistry:
    (tmp_path / "legacy.yaml").write_text(MAPPING)
    sources = tmp_path / "sources.yaml"
    sources.write_text("sources: {legacy-crm: {channel: crm, mapping: legacy.yaml, default_for: crm}}")
    return load_sources(sources)


@pytest.mark.parametrize(
    "content_type",
    [b"application/avro", b"application/vnd.confluent.avro", b"avro/binary; charset=x", b"Application/AVRO", None],
)
def test_binary_mode_with_avro_data_is_the_event_that_its_json_is(content_type: bytes | None) -> None:
    headers = (*ATTRIBUTES, *(() if content_type is None else (("Content-Type", content_type),)))
    as_json = _Raw(json.dumps(JSON_DATA).encode(), (*ATTRIBUTES, ("content-type", b"application/json")))
    avro, text = event_of(_Raw(framed(1, VALUES), headers), as_json)
    assert avro == text
    assert msgspec.json.decode(avro.data) == JSON_DATA


def test_a_record_with_specversion_is_a_structured_event() -> None:
    text = _Raw(json.dumps(plain()).encode())
    for headers in ((), (AVRO,), (("content-type", b"application/cloudevents+avro"),)):
        avro, same = event_of(_Raw(framed(2, structured()), headers), text)
        assert avro == same


def test_a_record_of_another_shape_goes_through_the_mapping_of_its_source(mapped: SourceRegistry) -> None:
    ticket = {"id": "t-1", "at": NOW_MS, "mail": "ann@example.com"}
    text = _Raw(json.dumps(ticket | {"at": NOW}).encode(), topic="gt.raw.crm")
    named = (("gt-source", b"legacy-crm"),)
    for record in (
        _Raw(framed(3, ticket), topic="gt.raw.crm"),
        _Raw(framed(3, ticket), named, topic="gt.raw.crm"),
        _Raw(framed(3, ticket), (*named, AVRO), topic="gt.raw.crm"),
    ):
        avro, same = event_of(record, text, registry=mapped)
        assert avro == same


def test_a_record_that_its_mapping_makes_no_event_of_is_set_aside_as_it_came(mapped: SourceRegistry) -> None:
    record = _Raw(framed(3, {"id": "t-1", "at": NOW_MS, "mail": ""}), (AVRO,), topic="gt.raw.crm")
    outputs = _intake(mapped, read_framed=read_framed).handle(record)
    assert _headers(outputs)["content-type"] == b"application/avro"
    assert outputs[0].value == record.value


def test_of_several_records_in_one_value_each_bad_one_is_a_letter_of_its_own(mapped: SourceRegistry) -> None:
    tickets = [{"id": "t-1", "at": NOW_MS, "mail": "ann@example.com"}, {"id": "t-2", "at": NOW_MS, "mail": "none"}]
    tickets[1]["mail"] = ""
    record = _Raw(framed(4, tickets), (AVRO,), topic="gt.raw.crm")
    outputs = _intake(mapped, read_framed=read_framed).handle(record)
    letters = [output for output in outputs if output.topic == Topic.DEAD]
    assert len(letters) == 1
    # What is left of the value stands by itself as JSON, and is said to be.
    assert json.loads(letters[0].value or b"")["id"] == "t-2"
    assert dict(letters[0].headers)["content-type"] == b"application/json"


def test_a_copy_has_the_same_content_hash_whatever_it_came_in() -> None:
    first, second = event_of(_Raw(framed(2, structured())), _Raw(json.dumps(plain()).encode()))
    assert first.content == second.content
    other = event_of(_Raw(framed(2, structured(data=VALUES | {"summary": "other"}))))[0]
    assert other.content != first.content


@pytest.mark.parametrize(
    ("record", "code"),
    [
        (_Raw(b"\x00"), DeadCode.BROKEN_AVRO),
        (_Raw(b"\x00\x00\x00\x00\x02"), DeadCode.BROKEN_AVRO),
        (_Raw(framed(2, structured())[:-1]), DeadCode.BROKEN_AVRO),
        (_Raw(framed(2, structured()) + b"\x00"), DeadCode.BROKEN_AVRO),
        (_Raw(b"{}", (*ATTRIBUTES, AVRO)), DeadCode.BROKEN_AVRO),
        (_Raw(frame_of(99) + b"x"), DeadCode.UNKNOWN_SCHEMA),
        (_Raw(framed(2, structured(specversion="0.3"))), DeadCode.WRONG_ATTRIBUTE),
        (_Raw(framed(2, structured(id=""))), DeadCode.WRONG_ATTRIBUTE),
        (_Raw(framed(2, structured(time=-1))), DeadCode.INVALID_TIME),
        (_Raw(framed(2, structured(data=VALUES | {"identifiers": {}}))), DeadCode.NO_USABLE_IDENTIFIER),
        (_Raw(framed(2, structured(data=VALUES | {"summary": "\x00"}))), DeadCode.NULL_BYTE),
        (_Raw(framed(2, structured(data=VALUES | {"summary": "x" * 300_000}))), DeadCode.RECORD_TOO_LARGE),
        (_Raw(framed(1, VALUES)), DeadCode.MISSING_ATTRIBUTE),
    ],
)
def test_bad_avro_is_one_dead_letter_with_the_bytes_and_headers_as_they_came(record: _Raw, code: DeadCode) -> None:
    outputs = _intake(read_framed=read_framed).handle(record._replace(headers=(*record.headers, ("trace", b"t"))))
    headers = _headers(outputs)
    assert headers["gt-code"] == code.encode()
    assert headers["trace"] == b"t"
    assert outputs[0].value == record.value


def test_without_a_registry_avro_is_set_aside_for_later() -> None:
    outputs = _intake().handle(_Raw(framed(2, structured())))
    assert _headers(outputs)["gt-code"] == DeadCode.UNKNOWN_SCHEMA.encode()
    assert outputs[0].value == framed(2, structured())


def test_json_whose_content_type_merely_speaks_of_avro_stays_json() -> None:
    assert event_of(_Raw(json.dumps(plain()).encode(), (("content-type", b"application/vnd.kafka.avro.v2+json"),)))


def test_mutated_avro_is_an_event_or_a_dead_letter() -> None:
    dice, intake = random.Random(3), _intake(read_framed=read_framed)
    whole, codes = framed(2, structured()), set()
    for _ in range(2_000):
        outputs = intake.handle(_Raw(mutated(whole, dice)))
        if outputs[0].topic == Topic.DEAD:
            codes.add(_headers(outputs)["gt-code"])
    assert DeadCode.UNREADABLE_MESSAGE.encode() not in codes
    assert {DeadCode.BROKEN_AVRO.encode(), DeadCode.UNKNOWN_SCHEMA.encode()} <= codes
