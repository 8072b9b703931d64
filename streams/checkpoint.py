"""The checkpoint: outputs and state of one partition, there together or not at all.

One transactional producer per partition writes everything; its transactional id fences a predecessor that was paused
and wakes up. The fault points lie between the steps, so that tests and drills can kill a worker at each.
"""

import contextlib
import threading
import time
from collections.abc import Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from schemas.errors import GoldenthreadError, StateError
from schemas.rows import PositionRow, RowDecoder, encode_row
from schemas.topics import POSITION_KEY, partition_of
from state.engine import Drained, Output
from state.held_rows import HeldRows
from state.packed_outputs import Packed, PackedOutputs
from state.store import Store
from streams.bulk import partition_range
from streams.checkpoint_options import CheckpointOptions
from streams.faults import FaultPoint
from streams.idle_ends import idle_ends
from streams.logs import logger
from streams.missing_markers import places_written, take_over
from streams.position import require_position
from streams.restore import Restore
from streams.topics import topic_ids
from streams.transaction import TransactionalProducer

log = logger(__name__)

_POSITIONS: Final = RowDecoder(PositionRow)


class Checkpoint:
    """Commits one partition of one stage. Its methods block, so they run in a thread; one at a time."""

    def __init__(self, options: CheckpointOptions, partition: int) -> None:
        self.partition = partition
        self._options = options
        self._input = options.input_name
        self._input_partitions = options.catalogue.partitions_of(options.input_topic)
        self._changelog = options.changelog_name
        self._busy = threading.Lock()
        self._closing = threading.Event()
        self._producer: TransactionalProducer | None = None
        self._store: Store | None = None
        self._rows: HeldRows | None = None
        self._restore: Restore | None = None
        self._ids: dict[str, str] = {}
        # The greatest changelog offset that the store holds.
        self._stored_offset = -1
        self.next_offset = 0
        self.era = 0

    @property
    def rows(self) -> HeldRows:
        """The committed rows; there after `open`."""
        if self._rows is None:
            raise StateError(f"the store of {self._input}/{self.partition} is not open")
        return self._rows

    @property
    def store(self) -> Store:
        """The store, with all committed rows in it; there after `open`."""
        if self._store is None:
            raise StateError(f"the store of {self._input}/{self.partition} is not open")
        self.rows.flush()
        return self._store

    def open(self, group_offset: int | None) -> None:
        """Take the partition over and bring its state to where the log stands.

        1. Fence: abort what a predecessor left open, keep it from writing, and end what the broker left hanging.
        2. Restore: read the changelog from the stored offset to its end.
        3. Take up the position, and hold it against the group's offset and the input log.

        A `close` meanwhile ends step 1 within a second: the next owner must not be fenced.

        Raises:
            StateError: the log lost what the state needs, or the other way round.
            OperatorNeeded: a transaction hangs in the changelog, and what was decided of it is not known.
            Fenced, DeliveryFailed, BrokerUnreachable: the broker refused or did not answer.
        """
        with self._busy:
            if self._closing.is_set():
                return
            options = self._options
            started = time.monotonic()
            # Step 1.
            self._producer = TransactionalProducer(options.kafka, options.transactional_id(self.partition))
            options.fault(FaultPoint.OPEN_BEFORE_FENCE)
            places = places_written(options.catalogue, self._changelog, self.partition)
            if not take_over(options.kafka, self._producer, places, lambda: not self._closing.is_set()):
                return
            options.fault(FaultPoint.OPEN_AFTER_FENCE)
            # Step 2.
            self._ids = topic_ids(options.kafka, [self._input, self._changelog])
            changelog_id = self._ids[self._changelog]
            self._restore = Restore(options, self.partition, changelog_id=changelog_id, closing=self._closing)
            self._store, restored = self._restore.run()
            self._rows = HeldRows(self._store, size_bytes_max=options.held_size_bytes_max)
            stored = self._store.position(self._changelog, self.partition)
            self._stored_offset = -1 if stored is None else stored.next_offset - 1
            options.fault(FaultPoint.OPEN_AFTER_RESTORE)
            # Step 3.
            self._take_up_position(group_offset)
            options.fault(FaultPoint.OPEN_AFTER_POSITION)
            seconds = time.monotonic() - started
            options.metrics.restore_seconds.labels(options.stage).observe(seconds)
            log.info(
                "partition restored",
                stage=options.stage,
                partition=self.partition,
                records=restored,
                next_offset=self.next_offset,
                seconds=round(seconds, 3),
            )

    def commit(self, drained: Drained, next_offset: int) -> int:
        """Write one checkpoint; the caller acknowledges `next_offset` to Faust afterwards, as the last step.

        1. Begin the transaction and produce the outputs.
        2. Produce one changelog record per changed row, and the position row.
        3. Wait for every acknowledgement, and commit the transaction.
        4. Write rows, position and changelog offset in one batch, which RocksDB gets with those of the next second.

        A failure before the end of step 4 stops the worker; it restarts and restores, it never skips.

        Returns:
            The bytes of all keys and values that were written.

        Raises:
            Fenced: another worker has the partition.
            DeliveryFailed: a record was not acknowledged; nothing of the transaction is visible.
        """
        with self._busy:
            producer = self._producer
            if producer is None or self._restore is None or next_offset < self.next_offset:
                raise StateError(f"offsets only grow, from an open checkpoint: {next_offset} after {self.next_offset}")
            fault = self._options.fault
            fault(FaultPoint.BEFORE_TRANSACTION)
            # Step 1.
            producer.begin()
            fault(FaultPoint.AFTER_BEGIN)
            self._produce_outputs(producer, drained.outputs)
            fault(FaultPoint.AFTER_OUTPUTS)
            # Step 2.
            position = PositionRow(self._ids[self._input], self._input_partitions, self.era, next_offset)
            encoded = encode_row(position)
            partition = self.partition
            self._produce_rows(producer, drained)
            # The last one, so its offset is the greatest.
            producer.produce(self._changelog, partition, POSITION_KEY, encoded)
            fault(FaultPoint.AFTER_ROWS)
            # Step 3.
            producer.flush()
            fault(FaultPoint.AFTER_FLUSH)
            producer.commit()
            fault(FaultPoint.AFTER_COMMIT)
            # Step 4. The store is never ahead of the changelog: only acknowledged rows get here.
            changelog_offset = producer.offsets[self._changelog, self.partition]
            if changelog_offset <= self._stored_offset:
                raise StateError(
                    f"{self._changelog}/{self.partition} took rows at {changelog_offset} after {self._stored_offset}: "
                    "it lost its tail or was made again; stop all workers and see what the broker holds"
                )
            self._stored_offset = changelog_offset
            rows = {**drained.rows, POSITION_KEY: encoded}
            self.rows.write(rows, self._restore.position(changelog_offset + 1))
            self.next_offset = next_offset
            fault(FaultPoint.AFTER_STORE)
            for topic, (records, size_bytes) in producer.sizes.items():
                self._options.metrics.records_written.labels(topic).inc(records)
                self._options.metrics.bytes_written.labels(topic).inc(size_bytes)
            return sum(size_bytes for _, size_bytes in producer.sizes.values())

    def idle_end(self) -> int:
        """Where the input goes on if no committed record lies between the position and its end.

        Never past a record, nor past a transaction that is still open: then it is the position itself.
        """
        place = (self._input, self.partition)
        return idle_ends(self._options.kafka, {place: self.next_offset}).get(place, self.next_offset)

    def close(self) -> None:
        """Release store and producer; an open transaction is left to the next owner, who aborts it.

        A restore that is under way ends at its next batch: the partition went to another worker meanwhile.
        """
        self._closing.set()
        with self._busy:
            if self._store is not None:
                with contextlib.suppress(GoldenthreadError):
                    # What is not written is restored; an unsound store was told of before.
                    self.rows.flush()
                self._rows = None
                self._options.metrics.stores.forget(self._options.store_path(self.partition).name)
                self._store.close()
                self._store = None
            if self._producer is not None:
                self._producer.close()
                self._producer = None

    def _produce_outputs(self, producer: TransactionalProducer, outputs: Sequence[Output]) -> None:
        catalogue, wire = self._options.catalogue, self._options.wire
        if isinstance(outputs, PackedOutputs):
            for run in outputs.runs:
                # JSON goes out as it is.
                if not isinstance(run, Packed):
                    self._produce_outputs(producer, run)
                elif wire.is_avro or not producer.produce_packed(
                    catalogue.name(run.topic), run, partitions=catalogue.partitions_of(run.topic)
                ):
                    self._produce_outputs(producer, run.unpacked())
            return
        # Engines say what is for one topic together: what a topic needs is looked up once for a run of its outputs.
        for topic, group in groupby(outputs, attrgetter("topic")):
            name, count = catalogue.name(topic), catalogue.partitions_of(topic)
            # JSON goes out as it is.
            form = wire.value if wire.is_avro else None
            records: list[tuple[bytes | None, bytes | None, int]] = []
            for _, key, written, headers in group:
                value = written if form is None else form(topic, written)
                partition = 0 if key is None or count == 1 else partition_of(key, count)
                if headers:
                    producer.produce(name, partition, key, value, headers)
                else:
                    records.append((key, value, partition))
            producer.produce_batch(name, records)

    def _produce_rows(self, producer: TransactionalProducer, drained: Drained) -> None:
        partition, changelog = self.partition, self._changelog
        if not isinstance(drained.changelog, PackedOutputs):
            producer.produce_batch(changelog, [(key, row, partition) for key, row in drained.rows.items()])
            return
        for run in drained.changelog.runs:
            if not (isinstance(run, Packed) and producer.produce_packed(changelog, run, partition=partition)):
                rows = run.unpacked() if isinstance(run, Packed) else run
                producer.produce_batch(changelog, [(row.key, row.value, partition) for row in rows])

    def _take_up_position(self, group_offset: int | None) -> None:
        options = self._options
        encoded = self.rows.get(POSITION_KEY)
        position = require_position(
            None if encoded is None else _POSITIONS.decode(encoded),
            where=f"{self._input}/{self.partition}",
            topic_id=self._ids[self._input],
            partitions=self._input_partitions,
            group_offset=group_offset,
            log=partition_range(options.kafka, self._input, self.partition),
            changelog=self._changelog,
        )
        if position is not None:
            self.next_offset = position.next_offset
            self.era = position.era
        options.metrics.accepted_gaps.labels(options.stage, str(self.partition)).set(self.era)
