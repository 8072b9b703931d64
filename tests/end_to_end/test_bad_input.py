"""What is no acceptable event is answered or goes to `dead` under its own code, is counted, and holds up nothing."""

import json
from collections.abc import Mapping
from itertools import count
from typing import Any, Final, NamedTuple

import pytest
from confluent_kafka import Producer

from schemas.limits import EVENT_SIZE_BYTES_MAX, ID_LENGTH_MAX, IDENTIFIER_LENGTH_MAX, IDENTIFIERS_MAX
from tests.end_to_end.public_topics import DeadTopic, client
from tests.running_system import RunningSystem, request

pytestmark = pytest.mark.kafka

STRUCTURED: Final = "application/cloudevents+json"
DELIVERY_TIMEOUT_S: Final = 60.0
ABSENT: Final = object()
GOOD: Final[Mapping[str, Any]] = {
    "specversion": "1.0",
    "id": "bad-input",
    "source": "bad-input",
    "type": "tried",
    "time": "2026-01-02T03:04:05Z",
    "channel": "web",
    "data": {"identifiers": {"email": "bad-input@example.com"}},
}
_numbers = count(1)


def changed(**fields: Any) -> bytes:
    """A good event with other attributes, or without those that are ABSENT."""
    return json.dumps({name: value for name, value in ({**GOOD, **fields}).items() if value is not ABSENT}).encode()


def with_data(**fields: Any) -> bytes:
    """A good event that says something else."""
    return changed(data={**GOOD["data"], **fields})


def nested(depth: int) -> dict[str, Any]:
    """An object in an object, so many deep."""
    value: dict[str, Any] = {}
    for _ in range(depth):
        value = {"in": value}
    return value


class Bad(NamedTuple):
    """An event that nobody takes, by whichever way it comes."""

    code: str
    pointer: str
    body: bytes


EVERYWHERE: Final = {
    "not JSON": Bad("not_json", "", b'{"specversion": "1.0", "id"'),
    "not an object": Bad("not_an_object", "", b'["specversion"]'),
    "data is not an object": Bad("not_an_object", "/data", changed(data=[1])),
    "without an id": Bad("missing_attribute", "/id", changed(id=ABSENT)),
    "without a source": Bad("missing_attribute", "/source", changed(source=ABSENT)),
    "without a type": Bad("missing_attribute", "/type", changed(type=ABSENT)),
    "without a time": Bad("missing_attribute", "/time", changed(time=ABSENT)),
    "id is a number": Bad("wrong_attribute", "/id", changed(id=7)),
    "another specversion": Bad("wrong_attribute", "/specversion", changed(specversion="0.3")),
    "traits are a list": Bad("wrong_attribute", "/data/traits", with_data(traits=[])),
    "unparsable time": Bad("invalid_time", "/time", changed(time="yesterday")),
    "time in the future": Bad("future_time", "/time", changed(time="2999-01-01T00:00:00Z")),
    "id too long": Bad("id_too_long", "/id", changed(id="i" * (ID_LENGTH_MAX + 1))),
    "identifier too long": Bad(
        "identifier_too_long",
        "/data/identifiers/crm",
        with_data(identifiers={"crm": "c" * (IDENTIFIER_LENGTH_MAX + 1)}),
    ),
    "too many identifiers": Bad(
        "too_many_identifiers",
        "/data/identifiers",
        with_data(identifiers={"cookie": [f"c{number}" for number in range(IDENTIFIERS_MAX + 1)]}),
    ),
    "nested too deep": Bad("nesting_too_deep", "/data" + "/in" * 16, changed(data=nested(20))),
    "too large": Bad("record_too_large", "", with_data(summary="s" * EVENT_SIZE_BYTES_MAX)),
    "unknown channel": Bad("unknown_channel", "/channel", changed(channel="pigeon")),
    "invalid UTF-8": Bad("invalid_utf8", "", changed(id="MARK").replace(b"MARK", b"\xff\xfe")),
    "null byte": Bad("null_byte", "/id", changed(id="nul\0l")),
    "no usable identifier": Bad("no_usable_identifier", "/data/identifiers", with_data(identifiers={"session": "s-1"})),
    "no identifiers": Bad("no_usable_identifier", "/data/identifiers", changed(data={})),
}
#: What only a producer to Kafka can do.
ON_KAFKA: Final = {
    "no value": Bad("not_an_object", "", b""),
    "another channel's topic": Bad("channel_mismatch", "/channel", changed(channel="chat")),
}


def good_event() -> tuple[bytes, str]:
    """An acceptable event, and the e-mail address that it alone has."""
    number = next(_numbers)
    email = f"good-{number}@bad-input.example"
    return changed(id=f"good-{number}", data={"identifiers": {"email": email}}), email


def produce(system: RunningSystem, *values: bytes | None) -> None:
    """Values straight to the raw topic of the web."""
    producer = Producer(client(system))
    for value in values:
        producer.produce(f"{system.prefix}raw.web", value or None, headers=[("content-type", STRUCTURED.encode())])
    assert producer.flush(DELIVERY_TIMEOUT_S) == 0


@pytest.mark.parametrize("name", EVERYWHERE)
def test_a_bad_event_over_http_is_answered_with_its_code_and_pointer_and_counted(
    system: RunningSystem, name: str
) -> None:
    bad = EVERYWHERE[name]
    counted = {"stage": "collect", "outcome": bad.code}
    before = system.metric(system.collect_url, "goldenthread_events_processed_total", **counted)
    reply = request("POST", f"{system.collect_url}/v1/events", bad.body, STRUCTURED)
    assert reply.status == 400
    assert reply.headers["Content-Type"] == "application/problem+json"
    assert reply.json["code"] == bad.code
    assert [(error["code"], error["pointer"]) for error in reply.json["errors"]] == [(bad.code, bad.pointer)]
    assert reply.json["request_id"]
    assert system.metric(system.collect_url, "goldenthread_events_processed_total", **counted) == before + 1


def test_a_batch_with_a_bad_event_is_refused_whole_and_says_which(system: RunningSystem) -> None:
    good, email = good_event()
    body = b"[" + b",".join([good, EVERYWHERE["without an id"].body]) + b"]"
    reply = request("POST", f"{system.collect_url}/v1/events", body, "application/cloudevents-batch+json")
    assert reply.status == 400
    assert [error["pointer"] for error in reply.json["errors"]] == ["/1/id"]
    system.wait_quiet()
    assert system.lookup(("email", email)).status == 404


def test_a_body_above_the_limit_and_a_foreign_content_type_are_refused(system: RunningSystem) -> None:
    url = f"{system.collect_url}/v1/events"
    too_large = request("POST", url, b" " * (4 * 1024 * 1024 + 1), STRUCTURED)
    assert (too_large.status, too_large.json["code"]) == (413, "body_too_large")
    foreign = request("POST", url, good_event()[0], "text/plain")
    assert (foreign.status, foreign.json["status"]) == (415, 415)


def test_every_bad_event_on_kafka_is_a_dead_letter_of_its_own_code_and_the_next_good_one_is_processed(
    system: RunningSystem,
) -> None:
    cases = {**EVERYWHERE, **ON_KAFKA}
    system.wait_quiet()
    dead = DeadTopic(system)
    worker = system.children()["worker"]
    codes = {bad.code for bad in cases.values()}

    def counts() -> dict[str, float]:
        name = "goldenthread_dead_letters_total"
        return {code: system.metric(system.worker_url, name, stage="intake", code=code) for code in codes}

    before = counts()
    emails = []
    for bad in cases.values():
        good, email = good_event()
        produce(system, bad.body, good)
        emails.append(email)
    system.wait_quiet()
    letters = sorted((letter.code, letter.pointer, letter.stage, letter.value or b"") for letter in dead.new())
    assert letters == sorted((bad.code, bad.pointer, "intake", bad.body) for bad in cases.values())
    of_code = [bad.code for bad in cases.values()]
    assert counts() == {code: before[code] + of_code.count(code) for code in codes}
    assert [system.lookup(("email", email)).status for email in emails] == [200] * len(emails)
    assert system.children()["worker"] == worker, "a bad event must not end a worker"


def test_another_event_under_a_known_id_is_a_conflict_and_the_first_stands(system: RunningSystem) -> None:
    dead = DeadTopic(system)
    first = {**GOOD, "id": "conflict", "data": {"identifiers": {"email": "conflict@bad-input.example"}}}
    system.send(first)
    system.wait_quiet()
    system.send({**first, "data": {**first["data"], "summary": "Changed afterwards"}}, first)
    system.wait_quiet()
    (letter,) = dead.new()
    assert (letter.code, letter.stage) == ("content_conflict", "context")
    context = system.lookup(("email", "conflict@bad-input.example")).json["context"]
    assert context["interactions"]["count"] == 1
    assert "summary" not in context["interactions"]["recent"][0]
    assert system.metric(system.worker_url, "goldenthread_duplicates_total") >= 1


def test_a_record_that_is_no_cloud_event_is_a_dead_letter_where_its_source_has_no_mapping(
    system: RunningSystem,
) -> None:
    dead = DeadTopic(system)
    producer = Producer(client(system))
    producer.produce(f"{system.prefix}raw.crm", b'{"CustomerID": 1}', key=b"the key")
    assert producer.flush(DELIVERY_TIMEOUT_S) == 0
    system.wait_quiet()
    (letter,) = dead.new()
    assert (letter.code, letter.value) == ("missing_attribute", b'{"CustomerID": 1}')
