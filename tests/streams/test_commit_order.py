"""Goal: no offset is acknowledged before the broker has its rows. Method: a slow broker, and one that refuses."""

import time
from collections import Counter
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.errors import EXIT_RESTART, DeliveryFailed
from schemas.rows import PositionRow, RowDecoder
from schemas.topics import POSITION_KEY, Catalogue, Topic
from state.store_cache import shared_cache
from streams.batch import Batch
from streams.bulk import read_all
from streams.checkpoint import Checkpoint
from streams.checkpoint_options import CheckpointOptions
from streams.faults import FaultHook, FaultPoint, no_fault
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy, PartitionRunner
from tests.streams.counting import InputRecord, counted, make_counting
from tests.streams.feeding import send
from tests.streams.hurt_broker import HurtBroker
from tests.waiting import until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
RECORDS = 400
VALUES = [b"key-%d|%d" % (number % 7, number) for number in range(RECORDS)]
#: Shorter than the transaction's timeout, which is another fault.
PAUSES_S = (0.2, 0.5, 1.0, 2.0)
MARKER_DEADLINE_S = 5.0


class _Partition:
    """Partition 0 of a counting stage. Every acknowledgement is held against what a committed reader sees just then."""

    def __init__(self, kafka: KafkaOptions, catalogue: Catalogue, folder: Path, fault: FaultHook = no_fault) -> None:
        self.kafka = kafka
        self.catalogue = catalogue
        self.acknowledged: list[int] = []
        self.in_log: list[int] = []
        self.failures: list[BaseException] = []
        metrics = Metrics("test", "1")
        options = CheckpointOptions(
            kafka, catalogue, catalogue.prefix, "counting", Topic.ROUTED, Topic.STATE, folder, "f", metrics,
            shared_cache(8 * 1024 * 1024), fault,
        )  # fmt: skip
        self.checkpoint = Checkpoint(options, 0)
        self.runner = PartitionRunner(
            self.checkpoint,
            make_counting,
            stage="counting",
            committed_offset=lambda _partition: 0,
            acknowledge=self._acknowledge,
            policy=CheckpointPolicy(interval_ms=20, events_max=40, pause_ms=1),
            metrics=metrics,
            fatal=self.failures.append,
            fault=fault,
        )

    def position(self) -> int:
        """How far the state is, as the changelog says to a committed reader."""
        rows = [
            record.value
            for record in read_all(self.kafka, self.catalogue.name(Topic.STATE), 1)
            if record.key == POSITION_KEY
        ]
        return RowDecoder(PositionRow).decode(rows[-1] or b"").next_offset if rows else 0

    async def run(self, values: list[bytes]) -> None:
        """Apply the records from the first one on until all are acknowledged, or it has failed."""
        self.runner.start(1)
        topic = self.catalogue.name(Topic.ROUTED)
        for start in range(0, len(values), 20):
            records = [InputRecord(start + place, value) for place, value in enumerate(values[start : start + 20])]
            offering = self.runner.offer(Batch(topic, 0, 1, records))
            if not self.failures:
                await offering
            else:
                offering.close()
        await until(lambda: self.failures or self.acknowledged[-1:] == [len(values)], deadline_s=60)
        await self.runner.drain(10)
        await self.runner.close()

    def _acknowledge(self, _partition: int, offset: int) -> None:
        self.acknowledged.append(offset)
        # What is written after this is no thing of this acknowledgement: then it came too early, whatever is read.
        is_written = not self.checkpoint._busy.locked()
        deadline = time.monotonic() + MARKER_DEADLINE_S
        position = self.position()
        # The broker answers once the commit is decided; committed readers see it a moment later, with its marker.
        while is_written and position < offset and time.monotonic() < deadline:
            position = self.position()
        self.in_log.append(position if is_written else -1)


async def test_while_the_broker_is_slow_nothing_is_acknowledged_before_its_rows(
    hurt: HurtBroker, tmp_path: Path
) -> None:
    catalogue = hurt.catalogue("slow")
    send(hurt.kafka, catalogue.name(Topic.ROUTED), [(None, value) for value in VALUES])
    pauses = {2: PAUSES_S[0], 4: PAUSES_S[1], 5: PAUSES_S[2], 7: PAUSES_S[3]}
    passed: Counter[str] = Counter()

    def fault(point: str) -> None:
        passed[point] += 1
        # In turn before the rows are flushed and before the transaction is committed.
        where = FaultPoint.AFTER_ROWS if passed[point] % 2 else FaultPoint.AFTER_FLUSH
        if point == where and passed[point] in pauses:
            hurt.pause(pauses[passed[point]])

    partition = _Partition(hurt.kafka, catalogue, tmp_path, fault)
    await partition.run(VALUES)
    hurt.settle()
    assert partition.failures == []
    assert partition.acknowledged == sorted(partition.acknowledged)
    assert len(partition.acknowledged) > max(pauses)
    late = [pair for pair in zip(partition.acknowledged, partition.in_log, strict=True) if pair[0] > pair[1]]
    assert late == [], "acknowledged, but not in the changelog yet"
    counts, outputs = counted(hurt.kafka, catalogue)
    assert outputs == Counter(VALUES)
    assert counts == Counter(value.split(b"|")[0] for value in VALUES)


async def test_a_changelog_that_refuses_one_record_ends_the_worker_and_nothing_past_it_is_acknowledged(
    kafka: KafkaOptions, catalogue: Catalogue, tmp_path: Path
) -> None:
    send(kafka, catalogue.name(Topic.ROUTED), [(None, value) for value in VALUES])
    passed: Counter[str] = Counter()

    def fault(point: str) -> None:
        passed[point] += 1
        if (point, passed[point]) == (FaultPoint.BEFORE_TRANSACTION, 3):
            # Less than any checkpoint needs, and more than the marker that ends a transaction.
            _limit_records(kafka, catalogue.name(Topic.STATE), 100)

    partition = _Partition(kafka, catalogue, tmp_path / "first", fault)
    await partition.run(VALUES)
    (failure,) = partition.failures
    assert isinstance(failure, DeliveryFailed)
    assert failure.exit_code == EXIT_RESTART
    assert catalogue.name(Topic.STATE) in str(failure)
    position = partition.position()
    assert 0 < position < RECORDS
    assert partition.acknowledged[-1] == position
    # Not even its outputs, which the broker did take, are seen.
    _, outputs = counted(kafka, catalogue)
    assert outputs == Counter(VALUES[:position])
    _limit_records(kafka, catalogue.name(Topic.STATE), 1024 * 1024)
    again = _Partition(kafka, catalogue, tmp_path / "second")
    await again.run(VALUES)
    assert again.failures == []
    counts, outputs = counted(kafka, catalogue)
    assert outputs == Counter(VALUES)
    assert counts == Counter(value.split(b"|")[0] for value in VALUES)


def _limit_records(kafka: KafkaOptions, topic: str, size_bytes: int) -> None:
    """Set the largest record batch that a topic takes."""
    entry = ConfigEntry("max.message.bytes", str(size_bytes), incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, topic, incremental_configs=[entry])
    admin = AdminClient(kafka.admin())
    for future in admin.incremental_alter_configs([resource]).values():
        future.result(20)
