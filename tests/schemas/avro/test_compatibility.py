"""Goal: only compatible changes are released. Method: a table of changes, each judged by reading real data as well."""

import copy
import io
from typing import Any

import fastavro
import pytest
from hypothesis import given, settings

from schemas.avro.compatibility import Level, differences, unreadable
from schemas.avro.public_schemas import public_schemas, released_schemas
from schemas.avro.writing import AvroWriter
from schemas.errors import UnusableSchemaError
from schemas.topics import PUBLIC_TOPICS, Topic
from tests.schemas.avro.documents import documents


def record(*fields: Any, name: str = "R", **more: Any) -> dict[str, Any]:
    return {"type": "record", "name": name, "fields": list(fields), **more}


def field(name: str, kind: Any, **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, **more}


def enum(*symbols: str, **more: Any) -> dict[str, Any]:
    return {"type": "enum", "name": "E", "symbols": list(symbols), **more}


def fixed(size: int) -> dict[str, Any]:
    return {"type": "fixed", "name": "F", "size": size}


def decimal(precision: int, scale: int) -> dict[str, Any]:
    return {"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}


A = field("a", "string")
#: Reader, writer, a value that was written, whether the one reads the other.
CHANGES = [
    (record(A), record(A), {"a": "x"}, True),
    (record(A), record(A, field("b", "int")), {"a": "x", "b": 1}, True),
    (record(A, field("b", "int")), record(A), {"a": "x"}, False),
    (record(A, field("b", "int", default=7)), record(A), {"a": "x"}, True),
    (record(A, field("b", ["null", "int"], default=None)), record(A), {"a": "x"}, True),
    (record(A, field("b", ["null", "int"])), record(A), {"a": "x"}, False),
    (record(field("b", "string", aliases=["a"])), record(A), {"a": "x"}, True),
    (record(field("b", "string")), record(A), {"a": "x"}, False),
    (record(A, name="S"), record(A), {"a": "x"}, False),
    (record(A, name="S", aliases=["R"]), record(A), {"a": "x"}, True),
    ("long", "int", 1, True),
    ("double", "long", 1, True),
    ("int", "long", 1, False),
    ("float", "double", 1.5, False),
    ("string", "bytes", b"x", True),
    ("bytes", "string", "x", True),
    ("string", "int", 1, False),
    ("boolean", "int", 1, False),
    (["null", "string"], "string", "x", True),
    ("string", ["null", "string"], None, False),
    (["null", "int"], "string", "x", False),
    (["null", "string", "int"], ["null", "string"], "x", True),
    (["null", "string"], ["null", "string", "int"], 1, False),
    ({"type": "array", "items": "long"}, {"type": "array", "items": "int"}, [1], True),
    ({"type": "array", "items": "int"}, {"type": "array", "items": "string"}, ["x"], False),
    ({"type": "map", "values": "string"}, {"type": "map", "values": "string"}, {"k": "x"}, True),
    ({"type": "map", "values": "int"}, {"type": "map", "values": "string"}, {"k": "x"}, False),
    ({"type": "map", "values": "string"}, {"type": "array", "items": "string"}, ["x"], False),
    (enum("A", "B"), enum("A"), "A", True),
    (enum("A"), enum("A", "B"), "B", False),
    (enum("A", default="A"), enum("A", "B"), "B", True),
    (fixed(2), fixed(2), b"xx", True),
    (fixed(2), fixed(3), b"xxx", False),
    (record(field("r", record(A, name="I"))), record(field("r", record(A, name="I"))), {"r": {"a": "x"}}, True),
    (
        record(field("r", record(A, field("b", "int"), name="I"))),
        record(field("r", record(A, name="I"))),
        {"r": {"a": "x"}},
        False,
    ),
    (
        record(A, field("next", ["null", "R"], default=None)),
        record(A, field("next", ["null", "R"], default=None)),
        {"a": "x", "next": {"a": "y", "next": None}},
        True,
    ),
    (
        record(field("a", "int"), field("next", ["null", "R"], default=None)),
        record(A, field("next", ["null", "R"], default=None)),
        {"a": "x", "next": {"a": "y", "next": None}},
        False,
    ),
]  # fmt: skip


@pytest.mark.parametrize(("reader", "writer", "value", "readable"), CHANGES)
def test_a_change_is_judged_as_real_data_is_read(reader: Any, writer: Any, value: Any, readable: bool) -> None:
    problems = unreadable(reader, writer)
    assert (problems == []) is readable, problems
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(copy.deepcopy(writer)), value)
    body.seek(0)
    try:
        fastavro.schemaless_reader(
            body, fastavro.parse_schema(copy.deepcopy(writer)), fastavro.parse_schema(copy.deepcopy(reader))
        )
    except (fastavro.read.SchemaResolutionError, ValueError):
        assert not readable
    else:
        assert readable


def test_amounts_of_another_scale_are_no_same_amounts() -> None:
    assert unreadable(decimal(9, 2), decimal(9, 2)) == []
    assert unreadable(decimal(9, 2), decimal(9, 3)) != []


def test_a_problem_says_where_it_is() -> None:
    old, new = record(field("r", record(A, name="I"))), record(field("r", record(field("a", "int"), name="I")))
    assert unreadable(new, old) == ["/r/a: string can't be read as int"]


@pytest.mark.parametrize(
    ("level", "accepted"),
    [
        (Level.NONE, True),
        (Level.BACKWARD, False),
        (Level.FORWARD, True),
        (Level.FULL, False),
        (Level.FULL_TRANSITIVE, False),
    ],
)
def test_each_level_asks_for_its_direction(level: Level, accepted: bool) -> None:
    new_required = record(A, field("b", "int"))
    assert (differences(new_required, [record(A)], level) == []) is accepted


def test_transitive_levels_look_at_all_versions_the_others_at_the_last() -> None:
    first, second, third = record(A), record(A, field("b", "int", default=1)), record(A, field("b", "int"))
    assert differences(third, [first, second], Level.BACKWARD) == []
    assert differences(third, [first, second], Level.BACKWARD_TRANSITIVE) != []


@pytest.mark.parametrize("schema", [{}, {"type": "record"}, "unknown", 7, None, {"type": "array"}])
def test_what_is_no_schema_is_said_to_be_none(schema: Any) -> None:
    with pytest.raises(UnusableSchemaError):
        unreadable(schema, "string")


RELEASES = [(version, topic) for version, released in released_schemas().items() for topic in released]


@pytest.mark.parametrize(("version", "topic"), RELEASES)
def test_the_schemas_read_and_are_read_by_every_released_version(version: str, topic: Topic) -> None:
    current, released = public_schemas()[topic], released_schemas()[version][topic]
    assert differences(current.schema, [released.schema], Level.FULL) == []


@pytest.mark.parametrize(("version", "topic"), RELEASES)
def test_data_of_this_and_of_released_versions_is_really_read_by_the_other(version: str, topic: Topic) -> None:
    current, released = public_schemas()[topic], released_schemas()[version][topic]
    now, then = fastavro.parse_schema(current.schema), fastavro.parse_schema(released.schema)
    writer = AvroWriter(current)

    @settings(max_examples=15)
    @given(documents(topic))
    def reads(document: bytes) -> None:
        body = writer.body(document)
        old = fastavro.schemaless_reader(io.BytesIO(body), now, then)
        rewritten = io.BytesIO()
        fastavro.schemaless_writer(rewritten, then, old)
        rewritten.seek(0)
        assert set(fastavro.schemaless_reader(rewritten, then, now)) == {each["name"] for each in now["fields"]}

    reads()


@pytest.mark.parametrize("topic", PUBLIC_TOPICS)
def test_an_incompatible_change_of_ours_would_be_seen(topic: Topic) -> None:
    current = public_schemas()[topic].schema
    for spoil in (_required_field, _other_type, _removed_field):
        spoiled = spoil(copy.deepcopy(current))
        assert differences(spoiled, [current], Level.FULL) != [], spoil.__name__
    harmless = copy.deepcopy(current)
    harmless["fields"].append(field("new", ["null", "string"], default=None))
    assert differences(harmless, [current], Level.FULL) == []


def _required_field(schema: Any) -> Any:
    schema["fields"].append(field("new", "string"))
    return schema


def _other_type(schema: Any) -> Any:
    schema["fields"][0]["type"] = "int"
    return schema


def _removed_field(schema: Any) -> Any:
    del schema["fields"][0]
    return schema
