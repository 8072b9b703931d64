"""A partition in a process of its own that ends at a fault point; run by test_checkpoint_crashes.

It counts the records of partition 0 of `routed` up to the end that it is given, and exits with 0 once all of them are
acknowledged. What is acknowledged stands in a file, in the place of the group's offset.
"""

import asyncio
import os
import sys
from pathlib import Path

from schemas.topics import Catalogue, Topic
from state.store_cache import shared_cache
from streams.batch import Batch
from streams.bulk import BulkReader
from streams.checkpoint import Checkpoint
from streams.checkpoint_options import CheckpointOptions
from streams.faults import fault_hook
from streams.kafka import KafkaOptions
from streams.metrics import Metrics
from streams.partition import CheckpointPolicy, PartitionRunner
from tests.streams.counting import InputRecord, make_counting

BATCH_RECORDS = 10
EXIT_FAILED = 3


async def run(kafka: KafkaOptions, catalogue: Catalogue, paths: tuple[Path, Path], end: int, plan: str) -> None:
    """Count until all is acknowledged. The paths are the folder of the state and the file of the offset."""
    folder, file = paths
    acknowledged = await asyncio.to_thread(_acknowledged, file)
    metrics = Metrics("test", "1")
    fault = fault_hook(plan, "counting")
    options = CheckpointOptions(
        kafka, catalogue, catalogue.prefix, "counting", Topic.ROUTED, Topic.STATE, folder, "f", metrics,
        shared_cache(8 * 1024 * 1024), fault,
    )  # fmt: skip
    done = asyncio.Event()

    def acknowledge(_partition: int, offset: int) -> None:
        file.write_text(str(offset))
        if offset == end:
            done.set()

    def fatal(error: BaseException) -> None:
        sys.stderr.write(f"{error!r}\n")
        os._exit(EXIT_FAILED)

    runner = PartitionRunner(
        Checkpoint(options, 0),
        make_counting,
        stage="counting",
        committed_offset=lambda _partition: acknowledged,
        acknowledge=acknowledge,
        policy=CheckpointPolicy(interval_ms=20, events_max=40, pause_ms=1),
        metrics=metrics,
        fatal=fatal,
        fault=fault,
    )
    runner.start(1)
    topic = catalogue.name(Topic.ROUTED)
    reader = BulkReader(kafka, {(topic, 0): acknowledged})
    while not done.is_set():
        chunk = await asyncio.to_thread(reader.read, 0.05)
        for start in range(0, len(chunk.records), BATCH_RECORDS):
            records = [InputRecord(record.offset, record.value) for record in chunk.records[start:][:BATCH_RECORDS]]
            await runner.offer(Batch(topic, 0, 1, records))
    reader.close()
    await runner.drain(10)
    await runner.close()


def _acknowledged(file: Path) -> int:
    return int(file.read_text()) if file.exists() else 0


def main() -> None:
    """Read the arguments: brokers, prefix, folder, file of the acknowledged offset, end, plan."""
    brokers, prefix, folder, file, end, plan = sys.argv[1:]
    catalogue = Catalogue(prefix=prefix, partitions=2, channels=("web",))
    asyncio.run(run(KafkaOptions(brokers), catalogue, (Path(folder), Path(file)), int(end), plan))


if __name__ == "__main__":
    main()
