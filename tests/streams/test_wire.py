"""Goal: public records go out and are read in either form, and nothing is lost while the registry is away."""

import asyncio
from collections.abc import Callable, Iterator, Sequence

import pytest

from schemas.avro.framing import frame_of, is_framed
from schemas.avro.public_schemas import public_schemas
from schemas.errors import (
    DeadCode,
    EventError,
    OperatorNeeded,
    RegistryAway,
    RegistryRefused,
    RestartNeeded,
    StateError,
)
from schemas.topics import PUBLIC_TOPICS, Catalogue, Topic
from state.engine import MemoryRows, Rows
from streams.bulk import Record
from streams.fake_registry import FakeRegistry
from streams.registry import WriterSchemas, register_public
from streams.registry_away import Away
from streams.registry_client import RegistryClient, RegistryOptions
from streams.wire import Wire
from streams.wire_input import WireInput, without_registry
from streams.wire_reader import WireReader, reading_wire
from tests.conftest import FreePorts
from tests.streams.counting import InputRecord
from tests.waiting import until

CATALOGUE = Catalogue()
CHANGE = b'{"customer":"c","version":1,"changes":[{"field":"/traits/a","new":1}]}'
TEXT = '{"type":"string"}'
HELLO = b"\x0ahello"


@pytest.fixture
def registry(free_ports: FreePorts) -> Iterator[FakeRegistry]:
    with FakeRegistry(free_ports(1)[0]) as running:
        yield running


def client_of(registry: FakeRegistry) -> RegistryClient:
    return RegistryClient(RegistryOptions(registry.url, tries_max=1))


def wire_of(registry: FakeRegistry) -> Wire:
    wire = Wire()
    wire.use(register_public(client_of(registry), CATALOGUE))
    return wire


def input_of(registry: FakeRegistry, away: Away, **bounds: float) -> WireInput:
    return WireInput(
        WriterSchemas(client_of(registry)), away, **({"wait_s": 20.0, "retry_s": 0.01, "pause_s": 0.0} | bounds)
    )


def framed(schema_id: int, body: bytes = HELLO) -> bytes:
    return frame_of(schema_id) + body


def records(*values: bytes | None) -> list[InputRecord]:
    return [InputRecord(offset, value) for offset, value in enumerate(values)]


def code_of(read: Callable[[bytes], bytes], value: bytes) -> DeadCode:
    with pytest.raises(EventError) as raised:
        read(value)
    return raised.value.code


def test_without_ids_every_record_goes_out_as_the_engine_wrote_it() -> None:
    wire = Wire()
    assert not wire.is_avro
    assert wire.value(Topic.CONTEXT_CHANGES, CHANGE) == CHANGE
    assert wire.value(Topic.CONTEXT, None) is None


def test_with_ids_public_records_are_framed_and_everything_else_stays(registry: FakeRegistry) -> None:
    wire = wire_of(registry)
    assert wire.is_avro
    value = wire.value(Topic.CONTEXT_CHANGES, CHANGE)
    assert value is not None
    assert is_framed(value)
    assert WireReader(client_of(registry)).json(value) == CHANGE
    assert wire.value(Topic.CONTEXT, None) is None
    for topic in set(Topic) - set(PUBLIC_TOPICS):
        assert wire.value(topic, CHANGE) == CHANGE


def test_an_output_that_its_schema_does_not_describe_stops_and_tells_no_content(registry: FakeRegistry) -> None:
    with pytest.raises(StateError) as raised:
        wire_of(registry).value(Topic.CONTEXT, b'{"secret of":"ann"}')
    assert "ann" not in str(raised.value)


def test_a_reader_takes_both_forms_and_asks_for_each_schema_once(registry: FakeRegistry) -> None:
    reader, value = WireReader(client_of(registry)), wire_of(registry).value(Topic.CONTEXT_CHANGES, CHANGE)
    registry.requests.clear()
    assert [reader.json(each) for each in (CHANGE, value or b"", value or b"")] == [CHANGE] * 3
    assert len(registry.requests) == 1
    assert code_of(reader.json, (value or b"") + b"more") is DeadCode.BROKEN_AVRO


def test_a_reader_that_no_registry_helps_says_which_setting_is_missing_or_wrong(registry: FakeRegistry) -> None:
    for client in (None, client_of(registry)):
        with pytest.raises(RegistryRefused, match="GOLDENTHREAD_SCHEMA_REGISTRY_URL"):
            WireReader(client).json(framed(77))
    registry.stop()
    with pytest.raises(RegistryAway):
        WireReader(client_of(registry)).json(framed(77))


def test_a_follower_gets_json_and_leaves_out_what_cant_be_read(registry: FakeRegistry) -> None:
    value = wire_of(registry).value(Topic.CONTEXT_CHANGES, CHANGE) or b""
    seen: list[Record] = []

    def project(given: Sequence[Record], _rows: Rows) -> dict[bytes, bytes | None]:
        seen.extend(given)
        return {}

    def record(topic: str, content: bytes | None) -> Record:
        return Record(topic, 0, 0, 0, b"k", content)

    public, own = CATALOGUE.name(Topic.CONTEXT_CHANGES), CATALOGUE.name(Topic.STATE)
    given = [record(public, each) for each in (CHANGE, value, None, value + b"broken")] + [record(own, b"\x00row")]
    reading_wire(project, WireReader(client_of(registry)), [public])(given, MemoryRows())
    assert [(each.topic, each.value) for each in seen] == [
        (public, CHANGE), (public, CHANGE), (public, None), (own, b"\x00row"),
    ]  # fmt: skip


def test_a_follower_neither_skips_nor_passes_on_what_it_has_no_schema_for_yet(registry: FakeRegistry) -> None:
    """What a follower is told to try again, and what an operator has to decide, are errors of different kinds."""
    record = Record("gt.context", 0, 0, 0, b"k", wire_of(registry).value(Topic.CONTEXT_CHANGES, CHANGE))
    registry.stop()

    def project(_given: Sequence[Record], _rows: Rows) -> dict[bytes, bytes | None]:
        raise AssertionError("nothing may get here")

    for client, error in ((client_of(registry), RestartNeeded), (None, OperatorNeeded)):
        with pytest.raises(error):
            reading_wire(project, WireReader(client), ["gt.context"])([record], MemoryRows())


async def test_schemas_are_fetched_before_a_batch_each_once(registry: FakeRegistry) -> None:
    wire = input_of(registry, Away.WAIT)
    registry.content.register("any-value", TEXT)
    batch = records(b"{}", None, b"\x00", framed(1), framed(1), framed(9))
    assert await wire.prepare(batch, lambda: True)
    assert wire.json(framed(1)) == b'"hello"'
    assert code_of(wire.json, framed(9)) is DeadCode.UNKNOWN_SCHEMA
    assert code_of(wire.json, framed(1, b"\x0ahell")) is DeadCode.BROKEN_AVRO
    assert code_of(wire.json, b"\x00") is DeadCode.BROKEN_AVRO
    assert registry.requests.count("GET /schemas/ids/1") == 1
    registry.stop()
    assert await wire.prepare(records(framed(1)), lambda: True)
    assert wire.json(framed(1)) == b'"hello"'
    wire.close()


async def test_a_batch_waits_for_the_registry_and_says_so(registry: FakeRegistry) -> None:
    wire = input_of(registry, Away.WAIT)
    registry.content.register("any-value", TEXT)
    registry.stop()
    waiting = asyncio.create_task(wire.prepare(records(framed(1)), lambda: True))
    await until(lambda: wire.waiting is not None and registry.url in wire.waiting)
    await asyncio.to_thread(registry.start)
    assert await asyncio.wait_for(waiting, 20)
    await until(lambda: wire.waiting is None)
    assert wire.json(framed(1)) == b'"hello"'
    wire.close()


async def test_a_batch_that_is_not_wanted_any_more_waits_no_longer(registry: FakeRegistry) -> None:
    registry.stop()
    wire = input_of(registry, Away.WAIT)
    assert not await asyncio.wait_for(wire.prepare(records(framed(1)), lambda: False), 20)
    wire.close()


async def test_the_wait_for_the_registry_is_bounded(registry: FakeRegistry) -> None:
    registry.stop()
    wire = input_of(registry, Away.WAIT, wait_s=0.05)
    with pytest.raises(RestartNeeded, match="wait for their schemas"):
        await wire.prepare(records(framed(1)), lambda: True)
    wire.close()


async def test_things_go_on_without_the_registry_where_the_settings_say_so(registry: FakeRegistry) -> None:
    wire = input_of(registry, Away.GO_ON)
    registry.content.register("any-value", TEXT)
    registry.content.register("other-value", '{"type":"int"}')
    assert await wire.prepare(records(framed(1)), lambda: True)
    registry.stop()
    assert await wire.prepare(records(framed(1), framed(2)), lambda: True)
    assert wire.json(framed(1)) == b'"hello"'
    assert code_of(wire.json, framed(2)) is DeadCode.REGISTRY_AWAY
    registry.start()
    assert await wire.prepare(records(framed(2)), lambda: True)
    assert wire.json(framed(2, b"\x02")) == b"1"
    wire.close()


async def test_a_registry_that_is_away_is_not_asked_for_every_batch(registry: FakeRegistry) -> None:
    wire = input_of(registry, Away.GO_ON, pause_s=3600.0)
    registry.content.register("any-value", TEXT)
    registry.stop()
    assert await wire.prepare(records(framed(1)), lambda: True)
    registry.start()
    assert await wire.prepare(records(framed(1)), lambda: True)
    assert code_of(wire.json, framed(1)) is DeadCode.REGISTRY_AWAY
    assert registry.requests == []
    wire.ask_now()
    assert await wire.prepare(records(framed(1)), lambda: True)
    assert wire.json(framed(1)) == b'"hello"'
    wire.close()


async def test_a_registry_that_lets_nobody_in_stops_who_waits_and_not_who_goes_on(free_ports: FreePorts) -> None:
    with FakeRegistry(free_ports(1)[0], credentials=("ann", "secret")) as registry:
        waiting, going = input_of(registry, Away.WAIT), input_of(registry, Away.GO_ON)
        with pytest.raises(RegistryRefused):
            await waiting.prepare(records(framed(1)), lambda: True)
        assert await going.prepare(records(framed(1)), lambda: True)
        assert code_of(going.json, framed(1)) is DeadCode.REGISTRY_AWAY
        waiting.close()
        going.close()


async def test_many_unknown_ids_are_asked_for_within_one_batch(registry: FakeRegistry) -> None:
    wire = input_of(registry, Away.WAIT)
    assert await wire.prepare(records(*(framed(number) for number in range(1, 200))), lambda: True)
    assert code_of(wire.json, framed(150)) is DeadCode.UNKNOWN_SCHEMA
    wire.close()


def test_without_a_registry_every_schema_is_unknown() -> None:
    assert code_of(without_registry, framed(1)) is DeadCode.UNKNOWN_SCHEMA
    assert code_of(without_registry, b"\x00") is DeadCode.BROKEN_AVRO
    assert code_of(without_registry, b"{}{}{}") is DeadCode.BROKEN_AVRO


def test_every_public_topic_has_a_writer(registry: FakeRegistry) -> None:
    assert set(register_public(client_of(registry), CATALOGUE)) == set(public_schemas()) == set(PUBLIC_TOPICS)
