"""Goal: what retention deletes while nothing happens raises no false alarm, and nothing unread is passed by.

Method: the real broker; markers at the end of the input, records and open transactions behind the position; retention
that overtakes the markers.
"""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from schemas.errors import StateError
from schemas.topics import Catalogue, Topic
from state.engine import Drained
from state.store_cache import shared_cache
from streams.batch import Batch
from streams.bulk import BulkReader, partition_range
from streams.checkpoint import Checkpoint
from streams.checkpoint_options import CheckpointOptions
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy, PartitionRunner
from tests.streams.counting import InputRecord, make_counting
from tests.streams.feeding import open_transaction, send, send_aborted, send_committed
from tests.waiting import until

pytestmark = pytest.mark.kafka
IDLE = CheckpointPolicy(interval_ms=10, pause_ms=1, idle_s=0.3)
NEVER_IDLE = CheckpointPolicy(interval_ms=10, pause_ms=1)
RECORDS = [(b"k", b"k|%d" % number) for number in range(3)]


def _options(kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> CheckpointOptions:
    return CheckpointOptions(
        kafka, catalogue, catalogue.prefix, "counting", Topic.ROUTED, Topic.STATE, folder, "f", Metrics("test", "1"),
        shared_cache(8 * 1024 * 1024),
    )  # fmt: skip


class _Worker:
    """A partition that is fed what a committed reader finds."""

    def __init__(self, options: CheckpointOptions, policy: CheckpointPolicy) -> None:
        self.options = options
        self.checkpoint = Checkpoint(options, 0)
        self.acknowledged: list[int] = []
        self.errors: list[BaseException] = []
        self.runner = PartitionRunner(
            self.checkpoint,
            make_counting,
            stage="counting",
            committed_offset=lambda _partition: 0,
            acknowledge=lambda _partition, offset: self.acknowledged.append(offset),
            policy=policy,
            metrics=options.metrics,
            fatal=self.errors.append,
        )

    async def work(self, until_offset: int) -> None:
        """Apply everything there is, and wait until the position is the given one."""
        topic = self.options.input_name
        self.runner.start(1)
        await until(lambda: self.acknowledged or self.errors)
        assert self.errors == []
        reader = BulkReader(self.options.kafka, {(topic, 0): self.acknowledged[-1]})
        chunk = await asyncio.to_thread(reader.read, 5.0)
        reader.close()
        if chunk.records:
            records = [InputRecord(record.offset, record.value) for record in chunk.records]
            await self.runner.offer(Batch(topic, 0, 1, records))
        await until(lambda: self.acknowledged[-1] >= until_offset or self.errors)
        assert self.errors == []

    async def stop(self) -> None:
        await self.runner.drain(10)
        await self.runner.close()


def _overtake(options: CheckpointOptions) -> int:
    """Delete all that the input holds, as retention does; returns where it begins now."""
    end = partition_range(options.kafka, options.input_name, 0)[1]
    admin = AdminClient(options.kafka.admin())
    for future in admin.delete_records([TopicPartition(options.input_name, 0, end)]).values():
        future.result(20)
    return end


async def test_retention_that_overtakes_the_last_marker_is_no_loss(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    options = _options(kafka, catalogue, tmp_path)
    send_committed(kafka, options.input_name, RECORDS)
    send_aborted(kafka, options.input_name, RECORDS)
    worker = _Worker(options, IDLE)
    # Three records, a marker, three aborted ones, a marker.
    await worker.work(8)
    assert worker.acknowledged[-1] == 8
    await worker.stop()
    assert _overtake(options) == 8
    again = _Worker(options, IDLE)
    await again.work(8)
    assert again.acknowledged == [8]
    await again.stop()


async def test_a_position_that_was_never_moved_is_taken_for_a_loss(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    options = _options(kafka, catalogue, tmp_path)
    send_committed(kafka, options.input_name, RECORDS)
    worker = _Worker(options, NEVER_IDLE)
    await worker.work(3)
    await worker.stop()
    assert _overtake(options) == 4
    again = _Worker(options, IDLE)
    again.runner.start(1)
    await until(lambda: again.errors)
    assert isinstance(again.errors[0], StateError)
    await again.stop()


async def test_the_position_never_passes_a_record_or_an_open_transaction(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    options = _options(kafka, catalogue, tmp_path)
    send_committed(kafka, options.input_name, RECORDS)
    checkpoint = Checkpoint(options, 0)
    await asyncio.to_thread(checkpoint.open, 0)
    # Unread records lie between.
    assert await asyncio.to_thread(checkpoint.idle_end) == 0
    await asyncio.to_thread(checkpoint.commit, Drained([], {}), 3)
    # Behind the marker somebody writes still: his records may be committed yet.
    producer: Any = open_transaction(kafka, options.input_name, RECORDS)
    assert await asyncio.to_thread(checkpoint.idle_end) == 4
    await asyncio.to_thread(checkpoint.commit, Drained([], {}), 4)
    assert await asyncio.to_thread(checkpoint.idle_end) == 4
    producer.commit_transaction(20)
    await until(lambda: partition_range(kafka, options.input_name, 0)[1] == 8)
    assert await asyncio.to_thread(checkpoint.idle_end) == 4
    # Plain records as well.
    await asyncio.to_thread(checkpoint.commit, Drained([], {}), 8)
    send(kafka, options.input_name, RECORDS)
    assert await asyncio.to_thread(checkpoint.idle_end) == 8
    checkpoint.close()
