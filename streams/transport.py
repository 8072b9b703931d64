"""Batches through Faust: all that one fetch brings for one agent travels as one message.

Faust's own path costs some 23 microseconds a record before an agent sees it, and hundreds a message on a busy machine,
of which a fetch of many partitions would bring as many; and its bookkeeping of acknowledgements materialises gaps that
transaction markers leave. Here a message's value is a list of batches, each the records of a partition, and an
acknowledgement is the next offset of a partition. Everything overridden is private to faust-streaming 0.15.3 and
aiokafka 0.14.0, which are pinned; tests/streams/test_transport.py holds them to it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

import aiokafka
import faust
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import FetchResult
from aiokafka.errors import ConsumerStoppedError
from aiokafka.structs import OffsetAndMetadata
from faust.transport.drivers import aiokafka as driver
from faust.types import TP
from faust.types.tuples import Message as FaustMessage

from streams.assignment import BalancedAssignor
from streams.batch import Batch
from streams.group import offset_metadata
from streams.read_ahead import UNBOUNDED, Allowance, ReadAhead, Taking
from streams.tolerant_records import read_tolerantly

# aiokafka keeps one fetch in flight per broker: a fetch that waits on idle partitions holds up busy ones this long.
FETCH_MAX_WAIT_MS: Final = 25
# The broker waits that long for so much. A fetch asks for every partition, and costs broker and worker the same whether
# it brings one record or hundreds: answered at the first record, fetches would follow each other as fast as they can.
FETCH_ANSWER_SIZE_BYTES_MIN: Final = 64 * 1024
# The answer to one fetch, of all partitions together.
FETCH_ANSWER_SIZE_BYTES_MAX: Final = 16 * 1024 * 1024
# While partitions are held back, it is looked this often whether they may go on.
HELD_BACK_POLL_SECONDS: Final = 0.02
# A fetch that is not taken at once holds up the next one this long, which so joins more partitions; aiokafka's own.
_PREFETCH_BACKOFF_SECONDS: Final = 0.1
# Records are taken in pieces that grow from the first of these to the second, as their size is known only then.
_PIECE_RECORDS: Final = (16, 1024)


Commit = Callable[[Mapping[Any, OffsetAndMetadata]], Awaitable[None]]


class PlainRecords(fetcher.PartitionRecords):
    """The fetcher's walk over what it fetched, which gives each record as the parser made it.

    aiokafka copies each into an object of its own with the topic and the partition, which takes as long as parsing it;
    here these are the batch's.
    """

    def _consumer_record(self, tp: Any, record: Any) -> Any:  # noqa: ARG002 - aiokafka's signature.
        return record


class BatchConsumerThread(driver.AIOKafkaConsumerThread):
    """Makes the aiokafka consumer with what Faust has no setting for."""

    def _create_worker_consumer(self, transport: Any) -> aiokafka.AIOKafkaConsumer:
        """The consumer as Faust makes it, but for committed records only, balanced by topic, with short fetches.

        It reads any record that the broker took, whatever the names of its headers. How fetchers read and what they
        give is set for the whole process, see `streams.tolerant_records`.
        """
        read_tolerantly()
        fetcher.PartitionRecords = PlainRecords
        consumer = super()._create_worker_consumer(transport)
        # aiokafka reads these when it starts, which is after this call.
        consumer._isolation_level = "read_committed"  # noqa: SLF001 - Faust has no setting for it.
        consumer._fetch_max_wait_ms = FETCH_MAX_WAIT_MS  # noqa: SLF001 - as above.
        consumer._fetch_min_bytes = FETCH_ANSWER_SIZE_BYTES_MIN  # noqa: SLF001 - as above.
        consumer._fetch_max_bytes = FETCH_ANSWER_SIZE_BYTES_MAX  # noqa: SLF001 - as above.
        consumer._partition_assignment_strategy = [BalancedAssignor()]  # noqa: SLF001 - as above.
        consumer.commit = _naming_topics(consumer.commit, transport.topic_ids)
        return consumer

    async def _fetch_records(
        self,
        consumer: aiokafka.AIOKafkaConsumer,
        active_partitions: set[TP],
        timeout: float | None = None,  # noqa: ASYNC109 - Faust's signature.
        max_records: int | None = None,
    ) -> dict[TP, list[Any]]:
        """What is there of the active partitions, as far as the read-ahead has room for it.

        1. Leave out partitions without room, and wait for the first record of the others.
        2. Take more of each, while there is any and room for it. Nothing here may wait: a rebalance that came between
           would leave records of the old assignment in hand.
        """
        if not self.consumer.flow_active:
            return {}
        fetching = consumer._fetcher  # noqa: SLF001 - as Faust itself does.
        if consumer._closed or fetching._closed:  # noqa: SLF001 - as above.
            raise ConsumerStoppedError
        taking = Taking(self.transport.read_ahead)
        # Step 1.
        roomy = {tp for tp in active_partitions if taking.room_records(tp, ()) > 0}
        is_held_back = len(roomy) < len(active_partitions)
        # What is held back on purpose must hold up nobody else.
        fetching._prefetch_backoff = 0.0 if is_held_back else _PREFETCH_BACKOFF_SECONDS  # noqa: SLF001 - as above.
        wait_seconds = min(timeout or 0.0, HELD_BACK_POLL_SECONDS) if is_held_back else timeout
        if not roomy:
            await asyncio.sleep(HELD_BACK_POLL_SECONDS)
            return {}
        with fetching._subscriptions.fetch_context():  # noqa: SLF001 - as above.
            taken: dict[TP, list[Any]] = await fetching.fetched_records(roomy, timeout=wait_seconds, max_records=1)
            # Step 2.
            left = max_records or UNBOUNDED
            for tp in list(fetching._records) if taken else ():  # noqa: SLF001 - as above.
                if tp in roomy:
                    records = taken.setdefault(tp, [])
                    self._take_more(fetching, tp, records, taking, left)
                    left -= len(records)
        return {tp: records for tp, records in taken.items() if records}

    def _take_more(self, fetching: Any, tp: TP, records: list[Any], taking: Taking, left: int) -> None:
        """Take what the fetcher has of a partition, as it would give it, but without a look at all others each time."""
        piece, largest = _PIECE_RECORDS
        while (room := min(piece, left - len(records), taking.room_records(tp, records))) > 0:
            found = fetching._records.get(tp)  # noqa: SLF001 - as above.
            # An error is told by the next call, which has nothing in hand yet.
            if not isinstance(found, FetchResult):
                return
            if fetching._subscriptions.reassignment_in_progress:  # noqa: SLF001 - as above.
                return
            more = found.getall(room)
            if not found.has_more():
                del fetching._records[tp]  # noqa: SLF001 - as above.
                # There is room for the next fetch.
                fetching._notify(fetching._wait_consume_future)  # noqa: SLF001 - as above.
            if not more:
                return
            records += more
            piece = min(2 * piece, largest)

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's watchdog compares a monotonic with a wall clock; freshness and the supervisor do this work here."""


class BatchConsumer(driver.Consumer):
    """A Faust consumer whose messages are lists of batches and whose acknowledgements are offsets."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next_offsets: dict[TP, int] = {}
        # The last offset fetched of each partition, and the generation that it was fetched under.
        self._fetched_last: dict[TP, tuple[int, int]] = {}

    def _new_consumer_thread(self) -> BatchConsumerThread:
        return BatchConsumerThread(self, loop=self.loop, beacon=self.beacon)

    async def getmany(self, timeout: float) -> AsyncIterator[tuple[TP, FaustMessage]]:  # noqa: ASYNC109 - Faust's signature.
        """One message per agent and fetch, with the place of its last record."""
        records, active = await self._wait_next_records(timeout)
        generation = self.app.consumer_generation_id
        if records is None or self.should_stop:
            return
        if not self.flow_active:
            await self.perform_seek()
            return
        # Each agent has an allowance of its own.
        agents: dict[Allowance | None, list[TP]] = {}
        for tp, batch in records.items():
            if batch:
                agents.setdefault(self.transport.read_ahead.allowance(tp.topic), []).append(tp)
        for partitions in agents.values():
            if not self.flow_active or self.app.consumer_generation_id != generation:
                return
            batches = [self._batch(tp, records[tp], generation) for tp in partitions]
            if active is not None:
                wanted = active | self._buffered_partitions
                batches = [batch for batch in batches if TP(batch.topic, batch.partition) in wanted]
            if batches:
                last = TP(batches[-1].topic, batches[-1].partition)
                message = self._to_message(last, _placed(last, batches[-1].records[-1]))
                message.value = batches
                yield last, message

    def _batch(self, tp: TP, records: list[Any], generation: int) -> Batch:
        """The records as a batch that says what was fetched before it, so that one that is lost can't go unnoticed."""
        before, previous = self._fetched_last.get(tp, (generation, -1))
        # After a rebalance or a seek the batch begins at the committed offset, and nothing came before it.
        follows = before == generation and 0 <= previous < records[0].offset
        self._fetched_last[tp] = (generation, records[-1].offset)
        self.transport.read_ahead.took(tp, records)
        return Batch(tp.topic, tp.partition, generation, records, previous if follows else None)

    def acknowledge(self, tp: TP, next_offset: int) -> None:
        """All records of the partition below the offset are done: the next commit may say so.

        Offsets only grow; an older one, from a batch that was fetched twice, changes nothing.
        """
        self.transport.read_ahead.release(tp, next_offset)
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
    #: Ids of the topics that are read, by their full names; commits carry them (`streams.group`).
    topic_ids: Mapping[str, str] = MappingProxyType({})

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        #: What may be fetched before it is done with; agents are added to it.
        self.read_ahead = ReadAhead()


def _placed(tp: TP, record: Any) -> aiokafka.ConsumerRecord[bytes, bytes]:
    """A record as Faust expects one; it is asked of the last one of a batch only."""
    key, value = record.key, record.value
    sizes = (-1 if key is None else len(key), -1 if value is None else len(value))
    return aiokafka.ConsumerRecord(
        tp.topic, tp.partition, record.offset, record.timestamp, record.timestamp_type, key, value, None, *sizes, ()
    )


def _naming_topics(commit: Commit, topic_ids: Mapping[str, str]) -> Commit:
    """A commit that says of which topic each offset is: one made again under the same name has another id."""

    async def named(offsets: Mapping[Any, OffsetAndMetadata]) -> None:
        await commit(
            {
                tp: OffsetAndMetadata(each.offset, offset_metadata(topic_ids.get(tp.topic, "")))
                for tp, each in offsets.items()
            }
        )

    return named


class BatchSchema(faust.Schema):
    """Hands batches to the agent as they are."""

    def compile(self, app: Any, **_kwargs: Any) -> Callable[..., Any]:
        """The decoder that Faust calls per message: it makes the event and decodes nothing."""
        create_event = app.create_event

        async def decode(message: FaustMessage, *, propagate: bool = False) -> Any:  # noqa: ARG001 - Faust's signature.
            return create_event(None, message.value, message.headers, message)

        return decode
