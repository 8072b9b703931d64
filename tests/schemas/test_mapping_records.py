"""Records of bodies: what a webhook posts is taken apart, bad records cost themselves, and the request can be read."""

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.errors import DeadCode, EventError, SettingError
from schemas.event import parse_structured
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.mapping import Arrival, Mapping
from schemas.mapping_records import BodyUnreadable, TooManyRecords, read_records
from schemas.media_types import FORM_TYPE, JSON_LINES_TYPE, JSON_TYPE
from schemas.times import parse_time

NOW_US = parse_time("2026-11-22T10:00:00Z")
HOOK = """
version: 1
source: hook
when: kind != 'ping'
input: {transient: [attempt]}
event:
  id: coalesce(id, _request.headers."x-delivery", digest(@))
  type: "concat('hook.', kind)"
  time: coalesce(iso(at), _received)
  data:
    identifiers: {email: mail}
"""
RECORD: dict[str, Any] = {"kind": "sent", "mail": "ann@example.com"}
HTTP = Arrival(NOW_US, {"headers": {"x-delivery": "d-1"}, "query": {}})


def hook(text: str = HOOK) -> Mapping:
    return Mapping(text.encode(), "hook.yaml")


def picking(expression: str) -> Mapping:
    return hook(HOOK.replace("input: {", f'input: {{records: "{expression}", '))


def codes(body: bytes, content_type: str = "", made: Mapping | None = None) -> list[str]:
    """For each record, `good` or the code of what is wrong."""
    found = read_records(body, content_type) if made is None else made.body_records(body, content_type)
    return ["good" if each.error is None else each.error.code.value for each in found]


@pytest.mark.parametrize(
    ("body", "content_type", "expected"),
    [
        (b'{"a": 1}', "", [{"a": 1}]),
        (b'{"a": 1}', "text/plain; charset=utf-8", [{"a": 1}]),
        (b'\xef\xbb\xbf{"a": 1}', "application/json", [{"a": 1}]),
        (b' [{"a": 1}, {"a": 2}]', "application/json", [{"a": 1}, {"a": 2}]),
        (b"[]", "", []),
        (b'{"a": 1}\n\n{"a": 2}\n', JSON_LINES_TYPE, [{"a": 1}, {"a": 2}]),
        (b"a=1&b=%C3%A9+x&a=2&a=3&c=", FORM_TYPE + "; charset=UTF-8", [{"a": ["1", "2", "3"], "b": "é x", "c": ""}]),
    ],
)
def test_bodies_are_objects_arrays_lines_and_forms(body: bytes, content_type: str, expected: list[Any]) -> None:
    found = read_records(body, content_type)
    assert [each.fields for each in found] == expected
    assert all(each.error is None and not each.picked for each in found)


def test_a_bad_record_among_good_ones_keeps_its_own_bytes() -> None:
    deep = b'{"a":' * 20 + b"1" + b"}" * 20
    body = b'[{"a":1}, 7, {"b": "\\u0000"}, ' + deep + b', {"c": "\xff"}, {"d": 1.50}]'
    found = read_records(body)
    assert codes(body) == ["good", "not_an_object", "null_byte", "nesting_too_deep", "invalid_utf8", "good"]
    assert [each.original for each in found][:2] == [b'{"a":1}', b"7"]
    assert found[-1].original == b'{"d": 1.50}'
    assert codes(b'{"a":1}\n{', JSON_LINES_TYPE) == ["good", "not_json"]
    assert codes(b'[{"a": "' + b"x" * EVENT_SIZE_BYTES_MAX + b'"}]') == ["record_too_large"]


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b"", ""),
        (b"hello", ""),
        (b"[{}", ""),
        (b"\xff", ""),
        (b"{\n{\n", JSON_LINES_TYPE),
        (b"", FORM_TYPE),
        (b"hello", FORM_TYPE),
        (b"a=%FF", FORM_TYPE),
        (b"a=1", ""),
    ],
)
def test_what_is_no_body_at_all_is_refused(body: bytes, content_type: str) -> None:
    with pytest.raises(BodyUnreadable):
        read_records(body, content_type)


def test_records_of_a_body_are_bounded() -> None:
    with pytest.raises(TooManyRecords):
        read_records(b"[" + b"0," * 1000 + b"0]")
    with pytest.raises(TooManyRecords):
        picking("[].x").body_records(b"[" + b'{"x": 1},' * 1000 + b'{"x": 1}]')
    assert codes(b"&".join(b"a=1" for _ in range(1001)), FORM_TYPE) == ["record_too_large"]


def test_records_are_picked_out_of_a_body() -> None:
    body = {"entry": [{"messages": [RECORD, RECORD]}, {"messages": [{**RECORD, "kind": "read"}, 7]}]}
    made = picking("entry[].messages[]")
    found = made.body_records(json.dumps(body).encode())
    assert [each.fields.get("kind") for each in found] == ["sent", "sent", "read", None]
    assert all(each.picked for each in found)
    assert json.loads(found[2].original) == {**RECORD, "kind": "read"}
    assert codes(b'{"entry": {}}', made=made) == ["mapping_failed"]
    assert codes(b'{"entry": []}', made=made) == []
    # One that was picked already is not asked again.
    (again,) = made.body_records(found[2].original, whole=True)
    assert again.error is None


def test_records_are_picked_out_of_json_in_a_form() -> None:
    found = picking("json(payload).events").body_records(
        b"payload=%7B%22events%22%3A%5B%7B%22a%22%3A1%7D%5D%7D", FORM_TYPE
    )
    assert [(each.fields, each.media_type) for each in found] == [({"a": 1}, JSON_TYPE)]


def test_the_request_and_the_time_of_receipt_can_be_read_and_are_no_content() -> None:
    event = hook().apply(RECORD, HTTP)
    assert (event["id"], event["time"], event["timeassigned"]) == ("d-1", "2026-11-22T10:00:00Z", True)
    later = hook().apply({**RECORD, "attempt": 2}, Arrival(NOW_US + 1, {"headers": {"x-delivery": "d-1"}, "query": {}}))
    assert later["rawdigest"] == event["rawdigest"]
    one, two = (parse_structured(hook().encode(RECORD, Arrival(NOW_US + late, HTTP.request))) for late in (0, 5))
    assert one.assigned
    assert one.content == two.content
    own = hook().apply({**RECORD, "at": "2026-11-22T09:00:00Z"}, HTTP)
    assert "timeassigned" not in own


def test_a_digest_names_a_record_that_has_no_id() -> None:
    nameless = Arrival(NOW_US, {"headers": {}, "query": {}})
    ids = {hook().apply({**RECORD, **more}, nameless)["id"] for more in ({}, {"attempt": 2}, {"sentAt": "now"})}
    assert len(ids) == 1
    assert hook().apply({**RECORD, "kind": "read"}, nameless)["id"] not in ids


def test_a_record_can_not_claim_what_the_request_says() -> None:
    forged = {**RECORD, "_request": {"headers": {"x-delivery": "forged"}}, "_received": "2020-01-01T00:00:00Z"}
    event = hook().apply(forged, HTTP)
    assert (event["id"], event["time"]) == ("d-1", "2026-11-22T10:00:00Z")
    assert hook().apply(forged, Arrival(NOW_US))["id"] not in {"forged", "d-1"}


def test_a_mapping_without_a_time_takes_that_of_the_arrival() -> None:
    made = hook(HOOK.replace("  time: coalesce(iso(at), _received)\n", ""))
    event = made.apply(RECORD, HTTP)
    assert (event["time"], event["timeassigned"]) == ("2026-11-22T10:00:00Z", True)
    assert made.leaves_out_time
    with pytest.raises(EventError, match="row of a file"):
        made.apply(RECORD)


def test_records_are_left_out_on_purpose() -> None:
    assert hook().takes(RECORD)
    assert not hook().takes({"kind": "ping"})
    assert not hook(HOOK.replace("kind != 'ping'", "kind")).takes({})
    assert hook(HOOK.replace("kind != 'ping'", "number")).takes({"number": 0})
    with pytest.raises(EventError, match="when"):
        hook(HOOK.replace("kind != 'ping'", "length(kind) > `1`")).takes({})


@pytest.mark.parametrize(
    ("record", "code", "pointer", "told"),
    [
        ({"other": 1}, DeadCode.MAPPING_FAILED, "", "yields nothing: the record has none of the fields"),
        ({"kind": "a", "mail": None}, DeadCode.NO_USABLE_IDENTIFIER, "/data/identifiers", "is nobody's"),
        ({"kind": None, "mail": "a@b.c"}, DeadCode.MAPPING_FAILED, "/type", "event.type yields nothing"),
    ],
)
def test_a_mapping_that_yields_nothing_says_so(record: dict[str, Any], code: DeadCode, pointer: str, told: str) -> None:
    with pytest.raises(EventError, match=told) as caught:
        hook().apply(record, HTTP)
    assert (caught.value.code, caught.value.pointer) == (code, pointer)


def test_a_challenge_is_answered_where_the_mapping_finds_one() -> None:
    made = hook(HOOK + 'challenge: "_request.query.\\"hub.challenge\\" || (type == \'verify\' && challenge)"\n')
    assert made.challenge({}, {"query": {"hub.challenge": "c-1"}}) == "c-1"
    assert made.challenge({"type": "verify", "challenge": "c-2"}, {"query": {}}) == "c-2"
    assert made.challenge({"type": "sent", "challenge": "c-2"}, {"query": {}}) is None
    assert made.challenge([], {"query": {}}) is None
    assert hook().challenge({"challenge": "c-2"}, {"query": {"challenge": "x"}}) is None


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (HOOK.replace("kind != 'ping'", "kind !="), "hook.yaml: when: "),
        (HOOK.replace("input: {", "input: {records: 'a[', "), "hook.yaml: input.records: "),
        (HOOK + "challenge: lookup('none', a)\n", "hook.yaml: challenge: "),
    ],
)
def test_what_is_wrong_in_the_further_expressions_stops_the_start(text: str, told: str) -> None:
    with pytest.raises(SettingError, match=told):
        hook(text)


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**15, max_value=10**400)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.sampled_from(["\ud800", "\0", "9" * 5000, "1e999", "{" * 50, "[" * 5000, "2026-11-22", "-", "\u0660"])
)
VALUES = st.recursive(
    SCALARS, lambda child: st.lists(child, max_size=4) | st.dictionaries(st.text(max_size=8), child, max_size=4)
)
NAMES = ["kind", "mail", "id", "at", "a", "b", "c", "items", "_request", "sentAt"]
# Each in a mapping of its own: one that fails would keep the others from being asked.
EXPRESSIONS = [
    "a", "lower(a)", "number(b)", "bool(c)", "upper(json(a).b)", "trim(b)", "split(a, '-')", "sort(items)",
    "max_by(items, &price)", "items[*].sku | join(',', @)", "epoch(b, 'ms')", "date(c, 'Europe/Amsterdam')",
    "time(a, '%d-%m-%Y %H:%M %z', b)", "iso(c)", "number(c, ',')", "to_string(items)", "replace(a, '-', '--')",
    "lookup('size', b, 'none')", "digest(items, a)", "concat(a, b)", "text(a)", "coalesce(a, b)", "_request.headers.x",
    "to_number(a)", "reverse(items)", "merge(a, b)", "keys(a)", "scale(b, `0.01`)", "sum(items)",
    "contains(items, a)", "a[?b > `1`]",
]  # fmt: skip
HOSTILE = [
    hook(HOOK + f"    {place}: {json.dumps(expression)}\ntables: {{size: {{S: small}}}}\n")
    for expression in EXPRESSIONS
    for place in ("own", "traits", "summary", "session")
]


@settings(max_examples=200)
@given(
    st.sampled_from(HOSTILE), st.dictionaries(st.sampled_from(NAMES), VALUES), VALUES, st.integers(0, 253_402_300_799)
)
def test_no_row_makes_a_mapping_raise_anything_but_event_errors(
    made: Mapping, row: dict[str, Any], request: Any, now: int
) -> None:
    arrival = Arrival(now * 1_000_000, {"headers": request, "query": request})
    record = {"kind": "sent", "mail": "ann@example.com", **row}
    for step in (made.takes, made.encode, lambda *given: parse_structured(made.encode(*given))):
        with contextlib.suppress(EventError):
            step(record, arrival)


@settings(max_examples=200)
@given(
    st.binary(max_size=200) | VALUES.map(lambda value: json.dumps(value).encode()),
    st.sampled_from(["", FORM_TYPE, JSON_LINES_TYPE]),
)
def test_no_body_makes_reading_it_raise_anything_but_event_errors(body: bytes, content_type: str) -> None:
    for made in (hook(), picking("entry[].messages[] || json(payload) || @")):
        try:
            for found in made.body_records(body, content_type):
                assert found.error is not None or isinstance(found.fields, dict)
        except EventError:
            continue


@pytest.mark.parametrize(
    ("expression", "row"),
    [
        ("sum(items)", {"items": [10**400, 1.5]}),
        ("floor(b)", {"b": float("inf")}),
        ("ceil(b)", {"b": float("nan")}),
        ("text(b)", {"b": 10**4400}),
        ("items[::0]", {"items": [1]}),
        ("sort_by(items, &a)", {"items": [{"a": 1}, {"a": "x"}]}),
        ("a < b", {"a": "x", "b": 1}),
        ("text(a)", {"a": "\ud800"}),
    ],
)
def test_what_an_expression_can_not_do_costs_the_record_alone(expression: str, row: dict[str, Any]) -> None:
    with pytest.raises(EventError):
        hook(HOOK + f"    own: {json.dumps(expression)}\n").encode({**RECORD, **row}, HTTP)


def test_a_row_as_deep_as_it_gets_is_an_event_error() -> None:
    deep: Any = 1
    for _ in range(20_000):
        deep = [deep]
    for made in HOSTILE:
        with pytest.raises(EventError):
            made.encode({**RECORD, "items": deep, "a": deep}, HTTP)
