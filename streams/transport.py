"""Batches through Faust: whole record batches of one partition travel as one message.

Faust's own path costs some 23 microseconds a record before an agent sees it, and its bookkeeping of acknowledgements
materialises gaps that transaction markers leave. Here a message's value is the list of a partition's records, and an
acknowledgement is the next offset of a partition. Everything overridden is private to faust-streaming 0.15.3 and
aiokafka 0.14.0, which are pinned; tests/streams/test_transport.py holds them to it.
"""

from collections.abc import AsyncIterator, Callable
from typing import Any, Final, NamedTuple

import aiokafka
import faust
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import Message as FaustMessage

from streams.assignment import BalancedAssignor
from streams.tolerant_records import read_tolerantly

# aiokafka keeps one fetch in flight per broker: a fetch that waits on idle partitions holds up busy ones this long.
FETCH_MAX_WAIT_MS: Final = 25


class Fetched(NamedTuple):
    """A message's value: the records of one fetch, and the last offset that was fetched before them.

    Whoever takes batches in compares `previous` with what it has: a batch that was lost in between can't go unnoticed.
    """

    previous: int | None
    records: list[Any]


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the aiokafka consumer with what Faust has no setting for."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """The consumer as Faust makes it, but for committed records only, balanced by topic, with short fetches.

        It reads any record that the broker took, whatever the names of its headers.
        """
        read_tolerantly()
        consumer = super()._create_worker_consumer(transport)
        # aiokafka reads these when it starts, which is after this call.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust has no setting for it.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001 - as above.
        consumer._partition_assignment_strategy = [BalancedAssignor()]  # noqa: SLF001 - as above.
        return consumer

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watchdog compares a monotonic with a wall clock; freshness and the supervisor do this work here."""


class BatchConsumer(driver.Consumer):
    """A Faust consumer whose messages are batches and whose acknowledgements are offsets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_offsets: dict[TP, int] = {}
        # The last offset fetched of each partition, and the generation that it was fetched under.
        self._fetched_last: dict[TP, tuple[int, int]] = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, FaustMessage]]:  # noqa: ASYNC109 - Faust's signature.
        """One message per partition and fetch; its offset is that of its last record."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        for tp, batch in records.items():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            if batch:
                message = self._batch_message(tp, batch, generation)
                if active is None or tp in active or tp in self._buffered_partitions:
                    yield tp, message

    def _batch_message(self, tp: TP, batch: list[Any], generation: int) -> FaustMessage:
        before, previous = self._fetched_last.get(tp, (generation, -1))
        # After a rebalance or a seek the batch begins at the committed offset, and nothing came before it.
        follows = before == generation and 0 <= previous < batch[0].offset
        self._fetched_last[tp] = (generation, batch[-1].offset)
        message = self._to_message(tp, batch[-1])
        message.value = Fetched(previous if follows else None, batch)
        return message

    def acknowledge(self, tp: TP, next_offset: int) -> None:
        """All records of the partition below the offset are done: the next commit may say so.

        Offsets only grow; an older one, from a batch that was fetched twice, changes nothing.
        """
        if next_offset > self._next_offsets.get(tp, -1):
            self._next_offsets[tp] = next_offset

    def ack(self, message: FaustMessage) -> bool:
        """Faust's own acknowledgement; agents use `acknowledge` with an offset instead."""
        message.acked = True
        return True

    def _filter_tps_with_pending_acks(self, topics: Any = None) -> list[TP]:  # noqa: ARG002 - Faust's signature.
        return list(self._next_offsets)

    def _new_offset(self, tp: TP) -> int | None:
        return self._next_offsets.pop(tp, None)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        """Markers and compaction leave gaps; with acknowledgements by offset they mean nothing."""


class BatchTransport(driver.Transport):
    """Faust's aiokafka transport with our consumer."""

    Consumer = BatchConsumer


class BatchSchema(faust.Schema):
    """Hands a batch to the agent as it is."""

    def compile(self, app: Any, **_kwargs: Any) -> Callable[..., Any]:
        """The decoder that Faust calls per message: it makes the event and decodes nothing."""
        create_event = app.create_event

        async def decode(message: FaustMessage, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust's signature.
            return create_event(None, message.value, message.headers, message)

        return decode
