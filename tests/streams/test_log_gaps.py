"""Goal: logs with holes lose nothing and stall nothing. Method: compaction, aborted transactions, 100 million offsets.

Markers, aborted records and compaction leave offsets out of a log. A worker acknowledges by offset, so a hole is
nothing to it; bookkeeping by single records would lose some at its edge, or count through it one by one.
"""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, AlterConfigOpType, ConfigEntry, ConfigResource, ResourceType

from schemas.topics import Catalogue, Topic
from streams.broker.options import NODE_ID
from streams.bulk import read_all
from streams.kafka import KafkaOptions
from streams.topics import group_offsets, record_new_partitions
from tests.streams.counting import counted
from tests.streams.feeding import send, send_aborted, send_committed
from tests.streams.hurt_broker import HurtBroker
from tests.waiting import wait_until

pytestmark = [pytest.mark.kafka, pytest.mark.crash]
ROOT = Path(__file__).parents[2]
WIDE = 100_000_000


@contextmanager
def _worker(kafka: KafkaOptions, catalogue: Catalogue, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """The real application over the counting engine, ended in order at the end."""
    record_new_partitions(kafka, catalogue.prefix, {catalogue.name(Topic.ROUTED): catalogue.partitions})
    arguments = [kafka.bootstrap_servers, catalogue.prefix, str(catalogue.partitions), str(folder / "disk"), ""]
    with (folder / "worker.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.streams.counting_worker", *arguments], cwd=ROOT, stdout=log, stderr=log
        )
    try:
        yield process
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0, (folder / "worker.log").read_text()
    finally:
        process.kill()
        process.wait()


def _configure(kafka: KafkaOptions, kind: ResourceType, name: str, values: Mapping[str, str]) -> None:
    entries = [ConfigEntry(key, value, incremental_operation=AlterConfigOpType.SET) for key, value in values.items()]
    admin = AdminClient(kafka.admin())
    for future in admin.incremental_alter_configs([ConfigResource(kind, name, incremental_configs=entries)]).values():
        future.result(20)


def _committed_values(kafka: KafkaOptions, catalogue: Catalogue) -> list[bytes]:
    return [record.value or b"" for record in read_all(kafka, catalogue.name(Topic.ROUTED), catalogue.partitions)]


def test_of_a_compacted_log_with_aborted_transactions_every_committed_record_counts_once(
    hurt: HurtBroker, tmp_path: Path
) -> None:
    kafka, catalogue = hurt.kafka, hurt.catalogue("holes")
    routed = catalogue.name(Topic.ROUTED)
    _configure(kafka, ResourceType.BROKER, str(NODE_ID), {"log.cleaner.backoff.ms": "200"})
    compact = {"cleanup.policy": "compact", "segment.ms": "50", "min.cleanable.dirty.ratio": "0.001"}
    _configure(kafka, ResourceType.TOPIC, routed, compact)
    sent = 0
    for turn in range(12):
        # Each key comes in several transactions, so that compaction makes holes in the middle of batches.
        keys = [f"key-{turn % 2}-{number % 17}".encode() for number in range(turn, turn + 25)]
        values = [(key, b"%s|%d-%d" % (key, turn, place)) for place, key in enumerate(keys)]
        ghosts = [(key, b"%s|ghost" % key) for key in keys]
        send_aborted(kafka, routed, ghosts, partition=turn % 2)
        send_committed(kafka, routed, values, partition=turn % 2)
        sent += len(values)
    for partition in (0, 1):
        # The newest segment is never compacted, so this begins another; it ends with what nobody is to see.
        send(kafka, routed, [(b"last", b"last-%d|" % partition)], partition)
        send_aborted(kafka, routed, [(b"last", b"last|ghost")] * 5, partition)
    wait_until(lambda: len(_committed_values(kafka, catalogue)) < sent * 2 // 3, "compaction", deadline_s=60)
    _configure(kafka, ResourceType.TOPIC, routed, {"cleanup.policy": "delete"})
    expected = Counter(_committed_values(kafka, catalogue))
    assert not [value for value in expected if value.endswith(b"ghost")]
    with _worker(kafka, catalogue, tmp_path):
        wait_until(lambda: counted(kafka, catalogue)[1].total() >= expected.total(), "all records", deadline_s=60)
        ends = {
            (routed, partition): max(
                record.offset + 1 for record in read_all(kafka, routed, 2) if record.partition == partition
            )
            for partition in (0, 1)
        }
        wait_until(
            lambda: all(
                (at or 0) >= ends[place] for place, at in group_offsets(kafka, catalogue.prefix, list(ends)).items()
            ),
            "the group's offsets at the last committed record",
        )
    counts, outputs = counted(kafka, catalogue)
    assert outputs == expected
    assert counts == Counter(value.split(b"|")[0] for value in expected.elements())


def test_a_hole_of_a_hundred_million_offsets_stalls_nothing(hurt: HurtBroker, tmp_path: Path) -> None:
    kafka, catalogue = hurt.kafka, hurt.catalogue("wide")
    routed = catalogue.name(Topic.ROUTED)
    _configure(kafka, ResourceType.TOPIC, routed, {"segment.ms": "50"})
    folder = hurt.partition_folder(routed, 0)
    values: list[bytes] = []

    def send_more() -> bool:
        """One record more; whether it began a segment of its own."""
        values.append(b"k|%d" % len(values))
        send(kafka, routed, [(b"k", values[-1])])
        return len(list(folder.glob("*.log"))) > 1

    wait_until(send_more, "a second segment")
    first = max(int(file.stem) for file in folder.glob("*.log"))
    hurt.broker.stop()
    _widen(folder, first=first, by=WIDE)
    hurt.broker.start()
    hurt.broker.wait_ready()
    offsets = [record.offset for record in read_all(kafka, routed, 1)]
    assert offsets == [*range(first), *range(WIDE + first, WIDE + len(values))]
    with _worker(kafka, catalogue, tmp_path):
        wait_until(lambda: counted(kafka, catalogue)[1].total() == len(values), "all records")
        position = {(routed, 0): WIDE + len(values)}
        wait_until(lambda: group_offsets(kafka, catalogue.prefix, list(position)) == position, "the group's offset")
    counts, outputs = counted(kafka, catalogue)
    assert counts == {b"k": len(values)}
    assert outputs == Counter(values)


def _widen(folder: Path, *, first: int, by: int) -> None:
    """Move the segment that begins at `first`, so that as many offsets lie between it and the one before it.

    The offset of a batch is not covered by its checksum, so that a broker can give it; the indexes are made anew.
    """
    segment = folder / f"{first:020d}.log"
    log = bytearray(segment.read_bytes())
    place = 0
    while place < len(log):
        offset = int.from_bytes(log[place : place + 8], "big")
        log[place : place + 8] = (offset + by).to_bytes(8, "big")
        place += 12 + int.from_bytes(log[place + 8 : place + 12], "big")
    (folder / f"{first + by:020d}.log").write_bytes(log)
    for old in folder.glob(f"{first:020d}.*"):
        old.unlink()
    for snapshot in folder.glob("*.snapshot"):
        snapshot.unlink()
