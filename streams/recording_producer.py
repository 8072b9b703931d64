"""A producer without a broker, for tests: it keeps what it is given, and fails when told to."""

import asyncio
from collections.abc import Iterable, Sequence

from schemas.errors import DeliveryFailed
from schemas.topics import Catalogue, partition_of
from streams.producer import Record, reject_large


class RecordingProducer:
    """A `RecordProducer` in memory; it chooses partitions as `DeliveringProducer` does."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._partitions = {spec.name: spec.partitions for spec in catalogue.specs()}
        #: Everything acknowledged, with its partition, in order.
        self.records: list[Record] = []
        #: While set, nothing is acknowledged and deliveries fail for this reason.
        self.failure: str | None = None
        #: While cleared, `send_all` waits.
        self.open = asyncio.Event()
        self.open.set()
        self.outstanding_bytes = 0
        self.waiting_seconds = 0.0
        self.closed = False
        self._unflushed: list[Record] = []

    def produce(self, record: Record) -> None:
        """Keep one record until it is flushed."""
        reject_large(record)
        self._unflushed.append(self._placed(record))

    def produce_batch(
        self, topic: str, partition: int | None, records: Iterable[tuple[bytes | None, bytes | None]]
    ) -> None:
        """Keep records until they are flushed."""
        for key, value in records:
            self.produce(Record(topic, key, value, (), partition))

    def flush(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing takes time here.
        """Acknowledge what was produced, or fail."""
        unflushed, self._unflushed = self._unflushed, []
        self.verify_usable()
        self.records += unflushed

    async def send_all(self, records: Sequence[Record]) -> None:
        """Acknowledge the records once `open` is set, or fail."""
        for record in records:
            reject_large(record)
        size_bytes = sum(record.size_bytes for record in records)
        self.outstanding_bytes += size_bytes
        try:
            await self.open.wait()
        finally:
            self.outstanding_bytes -= size_bytes
        self.verify_usable()
        self.records += [self._placed(record) for record in records]

    def verify_usable(self) -> None:
        """Fail when told to."""
        if self.failure is not None:
            raise DeliveryFailed(self.failure)

    def close(self, timeout_s: float) -> None:  # noqa: ARG002 - nothing takes time here.
        """Remember that it was closed."""
        self.closed = True

    def _placed(self, record: Record) -> Record:
        if record.partition is not None:
            return record
        return record._replace(partition=partition_of(record.key or b"", self._partitions[record.topic]))
