"""Goal: what is handed over together arrives as if it came one by one. Method: a real broker, the pinned client."""

import uuid
from array import array
from collections.abc import Callable, Iterator

import confluent_kafka
import pytest

from schemas.errors import DeliveryFailed
from schemas.topics import Catalogue, Topic, partition_of
from state.engine import Output
from state.native.building import build
from state.native.loading import Library, load
from state.packed_outputs import Packed, Piece
from streams import client_library as client_module
from streams import transaction as transaction_module
from streams.bulk import read_all
from streams.client_library import KNOWN_VERSIONS, client_library
from streams.kafka import MESSAGE_SIZE_BYTES_MAX, KafkaOptions
from streams.transaction import TransactionalProducer

pytestmark = pytest.mark.kafka

Records = list[tuple[bytes, bytes | None]]


@pytest.fixture
def library() -> Library:
    """The compiled library."""
    said = build()
    library = load()
    if library is None:
        pytest.skip(said)
    return library


@pytest.fixture
def packed(library: Library) -> Callable[[Records], Packed]:
    """A function that packs records."""

    def pack(records: Records) -> Packed:
        answer, marks = b"", array("I")
        for number, (key, value) in enumerate(records):
            end = len(answer) + len(key)
            marks.extend((number, len(answer), end, end + len(value or b"")))
            answer += key + (value or b"")
        return Packed(Topic.INTERACTIONS, library, [Piece(answer, marks, 0)])

    return pack


@pytest.fixture
def owner(kafka: KafkaOptions) -> Iterator[TransactionalProducer]:
    """A producer that may write."""
    owner = TransactionalProducer(kafka, uuid.uuid4().hex)
    owner.fence()
    yield owner
    owner.close()


def _written(owner: TransactionalProducer, topic: str) -> None:
    owner.begin()
    owner.produce(topic, 0, b"first", b"one")
    owner.commit()


def test_the_client_is_the_one_that_is_known() -> None:
    assert (confluent_kafka.version(), confluent_kafka.libversion()[0]) == KNOWN_VERSIONS
    assert client_library() is not None


def test_records_handed_over_together_are_in_the_transaction_in_their_partitions_and_order(
    kafka: KafkaOptions, catalogue: Catalogue, owner: TransactionalProducer, packed: Callable[[Records], Packed]
) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    _written(owner, topic)
    records: Records = [(b"key-%d" % (number % 5), b"%d" % number or None) for number in range(500)]
    records.append((b"gone", None))
    owner.begin()
    assert owner.produce_packed(topic, packed(records), partitions=2)
    # They are bytes of the client's own by now.
    assert [record.value for record in read_all(kafka, topic, 2)] == [b"one"]
    owner.commit()
    assert owner.sizes == {topic: (501, sum(len(key) + len(value or b"") for key, value in records))}
    found = list(read_all(kafka, topic, 2))
    for partition in range(2):
        said = [(each.key, each.value) for each in found if each.partition == partition and each.key != b"first"]
        assert said == [(key, value) for key, value in records if partition_of(key, 2) == partition]


def test_more_than_a_batch_is_added_batch_by_batch(
    kafka: KafkaOptions,
    catalogue: Catalogue,
    owner: TransactionalProducer,
    packed: Callable[[Records], Packed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    _written(owner, topic)
    waiting: list[int] = []
    flush = owner.flush

    def flushed() -> None:
        waiting.append(len(owner._producer))
        flush()

    monkeypatch.setattr(owner, "flush", flushed)
    monkeypatch.setattr(transaction_module, "BATCH_SIZE_BYTES_MAX", 10_000)
    owner.begin()
    assert owner.produce_packed(topic, packed([(b"key", b"%04d" % number) for number in range(300)]), partition=1)
    # 128 bytes are taken for what a record needs beside its seven.
    assert waiting == [74, 74, 74, 74]
    owner.commit()
    assert [record.value for record in read_all(kafka, topic, 2) if record.partition == 1] == [
        b"%04d" % number for number in range(300)
    ]


def test_a_topic_that_was_not_written_yet_gets_nothing_in_this_way(
    catalogue: Catalogue, owner: TransactionalProducer, packed: Callable[[Records], Packed]
) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    owner.begin()
    assert not owner.produce_packed(topic, packed([(b"k", b"v")]), partitions=2)
    assert owner.sizes == {}
    owner.produce(topic, 0, b"k", b"v")
    owner.commit()
    owner.begin()
    assert owner.produce_packed(topic, packed([(b"k", b"v")]), partitions=2)
    owner.commit()


@pytest.mark.parametrize("bound", ["_PACKED_SIZE_BYTES_MAX", "QUEUE_MESSAGES_MAX"])
def test_what_may_not_fit_into_the_queue_is_left_to_the_other_way(
    catalogue: Catalogue,
    owner: TransactionalProducer,
    packed: Callable[[Records], Packed],
    monkeypatch: pytest.MonkeyPatch,
    bound: str,
) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    _written(owner, topic)
    monkeypatch.setattr(transaction_module, bound, 3)
    owner.begin()
    assert owner.produce_packed(topic, packed([(b"k", b"v")]), partitions=2)
    assert not owner.produce_packed(topic, packed([(b"k", b"v")] * 4), partitions=2)
    owner.commit()


def test_a_record_that_the_client_refuses_fails_the_transaction(
    catalogue: Catalogue, owner: TransactionalProducer, packed: Callable[[Records], Packed]
) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    _written(owner, topic)
    owner.begin()
    with pytest.raises(DeliveryFailed, match=r"1 records for .* were refused"):
        owner.produce_packed(topic, packed([(b"k", b"v"), (b"k", bytes(2 * MESSAGE_SIZE_BYTES_MAX))]), partitions=2)


def test_another_version_of_the_client_is_not_spoken_to(
    catalogue: Catalogue,
    owner: TransactionalProducer,
    packed: Callable[[Records], Packed],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(client_module, "KNOWN_VERSIONS", ("2.16.1", "2.17.0"))
    client_library.cache_clear()
    try:
        assert client_library() is None
        topic = catalogue.name(Topic.INTERACTIONS)
        _written(owner, topic)
        owner.begin()
        assert not owner.produce_packed(topic, packed([(b"k", b"v")]), partitions=2)
    finally:
        client_library.cache_clear()


def test_outputs_are_the_same_in_either_way(packed: Callable[[Records], Packed]) -> None:
    assert packed([(b"k", b"v"), (b"k", None)]).numbered()[1] == [
        Output(Topic.INTERACTIONS, b"k", b"v"),
        Output(Topic.INTERACTIONS, b"k", None),
    ]


def test_a_transaction_that_is_open_can_not_begin_again_and_it_is_said_why(owner: TransactionalProducer) -> None:
    owner.begin()
    with pytest.raises(DeliveryFailed, match="begin_transaction"):
        owner.begin()
