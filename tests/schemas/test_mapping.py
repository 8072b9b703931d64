"""Mapping files: what is wrong in one stops the start; what is wrong in a record costs that record."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jmespath.functions import Functions

from schemas.errors import DeadCode, EventError, SettingError
from schemas.event import CloudEvent, parse_structured
from schemas.event_data import EventData
from schemas.mapping import InputFormat, Mapping, load_mapping, load_mappings
from schemas.mapping_functions import TEXT_LENGTH_MAX, MappingFunctions
from schemas.sources import Source, SourceRegistry
from tests.schemas.test_event import JSON

MINIMAL = """
version: 1
source: shop
event:
  id: id
  type: "'order.placed'"
  time: iso(at, 'UTC')
  data:
    identifiers: {crm: customer}
"""
ROW: dict[str, Any] = {"id": "1", "at": "2026-11-22T10:00:00Z", "customer": "8812"}


def mapping(text: str = MINIMAL) -> Mapping:
    return Mapping(text.encode(), "shop.yaml")


def read(made: Mapping, value: bytes) -> CloudEvent:
    """The event of a value with one record."""
    (found,) = made.body_records(value)
    if found.error is not None:
        raise found.error
    return parse_structured(made.encode(found.fields))


def with_data(*lines: str, tables: str = "") -> Mapping:
    """The minimal mapping with further lines in data."""
    return mapping(tables + MINIMAL + "".join(f"    {line}\n" for line in lines))


def result(expression: str, row: dict[str, Any] | None = None) -> Any:
    """What one expression gives, as it arrives in the event's data."""
    quoted = json.dumps(expression)
    made = with_data(f"x: {quoted}", tables="tables: {size: {S: small, 1: one, none: null}}\n")
    return made.apply({**ROW, **(row or {})})["data"].get("x")


def fault(expression: str, row: dict[str, Any]) -> str:
    with pytest.raises(EventError) as caught:
        result(expression, row)
    assert caught.value.code is DeadCode.MAPPING_FAILED
    return caught.value.message


def setting_error(text: str) -> str:
    with pytest.raises(SettingError) as caught:
        mapping(text)
    return str(caught.value)


@pytest.mark.parametrize(
    "expression", ["(" * 5_000 + "a" + ")" * 5_000, "!" * 50_000 + "a", "`" + "[" * 100_000 + "`", f"a[{'9' * 5_000}]"]
)
def test_an_expression_that_no_parser_can_take_stops_the_start_with_its_place(expression: str) -> None:
    with pytest.raises(SettingError, match=r"^shop\.yaml: event\.data\.x: "):
        with_data(f"x: {json.dumps(expression)}")


@pytest.mark.parametrize("name", ["zlib", "rot13", "hex", "undefined", "no-such", '"a\\0"'])
def test_an_encoding_that_makes_no_text_of_bytes_stops_the_start(name: str) -> None:
    with pytest.raises(SettingError, match="there is no encoding"):
        mapping(MINIMAL + f"input: {{encoding: {name}}}")


@pytest.mark.parametrize("name", ["utf-8", "utf-16", "utf-32", "cp1252", "iso-8859-1", "shift_jis", "cp037"])
def test_an_encoding_of_text_is_taken(name: str) -> None:
    assert mapping(MINIMAL + f"input: {{encoding: {name}}}").input.encoding == name


def test_a_record_becomes_an_event() -> None:
    made = mapping().apply(ROW)
    assert made.pop("rawdigest")
    assert made == {
        "specversion": "1.0",
        "source": "shop",
        "id": "1",
        "type": "order.placed",
        "time": "2026-11-22T10:00:00Z",
        "data": {"identifiers": {"crm": "8812"}},
    }
    event = read(mapping(), json.dumps(ROW).encode())
    assert (event.source, event.id) == ("shop", "1")


def test_shapes_literals_and_constants_are_kept() -> None:
    made = with_data(
        "direction: \"'in'\"", "link: false", "level: 3", "lines: [sku, \"'x'\", 7]", "deep: {er: {est: sku}}"
    )
    data = made.apply({**ROW, "sku": "s-1"})["data"]
    assert data["direction"] == "in"
    assert data["link"] is False
    assert data["level"] == 3
    assert data["lines"] == ["s-1", "x", 7]
    assert data["deep"] == {"er": {"est": "s-1"}}


def test_what_is_empty_is_left_out() -> None:
    made = with_data(
        "traits: {name: name, mail: mail}",
        "refs: [{kind: \"'order'\", id: order, status: status}, {kind: \"'ticket'\", id: ticket}]",
        "note: note",
    )
    data = made.apply({**ROW, "name": "", "mail": None, "order": "o", "status": "", "ticket": ""})["data"]
    assert data == {"identifiers": {"crm": "8812"}, "refs": [{"kind": "order", "id": "o"}]}


def test_zero_and_false_are_not_empty() -> None:
    assert result("n", {"n": 0}) == 0
    assert result("n", {"n": False}) is False


@pytest.mark.parametrize("name", ["id", "at"])
def test_a_record_without_a_required_attribute_is_refused(name: str) -> None:
    with pytest.raises(EventError) as caught:
        mapping().apply({**ROW, name: ""})
    assert caught.value.code is DeadCode.MAPPING_FAILED
    assert caught.value.pointer == ("/time" if name == "at" else "/id")


def test_the_digest_is_the_records_not_the_mappings() -> None:
    one = read(mapping(), json.dumps(ROW).encode())
    later = read(with_data("more: customer"), json.dumps({**dict(reversed(ROW.items())), "sentAt": "now"}).encode())
    other = read(mapping(), json.dumps({**ROW, "unread": 1}).encode())
    assert one.content == later.content
    assert one.content != other.content


@pytest.mark.parametrize(
    ("expression", "row", "expected"),
    [
        ("lookup('size', s)", {"s": "S"}, "small"),
        ("lookup('size', s)", {"s": 1}, "one"),
        ("lookup('size', s, 'other')", {"s": "XL"}, "other"),
        ("lookup('size', s)", {"s": ""}, None),
        ("lookup('size', s, 'other')", {}, "other"),
        ("date(d, 'Europe/Amsterdam')", {"d": "2016-01-12"}, "2016-01-11T23:00:00Z"),
        ("date(d, 'Europe/Amsterdam')", {"d": "2016-07-12"}, "2016-07-11T22:00:00Z"),
        ("time(d, '%d/%m/%Y %H:%M', 'Asia/Tokyo')", {"d": "12/01/2016 09:30"}, "2016-01-12T00:30:00Z"),
        ("time(d, '%Y%m%d')", {"d": "20160112"}, "2016-01-12T00:00:00Z"),
        ("time(d, '%Y-%m-%d %H:%M %z', 'Asia/Tokyo')", {"d": "2016-01-12 09:30 +0100"}, "2016-01-12T08:30:00Z"),
        ("iso(d, 'Europe/Amsterdam')", {"d": "2016-01-12 09:30"}, "2016-01-12T08:30:00Z"),
        ("iso(d)", {"d": "2016-01-12T09:30:00.5+02:00"}, "2016-01-12T07:30:00.500000Z"),
        ("iso(d)", {"d": ""}, None),
        ("epoch(n)", {"n": 1795341600}, "2026-11-22T10:00:00Z"),
        ("epoch(n, 'ms')", {"n": "1795341600123"}, "2026-11-22T10:00:00.123Z"),
        ("text(n)", {"n": 8812}, "8812"),
        ("text(n)", {}, None),
        ("trim(n)", {"n": "  a "}, "a"),
        ("lower(n)", {"n": "ÀB"}, "àb"),
        ("upper(n)", {"n": "nl"}, "NL"),
        ("split(n, ',')", {"n": "a, b,,c"}, ["a", "b", "c"]),
        ("replace(n, '-', '')", {"n": "1-2-3"}, "123"),
        ("coalesce(a, b, 'z')", {"a": "", "b": "y"}, "y"),
        ("concat('c-', n)", {"n": 7}, "c-7"),
        ("concat('c-', n)", {"n": ""}, None),
        ("json(n).a[0]", {"n": '{"a": [7]}'}, 7),
        ("json(n).a", {"n": {"a": 7}}, 7),
        ("json(n)", {"n": " "}, None),
        ("digest(n, m)", {}, None),
        ("digest(n)", {"n": "a"}, "f53b3155b302982e196b7645b7b614b1"),
        ("number(n)", {"n": "1,234.50"}, 1234.5),
        ("number(n, ',')", {"n": "1.234,50"}, 1234.5),
        ("number(n)", {"n": "-7"}, -7),
        ("number(n)", {"n": ""}, None),
        ("scale(n, `0.01`)", {"n": 13990}, 139.9),
        ("scale(n, `0.01`)", {"n": "2900"}, 29),
        ("scale(n, `1000`)", {"n": "1.5"}, 1500),
        ("scale(n, `1000`)", {"n": ""}, None),
        ("bool(n)", {"n": "Yes"}, True),
        ("bool(n)", {"n": "0"}, False),
        ("bool(n)", {"n": " "}, None),
        ('"Column name"', {"Column name": "v"}, "v"),
        ("orders[?paid].id", {"orders": [{"id": 1, "paid": True}, {"id": 2, "paid": False}]}, [1]),
        ("a.b || 'none'", {"a": {"b": None}}, "none"),
    ],
)
def test_functions(expression: str, row: dict[str, Any], expected: Any) -> None:
    assert result(expression, row) == expected


@pytest.mark.parametrize(
    ("expression", "row", "told"),
    [
        ("lookup('size', s)", {"s": "XL"}, "no entry for 'XL'"),
        ("lookup(s, 'a')", {"s": "shape"}, "no table 'shape'"),
        ("date(d, 'Europe/Amsterdam')", {"d": "12-01-2016"}, "'%Y-%m-%d'"),
        ("date(d, s)", {"d": "2016-01-12", "s": "Mars"}, "no time zone"),
        ("time(d, '%Q')", {"d": "1"}, "no time in the form"),
        ("iso(d)", {"d": "soon"}, "no ISO 8601"),
        ("iso(d, 'Asia/Tokyo')", {"d": "0001-01-01"}, "out of range"),
        ("epoch(n)", {"n": 10**18}, "no time"),
        ("epoch(n, s)", {"n": 1, "s": "h"}, "not 'h'"),
        ("number(n)", {"n": "seven"}, "no number"),
        ("number(n, ';')", {"n": "1"}, "decimal mark"),
        ("bool(n)", {"n": "maybe"}, "neither yes nor no"),
        ("json(n)", {"n": "{"}, "no JSON"),
        ("scale(n, `2`)", {"n": float("nan")}, "can't be scaled"),
        ("scale(n, `2`)", {"n": "seven"}, "no number"),
        ("split(n, '')", {"n": "a"}, "separator"),
        ("length(n)", {"n": 1}, "JMESPathTypeError"),
        ("abs(n)", {"n": "1"}, "JMESPathTypeError"),
    ],
)
def test_what_can_not_be_done_is_told_with_its_place(expression: str, row: dict[str, Any], told: str) -> None:
    message = fault(expression, row)
    assert told in message
    assert message.startswith("shop.yaml: event.data.x: ")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", ["shop.yaml", "object"]),
        ("version: [", ["shop.yaml"]),
        ("- a", ["shop.yaml"]),
        (MINIMAL.replace("version: 1", "version: 2"), ["version", "2"]),
        (MINIMAL.replace("source: shop", "origin: shop"), ["source"]),
        (MINIMAL + "inptu: {}\n", ["'inptu'", "did you mean 'input'"]),
        (MINIMAL + "input: {delimeter: ';'}\n", ["input", "'delimeter'", "did you mean 'delimiter'"]),
        (MINIMAL + "input: {delimiter: ';;'}\n", ["input.delimiter", "one character"]),
        (MINIMAL + "input: {encoding: latin-99}\n", ["input.encoding", "latin-99"]),
        (MINIMAL + "input: {format: xml}\n", ["input.format", "xml"]),
        (MINIMAL + "input: {columns: [a, a]}\n", ["input.columns", "twice"]),
        (MINIMAL.replace("  id: id", "  idd: id"), ["'idd'", "did you mean 'id'"]),
        (MINIMAL.replace("  id: id\n", ""), ["event.id is missing"]),
        (MINIMAL.replace("identifiers", "identifers"), ["event.data.identifiers is missing"]),
        (MINIMAL.replace("id: id", "id: id."), ["event.id", "'id.'", "character"]),
        (MINIMAL.replace("id: id", "id: ''"), ["event.id", "empty"]),
        (MINIMAL.replace("iso(at", "is0(at"), ["event.time", "is0()", "did you mean 'iso'"]),
        (MINIMAL.replace("iso(at, 'UTC')", "iso(at, 'Mars/Base')"), ["event.time", "Mars/Base"]),
        (MINIMAL.replace("iso(at, 'UTC')", "date(at)"), ["event.time", "date()"]),
        (MINIMAL.replace("id: id", "id: lookup('tabel', id)"), ["event.id", "'tabel'"]),
        (MINIMAL + "tables: {size: {on: large}}\n", ["tables.size", "quotes"]),
        (MINIMAL.replace("id: id", "id: 2016-01-12"), ["event.id", "date"]),
        (MINIMAL + "    deep: " + "[" * 20 + "]" * 20, ["event.data.deep", "nested"]),
    ],
)
def test_a_wrong_mapping_stops_the_start_and_says_where(text: str, told: list[str]) -> None:
    message = setting_error(text)
    for part in told:
        assert part in message


def test_columns_are_those_at_the_top_of_a_record() -> None:
    made = with_data("a: customer_name", "b: items[?price > `1`].sku", "c: concat(first, last)", "d: '\"A b\".c'")
    assert made.columns == {"id", "at", "customer", "customer_name", "items", "first", "last", "A b"}


@pytest.mark.parametrize("value", [b"[[]]", b"7", b"{", b'{"id": "\xff"}', b"[" * 9999])
def test_a_record_that_is_no_object_is_refused(value: bytes) -> None:
    with pytest.raises(EventError):
        read(mapping(), value)


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(EventError) as caught:
        mapping().encode({**ROW, "customer": "\ud800"})
    assert caught.value.code is DeadCode.INVALID_UTF8


def test_mappings_are_found_by_their_source(tmp_path: Path) -> None:
    (tmp_path / "shop.yaml").write_text(MINIMAL)
    registry = SourceRegistry({"shop": Source(mapping="shop.yaml"), "other": Source()}, tmp_path)
    mappings = load_mappings(registry)
    found = mappings.for_source("shop")
    assert found is not None
    assert found.fingerprint == load_mapping(tmp_path / "shop.yaml").fingerprint
    assert mappings.for_source("other") is None
    with pytest.raises(SettingError, match="maps 'shop'"):
        load_mappings(SourceRegistry({"till": Source(mapping="shop.yaml")}, tmp_path))
    with pytest.raises(SettingError, match="No such file"):
        load_mappings(SourceRegistry({"shop": Source(mapping="absent.yaml")}, tmp_path))


DOCUMENT = (Path(__file__).parents[2] / "docs" / "mapping.md").read_text()


@pytest.mark.parametrize(
    "expression",
    ["replace(long, 'a', long)", "join(long, many)", "join('', [long, long, long])", "long" + " | concat(@, @)" * 40],
)
def test_a_record_that_would_make_a_text_without_an_end_costs_that_record(expression: str) -> None:
    message = fault(expression, {"long": "a" * 100_000, "many": ["b"] * 50_000})
    assert f"at most {TEXT_LENGTH_MAX} are made" in message


def test_texts_of_the_greatest_length_are_made() -> None:
    half = "a" * (TEXT_LENGTH_MAX // 2)
    assert result("concat(half, half)", {"half": half}) == half * 2
    assert result("join('', [half, half])", {"half": half}) == half * 2
    assert result("replace(half, 'a', 'bb')", {"half": half}) == "bb" * len(half)
    assert result("replace(whole, 'a', '')", {"whole": half * 4}) is None


def test_replacing_nothing_is_a_bad_row() -> None:
    assert "replace needs something to replace" in fault("replace(t, e, 'x')", {"t": "abc", "e": ""})


def test_every_function_and_key_is_documented() -> None:
    own = MappingFunctions({}).names - Functions.FUNCTION_TABLE.keys()
    assert [name for name in sorted(own) if f"`{name}(" not in DOCUMENT] == []
    assert [key for key in InputFormat.__struct_fields__ if f"`input.{key}`" not in DOCUMENT] == []
    assert [field for field in EventData.__struct_fields__ if f"| `{field}` |" not in DOCUMENT] == []


def test_the_documented_example_does_what_is_said() -> None:
    blocks = [block.split("```", 1)[0] for block in DOCUMENT.split("```")[1:]]
    table = blocks[0].strip().splitlines()
    written = next(block.removeprefix("yaml\n") for block in blocks if block.startswith("yaml\nversion: 1"))
    expected = next(json.loads(block.removeprefix("json\n")) for block in blocks if block.startswith("json\n"))
    made = mapping(written)
    columns, first, second = (line.split(made.input.delimiter) for line in table)
    event = made.apply(dict(zip(columns, first, strict=True)))
    assert event.pop("rawdigest")
    assert event == expected
    assert made.apply(dict(zip(columns, second, strict=True)))["data"]["identifiers"] == {"email": "bob@example.com"}


FULL = with_data(
    "traits: {a: lower(a), b: number(b), c: bool(c)}",
    "refs: [{kind: \"'order'\", id: \"split(a, '-')\"}]",
    "x: items[*].sku | join(',', @)",
    "t: epoch(b, 'ms')",
)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.binary(max_size=100)
    | st.dictionaries(st.sampled_from(["id", "at", "customer", "a", "b", "c", "items"]), JSON).map(
        lambda row: json.dumps({**ROW, **row}).encode()
    )
)
def test_no_record_crashes_a_mapping(value: bytes) -> None:
    try:
        for found in FULL.body_records(value):
            if found.error is None:
                assert parse_structured(FULL.encode(found.fields)).source == "shop"
    except EventError:
        return
