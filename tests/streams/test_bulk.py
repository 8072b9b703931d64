"""Goal: a bulk read ends at the end, whatever the tail is, and never skips a gap. Method: the real broker."""

import threading
import time

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

import streams.bulk
from schemas.errors import BrokerUnreachable, StateError
from schemas.topics import Catalogue, Topic
from streams.bulk import RECORDS_PER_READ_MAX, BulkReader, Record, read_all, read_to_end
from streams.kafka import KafkaOptions
from tests.streams.feeding import open_transaction, send, send_aborted, send_committed

pytestmark = pytest.mark.kafka


def _numbers(start: int, stop: int) -> list[tuple[bytes, bytes]]:
    return [(b"k", b"%d" % number) for number in range(start, stop)]


def _read(kafka: KafkaOptions, topic: str, start: int = 0) -> tuple[list[bytes | None], int]:
    records: list[Record] = []
    end = read_to_end(kafka, topic, 0, start, records.extend, silence_s_max=10)
    return [record.value for record in records], end


def test_an_empty_partition_is_at_its_end(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    assert _read(kafka, catalogue.name(Topic.STATE)) == ([], 0)


def test_a_marker_at_the_tail_is_part_of_the_log(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.STATE)
    send_committed(kafka, topic, _numbers(0, 3))
    # Three records and the marker: the position is 4, not "last record + 1".
    assert _read(kafka, topic) == ([b"0", b"1", b"2"], 4)
    assert _read(kafka, topic, start=4) == ([], 4)
    assert _read(kafka, topic, start=3) == ([], 4)


def test_aborted_records_at_the_tail_are_read_over(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.STATE)
    send(kafka, topic, _numbers(0, 2))
    send_aborted(kafka, topic, _numbers(2, 5))
    assert _read(kafka, topic) == ([b"0", b"1"], 6)


def test_a_partition_of_aborted_records_alone_ends(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.STATE)
    send_aborted(kafka, topic, _numbers(0, 5))
    assert _read(kafka, topic) == ([], 6)


def test_a_transaction_under_way_is_beyond_the_end(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.STATE)
    send(kafka, topic, _numbers(0, 2))
    producer = open_transaction(kafka, topic, _numbers(2, 4))
    assert _read(kafka, topic) == ([b"0", b"1"], 2)
    producer.abort_transaction(20)
    assert _read(kafka, topic, start=2) == ([], 5)


def test_more_records_than_one_read_takes(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.STATE)
    count = 2 * RECORDS_PER_READ_MAX + 7
    send(kafka, topic, _numbers(0, count))
    sizes: list[int] = []
    read: list[Record] = []

    def apply(records: list[Record]) -> None:
        sizes.append(len(records))
        read.extend(records)

    left: list[int] = []
    assert read_to_end(kafka, topic, 0, 0, apply, on_progress=left.append) == count
    assert (left[0], left[-1]) == (count, 0)
    assert left == sorted(left, reverse=True)
    assert [record.offset for record in read] == list(range(count))
    assert max(sizes) <= RECORDS_PER_READ_MAX


@pytest.mark.parametrize("start", [1, 9])
def test_a_start_outside_of_the_log_is_refused(kafka: KafkaOptions, catalogue: Catalogue, start: int) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    send(kafka, topic, _numbers(0, 5))
    admin = AdminClient(kafka.admin())
    for future in admin.delete_records([TopicPartition(topic, 0, 3)]).values():
        future.result(10)
    with pytest.raises(StateError, match=rf"{topic}/0 holds offsets 3 to 5, position {start} is outside"):
        _read(kafka, topic, start)
    assert _read(kafka, topic, start=3) == ([b"3", b"4"], 5)


def test_a_gap_that_comes_while_reading_is_an_error(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    send(kafka, topic, _numbers(0, 5))
    reader = BulkReader(kafka, {(topic, 0): 17})
    try:
        with pytest.raises(StateError, match="the position is outside of the log"):  # noqa: PT012 - it may come late.
            deadline = time.monotonic() + 10
            while time.monotonic() < deadline:
                reader.read(0.5)
    finally:
        reader.close()


def test_silence_is_an_outage(kafka: KafkaOptions, catalogue: Catalogue, monkeypatch: pytest.MonkeyPatch) -> None:
    topic = catalogue.name(Topic.STATE)
    # An end that never comes, as when a broker stops answering after it told the offsets.
    monkeypatch.setattr(BulkReader, "watermarks", lambda *_arguments: (0, 10))
    started = time.monotonic()
    with pytest.raises(BrokerUnreachable, match=f"{topic}/0: nothing came for 1 s"):
        read_to_end(kafka, topic, 0, 0, lambda _records: None, silence_s_max=1)
    assert time.monotonic() - started < 10


def test_a_reader_that_never_closes_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    class Stuck:
        """Closes when it is told to, and not before."""

        def __init__(self, _options: object) -> None:
            self.let_go = threading.Event()

        def assign(self, _partitions: object) -> None:
            """Nothing is read."""

        def close(self) -> None:
            self.let_go.wait()

    monkeypatch.setattr(streams.bulk, "Consumer", Stuck)
    monkeypatch.setattr(streams.bulk, "CLOSE_SECONDS_MAX", 0.1)
    reader = BulkReader(KafkaOptions("nowhere:1"), {})
    reader.close()
    reader._consumer.let_go.set()


def test_an_absent_broker_is_named() -> None:
    reader = BulkReader(KafkaOptions("127.0.0.1:9"), {})
    with pytest.raises(BrokerUnreachable, match="offsets of t/0 can't be had"):
        reader.watermarks("t", 0, timeout_s=0.5)
    reader.close()


def test_read_all_reads_every_partition(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    topic = catalogue.name(Topic.INTERACTIONS)
    send(kafka, topic, [(b"a", b"0")], partition=0)
    send_committed(kafka, topic, [(None, b"1")], partition=1)
    found = [(record.partition, record.key, record.value) for record in read_all(kafka, topic, 2)]
    assert found == [(0, b"a", b"0"), (1, None, b"1")]
