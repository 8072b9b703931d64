"""Goal: with a schema registry nothing changes but the form of records. Method: two systems, one of them without.

The same events go to both, in JSON to the one, in JSON and Avro to the other; then the registry goes away.
"""

import io
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final

import fastavro
import pytest
from confluent_kafka import Consumer, KafkaError, Producer, TopicPartition

from schemas.document import canonical_bytes
from streams.fake_registry import FakeRegistry
from tests.conftest import FreePorts
from tests.end_to_end.conftest import SystemMaker
from tests.end_to_end.public_topics import DeadTopic, client, tail
from tests.running_system import RunningSystem, request
from tests.waiting import wait_until

pytestmark = pytest.mark.kafka

ANN: Final = "ann@avro.example"
TIME: Final = "2026-01-02T03:04:05Z"
TIME_MS: Final = 1_767_323_045_000
PUBLIC: Final = ("context", "interactions", "context.changes", "identity.changes")
EVENT: Final[dict[str, Any]] = {
    "type": "record", "name": "Event", "namespace": "shop", "fields": [
        *({"name": name, "type": "string"} for name in ("specversion", "id", "source", "type", "channel")),
        {"name": "time", "type": {"type": "long", "logicalType": "timestamp-millis"}},
        {"name": "data", "type": {"type": "record", "name": "Data", "fields": [
            {"name": "identifiers", "type": {"type": "map", "values": "string"}},
            {"name": "traits", "type": {"type": "map", "values": "string"}},
            {"name": "summary", "type": ["null", "string"], "default": None},
        ]}},
    ],
}  # fmt: skip
LATER: Final = EVENT | {"fields": [*EVENT["fields"], {"name": "dataschema", "type": "string"}]}
DATA: Final = EVENT["fields"][-1]["type"]


def event(number: int, **identifiers: str) -> dict[str, Any]:
    """The same event for both systems."""
    data = {"identifiers": identifiers, "traits": {"first_name": "Ann"}, "summary": f"Visit {number}"}
    return {
        "specversion": "1.0", "id": f"e-{number}", "source": "avro-shop", "type": "page.viewed", "channel": "web",
        "time": TIME, "data": data,
    }  # fmt: skip


def framed(schema_id: int, schema: Mapping[str, Any], value: Mapping[str, Any]) -> bytes:
    body = io.BytesIO()
    fastavro.schemaless_writer(body, fastavro.parse_schema(dict(schema)), dict(value))
    return b"\x00" + schema_id.to_bytes(4, "big") + body.getvalue()


def as_avro(schema_id: int, given: Mapping[str, Any], schema: Mapping[str, Any] = EVENT) -> bytes:
    return framed(schema_id, schema, {**given, "time": TIME_MS, "dataschema": "urn:later"})


class Registered:
    """A system that writes with a registry."""

    def __init__(self, system: RunningSystem, registry: FakeRegistry) -> None:
        self.system = system
        self.registry = registry

    def register(self, schema: Mapping[str, Any], subject: str = "any-value") -> int:
        """The id of a schema of somebody else's."""
        return self.registry.content.register(subject, json.dumps(schema))

    @contextmanager
    def away(self) -> Iterator[None]:
        """The registry is gone, and comes back with all that it knows."""
        self.registry.stop()
        try:
            yield
        finally:
            self.registry.start()

    def produce(self, value: bytes, **headers: str) -> None:
        """Write one record to the raw topic of the web."""
        producer = Producer(client(self.system))
        producer.produce(f"{self.system.prefix}raw.web", value, headers=list(headers.items()))
        assert producer.flush(60) == 0

    def records(self, topic: str) -> list[tuple[bytes, bytes | None]]:
        """Keys and values of a public topic, as a consumer that knows nothing of ours sees them."""
        consumer, found, ends = (
            Consumer(client(self.system) | {"group.id": "none", "enable.partition.eof": True}),
            [],
            0,
        )
        try:
            name = f"{self.system.prefix}{topic}"
            partitions = consumer.list_topics(name, 30).topics[name].partitions
            consumer.assign([TopicPartition(name, number, 0) for number in partitions])
            while ends < len(partitions):
                message = consumer.poll(30)
                assert message is not None, f"{name} did not come to its end"
                if message.error() is None:
                    found.append((message.key(), message.value()))
                else:
                    assert message.error().code() == KafkaError._PARTITION_EOF
                    ends += 1
        finally:
            consumer.close()
        return found

    def values(self, topic: str) -> list[bytes]:
        """Values of a public topic that are not its deletions."""
        return [value for _, value in self.records(topic) if value is not None]

    def decoded(self, value: bytes) -> dict[str, Any]:
        """By the schema that the registry has under the id of the record."""
        assert value[0] == 0
        found = request("GET", f"{self.registry.url}/schemas/ids/{int.from_bytes(value[1:5], 'big')}")
        schema = json.loads(found.json["schema"])
        read: Any = fastavro.schemaless_reader(io.BytesIO(value[5:]), fastavro.parse_schema(schema), None)
        return dict(read)


@contextmanager
def registered(make_system: SystemMaker, free_ports: FreePorts, name: str, **settings: str) -> Iterator[Registered]:
    """A running system with a registry that nobody else uses."""
    with (
        FakeRegistry(free_ports(1)[0], credentials=None) as registry,
        make_system(name, GOLDENTHREAD_SCHEMA_REGISTRY_URL=registry.url, **settings) as system,
    ):
        yield Registered(system.start(), registry)


@pytest.fixture(scope="module")
def avro(make_system: SystemMaker, free_ports: FreePorts) -> Iterator[Registered]:
    """One for all tests that leave it as it was, in whatever order; each uses customers of its own."""
    with registered(make_system, free_ports, "avro") as found:
        yield found


def context_of(system: RunningSystem, email: str = ANN) -> bytes:
    system.wait_quiet()
    reply = system.lookup(("email", email))
    assert reply.status == 200, reply.body
    return canonical_bytes(reply.json["context"])


def test_events_of_either_form_give_the_contexts_that_json_gives(avro: Registered, system: RunningSystem) -> None:
    events = [event(1, email=ANN, cookie="avro-c"), event(2, email=ANN), event(3, cookie="avro-c")]
    system.send(*events)
    structured = avro.register(EVENT)
    data = avro.register(DATA, "data-value")
    avro.system.send(events[0])
    avro.produce(as_avro(structured, events[1]))
    attributes = {f"ce_{name}": str(value) for name, value in events[2].items() if name not in {"data", "time"}}
    avro.produce(
        framed(data, DATA, events[2]["data"]), ce_time=TIME, **attributes, **{"content-type": "application/avro"}
    )
    # A copy in the other form is a copy.
    avro.produce(json.dumps(events[1]).encode())
    assert context_of(avro.system) == context_of(system)
    customer = avro.system.lookup(("email", ANN)).json["context"]
    assert customer["interactions"]["count"] == 3

    # Whoever has the registry reads the public topics.
    for topic in PUBLIC:
        found = avro.records(topic)
        assert found
        # `tail` tells what that reader sees.
        told = [each["value"] for each in tail(avro.system, topic)]
        assert len(told) == len(found)
        values = [avro.decoded(value) for _, value in found if value is not None]
        assert {each["customer"] for each in values} == {each["customer"] for each in told if each is not None}
    contexts = (avro.decoded(value) for value in avro.values("context"))
    newest = [each for each in contexts if each["customer"] == customer["customer"]][-1]
    assert newest["version"] == customer["version"]
    assert [json.loads(each["value"]) for each in newest["traits"].values()] == ["Ann"]

    # A reader of ours without the setting says which one is missing, and a wrong record stops nobody.
    without = avro.system.run("tail", "context", "--from-beginning", "--no-follow", GOLDENTHREAD_SCHEMA_REGISTRY_URL="")
    assert without.returncode == 4
    assert "GOLDENTHREAD_SCHEMA_REGISTRY_URL" in without.stderr
    listed = avro.system.run("schemas", "list", "--json")
    assert all(each["id"] for each in json.loads(listed.stdout))


def test_bad_avro_is_in_dead_and_holds_up_nothing(avro: Registered) -> None:
    dead = DeadTopic(avro.system)
    structured = avro.register(EVENT)
    good = as_avro(structured, event(20, email="good@avro.example"))
    values = [good[:-1], good[:1] + b"\x00\x00\x27\x0f" + good[5:], b"\x00"]
    for value in (*values, good):
        avro.produce(value)
    assert context_of(avro.system, "good@avro.example")
    # Records of several partitions come in any order.
    assert sorted((each.code, each.value) for each in dead.new()) == sorted([
        ("broken_avro", values[0]), ("unknown_schema", values[1]), ("broken_avro", values[2]),
    ])  # fmt: skip


def test_events_wait_for_a_registry_that_goes_away_in_the_middle_of_a_run(avro: Registered) -> None:
    known, later = avro.register(EVENT), avro.register(LATER, "later-value")
    avro.produce(as_avro(known, event(30, email="known@avro.example")))
    assert context_of(avro.system, "known@avro.example")
    dead = DeadTopic(avro.system)
    worker = f"{avro.system.worker_url}/readyz"
    with avro.away():
        # Public topics need the registry no more, and what is known of schemas stays known.
        avro.produce(as_avro(known, event(31, email="still-known@avro.example")))
        assert context_of(avro.system, "still-known@avro.example")
        avro.produce(as_avro(later, event(32, email="later@avro.example"), LATER))
        wait_until(lambda: b"wait for their schemas" in request("GET", worker).body, "a worker that says why it waits")
        assert avro.system.lookup(("email", "later@avro.example")).status == 404
    assert context_of(avro.system, "later@avro.example")
    wait_until(lambda: request("GET", worker).status == 200, "a worker that is ready again")
    assert dead.new() == []


def test_things_go_on_without_a_registry_where_the_settings_say_so(
    make_system: SystemMaker, free_ports: FreePorts
) -> None:
    """JSON goes out until the registry answers; Avro of a schema that is not known goes to `dead`, whole."""
    settings = {"GOLDENTHREAD_SCHEMA_REGISTRY_AWAY": "go_on", "GOLDENTHREAD_LOG_LEVEL": "INFO"}
    with registered(make_system, free_ports, "going-on", **settings) as avro:
        system, known = avro.system, avro.register(EVENT)
        system.send(event(40, email="before@avro.example"))
        assert context_of(system, "before@avro.example")
        system.stop()
        with avro.away():
            # The lookup needs the registry once, for what was written as Avro before; it has that in its copy.
            system.start()
            assert context_of(system, "before@avro.example")
            dead = DeadTopic(system)
            system.send(event(41, email="away@avro.example"))
            assert context_of(system, "away@avro.example")
            waiting = as_avro(known, event(42, email="set-aside@avro.example"))
            avro.produce(waiting)
            system.wait_quiet()
            (letter,) = dead.new()
            assert (letter.code, letter.value) == ("registry_away", waiting)
            (value,) = [value for value in avro.values("interactions") if value[:1] != b"\x00"]
            assert json.loads(value)["id"] == "e-41"

        log = system.data_dir / "logs" / "worker.log"
        wait_until(lambda: "as Avro from now on" in log.read_text(), "a worker that found the registry")
        avro.produce(waiting)
        assert context_of(system, "set-aside@avro.example")
        system.send(event(60, email="avro-again@avro.example"))
        assert context_of(system, "avro-again@avro.example")
        read = [avro.decoded(value) for value in avro.values("interactions") if value[:1] == b"\x00"]
        assert {"e-40", "e-60"} <= {each["id"] for each in read}
