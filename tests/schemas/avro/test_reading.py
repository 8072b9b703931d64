"""Goal: Avro of any schema becomes the JSON of its content, and no bytes do worse than an EventError.

Method: values that an independent library wrote; those bytes, mutated; bombs, with a bound on time and memory.
"""

import contextlib
import json
import random
import time
import tracemalloc
from datetime import UTC, date, datetime
from datetime import time as clock
from decimal import Decimal
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.avro.framing import frame_of, is_framed, schema_id_of
from schemas.avro.reading import AvroReader
from schemas.avro.values import DEPTH_MAX
from schemas.errors import DeadCode, EventError, UnusableSchemaError
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.strict_json import read_json
from tests.schemas.avro.any_avro import Sample, mutated, samples, written

SHOP = {
    "type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"},
        {"name": "lines", "type": {"type": "array", "items": {
            "type": "record", "name": "Line", "fields": [
                {"name": "sku", "type": "string"}, {"name": "count", "type": "int"},
                {"name": "price", "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}},
            ]}}},
        {"name": "tags", "type": {"type": "map", "values": ["null", "string", "long"]}},
        {"name": "paid", "type": {"type": "enum", "name": "Paid", "symbols": ["NO", "YES"]}},
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "parent", "type": ["null", "Order"], "default": None},
    ],
}  # fmt: skip
ORDER = {
    "id": "o-1", "lines": [{"sku": "s", "count": 2, "price": Decimal("12.50")}] * 3,
    "tags": {"a": "x", "b": None, "c": 7},
    "paid": "YES", "at": datetime(2026, 11, 22, 10, tzinfo=UTC), "parent": None,
}  # fmt: skip
NODE = {
    "type": "record", "name": "Node", "fields": [
        {"name": "next", "type": ["null", "Node"], "default": None},
    ],
}  # fmt: skip


def read(schema: Any, body: bytes) -> Any:
    return msgspec.json.decode(AvroReader(json.dumps(schema)).json(body))


def refusal(schema: Any, body: bytes) -> EventError:
    with pytest.raises(EventError) as raised:
        AvroReader(json.dumps(schema)).json(body)
    return raised.value


@settings(max_examples=200)
@given(samples())
def test_any_value_becomes_the_json_of_its_content(sample: Sample) -> None:
    assert read(sample.schema, written(sample)) == sample.json


@pytest.mark.parametrize(
    ("kind", "value", "text"),
    [
        ({"type": "long", "logicalType": "timestamp-millis"}, datetime(2026, 11, 22, 10, 0, 0, 5000, UTC),
         "2026-11-22T10:00:00.005Z"),
        ({"type": "long", "logicalType": "timestamp-micros"}, datetime(1969, 7, 20, 20, 17, 40, 1, UTC),
         "1969-07-20T20:17:40.000001Z"),
        ({"type": "long", "logicalType": "timestamp-nanos"}, 1_000_000_001, "1970-01-01T00:00:01Z"),
        ({"type": "long", "logicalType": "local-timestamp-millis"}, datetime(2026, 11, 22, 10), "2026-11-22T10:00:00"),  # noqa: DTZ001 - a local time has no zone.
        ({"type": "int", "logicalType": "date"}, date(2026, 11, 22), "2026-11-22"),
        ({"type": "int", "logicalType": "time-millis"}, clock(23, 59, 59, 999000), "23:59:59.999"),
        ({"type": "long", "logicalType": "time-micros"}, clock(1, 2, 3), "01:02:03"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("-12.50"), "-12.50"),
        ({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}, Decimal("0.05"), "0.05"),
        ({"type": "fixed", "name": "D", "size": 6, "logicalType": "decimal", "precision": 12, "scale": 0},
         Decimal(123456789012), "123456789012"),
        ({"type": "string", "logicalType": "uuid"}, UUID(int=7), "00000000-0000-0000-0000-000000000007"),
        ({"type": "fixed", "name": "U", "size": 16, "logicalType": "uuid"}, UUID(int=7).bytes,
         "00000000-0000-0000-0000-000000000007"),
        ({"type": "fixed", "name": "P", "size": 12, "logicalType": "duration"},
         (14).to_bytes(4, "little") + (3).to_bytes(4, "little") + (4005).to_bytes(4, "little"), "P14M3DT4.005S"),
        ({"type": "string", "logicalType": "of-our-own"}, "as it is", "as it is"),
    ],
)  # fmt: skip
def test_logical_types_become_text(kind: Any, value: Any, text: str) -> None:
    assert read(kind, written(Sample(kind, value, text))) == text


def test_a_record_with_everything_in_it() -> None:
    assert read(SHOP, written(Sample(SHOP, ORDER, None))) == {
        "id": "o-1", "lines": [{"sku": "s", "count": 2, "price": "12.50"}] * 3, "tags": {"a": "x", "b": None, "c": 7},
        "paid": "YES", "at": "2026-11-22T10:00:00Z",
    }  # fmt: skip


def test_a_field_that_is_null_by_default_is_left_out_while_it_is_null_and_another_is_not() -> None:
    fields = [{"name": "a", "type": ["null", "int"], "default": None}, {"name": "b", "type": ["null", "int"]}]
    schema = {"type": "record", "name": "R", "fields": fields}
    assert read(schema, written(Sample(schema, {"a": None, "b": None}, None))) == {"b": None}
    assert read(schema, written(Sample(schema, {"a": 0, "b": 0}, None))) == {"a": 0, "b": 0}


def test_a_field_that_holds_json_is_that_value_and_is_checked() -> None:
    schema = {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string", "goldenthread.json": True}]}
    assert read(schema, written(Sample(schema, {"a": '{"x":[1]}'}, None))) == {"a": {"x": [1]}}
    for text in ("", "{", '1,"specversion":"1.0"', "nothing"):
        error = refusal(schema, written(Sample(schema, {"a": text}, None)))
        assert (error.code, error.pointer) == (DeadCode.BROKEN_AVRO, "/a")


def test_schemas_that_a_schema_names_are_read_with_it() -> None:
    line = '{"type":"record","name":"shop.Line","fields":[{"name":"sku","type":"string"}]}'
    fields = [{"name": "line", "type": "shop.Line"}, {"name": "gift", "type": "Line"}]
    order = json.dumps({"type": "record", "name": "shop.Order", "fields": fields})
    assert AvroReader(order, [line]).json(b"\x02a\x02b") == b'{"line":{"sku":"a"},"gift":{"sku":"b"}}'
    with pytest.raises(UnusableSchemaError):
        AvroReader(order)


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        (b"", "/id"),
        (b"\x06o-", "/id"),
        (b"\x01", "/id"),
        (b"\xff" * 11, "/id"),
        (b"\x02\xff", "/id"),
        (b"\x02o\x02\x02s", "/lines/0/count"),
        (b"\x02o\x02\x02s\x80\x80\x80\x80\x80\x01", "/lines/0/count"),
        (b"\x02o\x00\x02\x02a\x06", "/tags/0"),
        (b"\x02o\x00\x00\x04", "/paid"),
        (b"\x02o\x00\x00\x02" + b"\xff" * 9 + b"\x01", "/at"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: bytes, pointer: str) -> None:
    error = refusal(SHOP, body)
    assert (error.code, error.pointer) == (DeadCode.BROKEN_AVRO, pointer)
    assert "at byte" in error.message


def test_bytes_after_the_value_are_refused() -> None:
    assert "1 bytes follow" in refusal("int", b"\x02\x02").message


def test_mutated_bytes_give_a_value_or_an_event_error() -> None:
    dice, reader = random.Random(7), AvroReader(json.dumps(SHOP))
    whole = written(Sample(SHOP, {**ORDER, "parent": ORDER}, None))
    codes = set()
    for _ in range(20_000):
        try:
            msgspec.json.decode(reader.json(mutated(whole, dice)))
        except EventError as error:
            codes.add(error.code)
    assert DeadCode.BROKEN_AVRO in codes


@settings(max_examples=150)
@given(samples(), st.binary(max_size=60))
def test_any_bytes_by_any_schema_give_a_value_or_an_event_error(sample: Sample, body: bytes) -> None:
    with contextlib.suppress(EventError):
        AvroReader(json.dumps(sample.schema)).json(body)


NAMES = ["n" * 200 + str(each) for each in range(500)]
WIDE = {"type": "record", "name": "W", "fields": [{"name": each, "type": "null"} for each in NAMES]}
SYMBOL = {"type": "enum", "name": "E", "symbols": ["S" * 1000]}
BOMBS = {
    "2^62 nulls": ({"type": "array", "items": "null"}, b"\xfe" + b"\xff" * 7 + b"\x7f"),
    "2^62 empty records": (
        {"type": "array", "items": {"type": "record", "name": "R", "fields": []}}, b"\xfe" + b"\xff" * 7 + b"\x7f"
    ),
    "a negative count": ({"type": "array", "items": "null"}, b"\xff" * 9 + b"\x01" + b"\x00"),
    "a large body of blocks of nulls": ({"type": "array", "items": "null"}, b"\xfe\xff\xff\x01" * 60_000),
    "records of names alone": ({"type": "array", "items": WIDE}, b"\xfe\xff\x7f" * 80_000),
    "a list without an end": (NODE, b"\x02" * 250_000 + b"\x00"),
    "lists of lists": ({"type": "record", "name": "L", "fields": [
        {"name": "l", "type": {"type": "array", "items": "L"}}]}, b"\x02" * 250_000),
    "a record that holds itself": ({"type": "record", "name": "S", "fields": [{"name": "s", "type": "S"}]}, b""),
    "a length of 2^62": ("bytes", b"\xfe" + b"\xff" * 7 + b"\x7f"),
    "a huge decimal": (
        {"type": "bytes", "logicalType": "decimal", "precision": 100, "scale": 2}, b"\xc0\x9a\x0c" + b"\x7f" * 100_000
    ),
    "long symbols": ({"type": "array", "items": SYMBOL}, b"\xfe\xff\x07" + b"\x00" * 100_000),
}  # fmt: skip


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_within_bounds_of_time_and_memory(name: str) -> None:
    schema, body = BOMBS[name]
    reader = AvroReader(json.dumps(schema))
    tracemalloc.start()
    try:
        with pytest.raises(EventError) as raised:
            reader.json(body)
        peak_bytes = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert raised.value.code in {DeadCode.BROKEN_AVRO, DeadCode.NESTING_TOO_DEEP}
    assert peak_bytes < 64 * 1024 * 1024
    began = time.process_time()
    with pytest.raises(EventError):
        reader.json(body)
    assert time.process_time() - began < 1.0


def test_a_list_is_read_to_the_depth_that_is_allowed_and_told_past_it() -> None:
    assert read(NODE, b"\x02" * (DEPTH_MAX - 1) + b"\x00")
    assert refusal(NODE, b"\x02" * DEPTH_MAX + b"\x00").code is DeadCode.NESTING_TOO_DEEP


def test_an_event_may_fill_its_bound_and_no_more() -> None:
    schema = {"type": "array", "items": "int"}
    count = EVENT_SIZE_BYTES_MAX // 2 - 8
    body = written(Sample(schema, [1] * count, None))
    assert len(AvroReader(json.dumps(schema)).json(body)) > 200_000
    assert refusal("bytes", bytes(EVENT_SIZE_BYTES_MAX + 1)).code is DeadCode.RECORD_TOO_LARGE


@pytest.mark.parametrize(
    "text",
    [
        "", "{", "7", "null", '"unknown"', "{}", '{"type":"record"}', '{"type":"array"}', '{"type":"enum","name":"E"}',
        '{"type":{"type":{"type":"nothing"}}}', '{"type":"fixed","name":"F"}', '{"type":["a"]}',
        '{"type":"record","name":"R","fields":[{"name":"a"}]}', '{"type":"record","name":"R","fields":7}',
        '{"type":"record","name":"R","fields":[{"name":"a","type":"Missing"}]}', "[" * 100_000,
        '"' + "x" * 2_000_000 + '"',
        '{"type":"array","items":' * 5000, '{"type":"fixed","name":"F","size":"large"}',
    ],
)  # fmt: skip
def test_what_is_no_schema_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UnusableSchemaError, match=r".+"):
        AvroReader(text)


KEYS = ["type", "name", "fields", "items", "values", "symbols", "size", "logicalType", "precision", "scale"]
SCHEMAS = st.recursive(
    st.sampled_from(["int", "string", "record", "R", 7, None]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4),
    max_leaves=12,
)


@given(SCHEMAS, st.binary(max_size=8))
def test_any_json_as_a_schema_is_read_by_or_refused(schema: Any, body: bytes) -> None:
    with contextlib.suppress(UnusableSchemaError, EventError):
        AvroReader(json.dumps(schema)).json(body)


def test_framing_has_an_id_or_is_none() -> None:
    assert schema_id_of(frame_of(77) + b"x") == 77
    assert is_framed(frame_of(1))
    assert not is_framed(b'{"a":1}')
    assert not is_framed(b"")
    assert not is_framed(None)
    for value in (b"\x00", b"\x00\x00\x00\x00", b"{}{}{}", b"\x00" * 5, b"\x00\xff\xff\xff\xff"):
        with pytest.raises(EventError) as raised:
            schema_id_of(value)
        assert raised.value.code is DeadCode.BROKEN_AVRO


def test_null_characters_and_depth_are_for_the_readers_of_the_json_to_judge() -> None:
    with pytest.raises(EventError) as raised:
        read_json(AvroReader('{"type":"map","values":"string"}').json(b"\x02\x02a\x02\x00\x00"))
    assert raised.value.code is DeadCode.NULL_BYTE
