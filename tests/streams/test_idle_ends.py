"""Goal: raw topics that others write in transactions raise no false alarm, and no unread record is passed by.

Method: the real broker and intake's stage; markers, aborted records, open transactions and records behind the offset;
a deletion of all that is there, as retention does it.
"""

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence
from functools import partial

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.topics import Catalogue, Partition
from streams.batch import Batch
from streams.bulk import BulkReader, partition_range
from streams.gap_search import find_gaps
from streams.gaps import Cause
from streams.group import GroupOffset, commit_offsets
from streams.idle_ends import group_idle_ends, idle_ends
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.recording_producer import RecordingProducer
from streams.stateless import IdleEnds, StatelessStage
from streams.topics import record_new_partitions, topic_ids
from tests.streams.counting import InputRecord
from tests.streams.feeding import open_transaction, send, send_aborted, send_committed
from tests.waiting import until

pytestmark = pytest.mark.kafka
RECORDS = [(b"k", b"v%d" % number) for number in range(3)]


class _Nothing:
    """A handler without outputs."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def handle_many(self, parts: Sequence[Batch], _outbox: Outbox) -> None:
        assert all(record.value in [value for _, value in RECORDS] for part in parts for record in part.records)

    def acknowledged(self) -> None:
        """Nothing to remember."""


class _Group:
    """A group that has read nothing yet."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.name = uuid.uuid4().hex
        self.raw = catalogue.raw("web")
        self.ids = topic_ids(kafka, [self.raw])
        self.acknowledged: list[tuple[str, int, int]] = []
        self.errors: list[BaseException] = []
        record_new_partitions(kafka, self.name, catalogue.read_by_workers())

    def commit(self, topic: str, partition: int, offset: int) -> None:
        commit_offsets(self.kafka, self.name, {(topic, partition): GroupOffset(offset, self.ids[topic])})
        self.acknowledged.append((topic, partition, offset))

    def idle_ends(self) -> dict[Partition, int]:
        return group_idle_ends(self.kafka, self.name, [(self.raw, 0), (self.raw, 1)])

    def gaps(self) -> list[tuple[str, int, Cause]]:
        return [(gap.topic, gap.partition, gap.cause) for gap in find_gaps(self.kafka, self.name, self.catalogue, ())]

    async def read_all_of(self, partition: int, idle_ends: IdleEnds | None, until_offset: int) -> None:
        """Let intake's stage take in what a committed reader finds."""
        stage = StatelessStage(
            "intake", (self.raw,), _Nothing(), catalogue=self.catalogue, producer=RecordingProducer(self.catalogue),
            acknowledge=self.commit, metrics=Metrics("test", "1"), fatal=self.errors.append,
            idle_ends=idle_ends, idle_s=0.3,
        )  # fmt: skip
        await stage.assigned([(self.raw, partition)], 1)
        reader = BulkReader(self.kafka, {(self.raw, partition): 0})
        chunk = await asyncio.to_thread(reader.read, 10.0)
        reader.close()
        records = [InputRecord(record.offset, record.value, topic=self.raw) for record in chunk.records]
        await stage.offer(Batch(self.raw, partition, 1, records))
        await until(lambda: (self.raw, partition, until_offset) in self.acknowledged or self.errors)
        assert self.errors == []
        await stage.drain()
        await stage.close()


def _delete_all(kafka: KafkaOptions, topic: str, partition: int) -> int:
    end = partition_range(kafka, topic, partition)[1]
    admin = AdminClient(kafka.admin())
    for future in admin.delete_records([TopicPartition(topic, partition, end)]).values():
        future.result(20)
    return end


async def test_retention_that_overtakes_markers_and_aborted_records_of_a_raw_topic_is_no_gap(
    kafka: KafkaOptions, catalogue: Catalogue
) -> None:
    group = _Group(kafka, catalogue)
    for partition in (0, 1):
        # Three records, a marker, three aborted ones, a marker.
        send_committed(kafka, group.raw, RECORDS, partition)
        send_aborted(kafka, group.raw, RECORDS, partition)
    await group.read_all_of(0, partial(group_idle_ends, kafka, group.name), 8)
    await group.read_all_of(1, None, 3)
    assert group.acknowledged == [(group.raw, 0, 3), (group.raw, 0, 8), (group.raw, 1, 3)]
    assert [_delete_all(kafka, group.raw, partition) for partition in (0, 1)] == [8, 8]
    # The second one was never looked at, and is what this is for.
    assert group.gaps() == [(group.raw, 1, Cause.OVERTAKEN)]


def test_no_end_is_told_behind_a_record_or_an_open_transaction(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    group = _Group(kafka, catalogue)
    send_committed(kafka, group.raw, RECORDS, 0)
    send_aborted(kafka, group.raw, RECORDS, 1)
    # Unread records in the first, none in the second: the one holds up nothing of the other.
    assert group.idle_ends() == {(group.raw, 1): 4}
    group.commit(group.raw, 0, 2)
    assert (group.raw, 0) not in group.idle_ends()
    group.commit(group.raw, 0, 3)
    group.commit(group.raw, 1, 4)
    producer = open_transaction(kafka, group.raw, RECORDS, 0)
    send(kafka, group.raw, RECORDS, 1)
    # Behind the first marker somebody writes still: his records may be committed yet.
    assert group.idle_ends() == {(group.raw, 0): 4}
    producer.abort_transaction(20)


def test_positions_that_the_log_does_not_hold_are_left_out(kafka: KafkaOptions, catalogue: Catalogue) -> None:
    raw = catalogue.raw("web")
    for partition in (0, 1):
        send_committed(kafka, raw, RECORDS, partition)
    _delete_all(kafka, raw, 0)
    assert idle_ends(kafka, {(raw, 0): 3, (raw, 1): 3}) == {(raw, 1): 4}
    assert idle_ends(kafka, {(raw, 0): 4, (raw, 1): 9}) == {}


def test_a_broker_that_is_away_is_no_error() -> None:
    # Port 9 is discard: nobody listens there.
    away = KafkaOptions("127.0.0.1:9")
    assert idle_ends(away, {}) == {}
