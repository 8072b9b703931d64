"""A stateless stage: every record becomes outputs, and is acknowledged once the broker has all of them.

1. Gather what is queued, up to a bound, and fetch what it needs from elsewhere.
2. Handle it, producing as it goes, in slices of the records of all partitions, and flush: wait until every output is
   acknowledged. In a thread of its own handling was slower: the others' threads have the interpreter's lock then.
3. Acknowledge the input.

A failure in any of them stops the worker; what it repeats afterwards, the fold removes.

Partitions that have been idle for `idle_s` are acknowledged up to their ends where no record lies before these: others
may write raw topics in transactions, whose markers retention would overtake otherwise (`streams.idle_ends`).
"""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from itertools import takewhile
from typing import Any, Final, Protocol

from schemas.errors import RestartNeeded
from schemas.topics import Catalogue, Partition
from streams.batch import Batch
from streams.faults import FaultHook, FaultPoint, no_fault
from streams.metrics import Metrics
from streams.outbox import FLUSH_TIMEOUT_SECONDS, Outbox
from streams.partition import IDLE_SECONDS, QUEUE_BATCHES_MAX, SLICE_RECORDS, Fatal, Step, count_outcomes
from streams.producer import RecordProducer
from streams.stage import DRAIN_TIMEOUT_SECONDS, Acknowledge

# Records handled before a flush at the most; a flush costs a round trip, a crash repeats what was not flushed.
RECORDS_PER_FLUSH_MAX: Final = 5_000
# Records are handled, and what they come to is handed to the producer, so many together (`SLICE_RECORDS`), or so large.
SLICE_SIZE_BYTES: Final = 512 * 1024


#: Fetches what handling the records needs, as long as they are wanted; False where they no longer are.
Prepare = Callable[[Sequence[Any], Callable[[], bool]], Awaitable[bool]]
#: The ends of those of the partitions that hold no record behind what is committed, but something else; it blocks.
IdleEnds = Callable[[Sequence[Partition]], Mapping[Partition, int]]


class Handler(Protocol):
    """What a stateless stage does to its records."""

    counts: Counter[str]

    def handle_many(self, parts: Sequence[Batch], outbox: Outbox) -> None:
        """Put into the outbox what the records come to, in turn; never raises for what a record holds."""

    def acknowledged(self) -> None:
        """All outputs so far are in the log."""


class StatelessStage:
    """Runs a handler over all partitions of its topics, in one task; another one looks at those that are idle."""

    def __init__(
        self,
        name: str,
        topics: tuple[str, ...],
        handler: Handler,
        *,
        catalogue: Catalogue,
        producer: RecordProducer,
        acknowledge: Acknowledge,
        metrics: Metrics,
        fatal: Fatal,
        fault: FaultHook = no_fault,
        prepare: Prepare | None = None,
        idle_ends: IdleEnds | None = None,
        idle_s: float = IDLE_SECONDS,
    ) -> None:
        self.name = name
        self.topics = topics
        self._handler = handler
        self._catalogue = catalogue
        self._producer = producer
        self._acknowledge = acknowledge
        self._metrics = metrics
        self._fatal = fatal
        self._fault = fault
        self._outbox = Outbox(producer, catalogue, fault)
        self._prepare = prepare
        self._idle_ends = idle_ends
        self._idle_s = idle_s
        self._queue: asyncio.Queue[Batch] = asyncio.Queue(QUEUE_BATCHES_MAX)
        self._generation = -1
        self._idle = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._looking: asyncio.Task[None] | None = None
        # The offset expected next of each partition, in this generation.
        self._expected: dict[Partition, int] = {}
        # What was acknowledged of each, in this generation.
        self._done: dict[Partition, int] = {}
        self._assigned: frozenset[Partition] = frozenset()
        # When each partition that is assigned got something, or was assigned.
        self._offered_s: dict[Partition, float] = {}
        self._in_hand: frozenset[Partition] = frozenset()
        self._taken = 0
        self._is_preparing = False

    async def assigned(self, partitions: Iterable[Partition], generation: int) -> None:
        """Accept batches of this generation."""
        self._generation = generation
        self._expected.clear()
        self._done.clear()
        self._assigned = frozenset(place for place in partitions if place[0] in self.topics)
        now = time.monotonic()
        self._offered_s = {place: self._offered_s.get(place, now) for place in self._assigned}
        self._metrics.assigned_partitions.labels(self.name).set(len(self._assigned))
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=self.name)
            if self._idle_ends is not None:
                self._looking = asyncio.create_task(self._look(self._idle_ends), name=f"{self.name}-idle-ends")

    def steps(self) -> dict[Partition, Step]:
        """How far the work on each partition is; nothing while what a batch needs is fetched, which has its bounds."""
        if self._is_preparing:
            return {}
        in_hand, idle = Step(self._taken, in_hand=True), Step(0, in_hand=False)
        return {place: in_hand if place in self._in_hand else idle for place in self._assigned}

    async def offer(self, batch: Batch) -> None:
        """Queue a batch; batches of another generation are fetched again: dropped."""
        if batch.generation == self._generation:
            self._offered_s[batch.topic, batch.partition] = time.monotonic()
            await self._queue.put(batch)

    async def drain(self) -> None:
        """Drop what is queued and wait until what is handled is acknowledged."""
        self._generation = -1
        deadline = time.monotonic() + DRAIN_TIMEOUT_SECONDS
        while self._task is not None and not self._task.done():
            while not self._queue.empty():
                self._queue.get_nowait()
            if self._idle.is_set() and self._queue.empty():
                return
            if time.monotonic() > deadline:
                self._fatal(RestartNeeded(f"{self.name} did not drain within {DRAIN_TIMEOUT_SECONDS:.0f} s"))
                return
            await asyncio.sleep(0.005)

    async def close(self) -> None:
        """End the tasks."""
        tasks = [task for task in (self._task, self._looking) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._task = self._looking = None

    async def _run(self) -> None:
        try:
            while True:
                self._idle.set()
                batch = await self._queue.get()
                self._idle.clear()
                if self._is_current(batch):
                    await self._process(batch)
                self._in_hand = frozenset()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever it is, going on would skip records: the process ends.
            self._fatal(error)

    async def _look(self, idle_ends: IdleEnds) -> None:
        """Acknowledge the ends of idle partitions, now and then.

        What comes meanwhile lies behind such an end, or is a record, and then the look found no end.
        """
        try:
            while True:
                await asyncio.sleep(self._idle_s)
                generation, latest = self._generation, time.monotonic() - self._idle_s
                idle = sorted(place for place in self._assigned if self._offered_s[place] <= latest)
                ends = await asyncio.to_thread(idle_ends, idle) if idle else {}
                # A drain or a rebalance meanwhile: the partitions may be another worker's.
                if self._generation == generation >= 0:
                    self._tell(ends)
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - as in `_run`.
            self._fatal(error)

    def _is_current(self, batch: Batch) -> bool:
        """Whether nothing before the batch was dropped: one that waited for room gets it when a drain makes some."""
        return batch.generation == self._generation

    async def _process(self, first: Batch) -> None:
        started = time.monotonic()
        # Step 1.
        batches = self._gather(first)
        if not await self._are_prepared(batches):
            return
        self._in_hand = frozenset((batch.topic, batch.partition) for batch in batches)
        # Step 2.
        done = await self._work(batches)
        self._taken += 1
        self._fault(FaultPoint.INTAKE_AFTER_FLUSH)
        # Step 3.
        self._handler.acknowledged()
        self._tell(done)
        self._fault(FaultPoint.INTAKE_AFTER_ACKNOWLEDGE)
        self._metrics.batch_seconds.labels(self.name).observe(time.monotonic() - started)
        count_outcomes(self._metrics, self.name, self._handler.counts)

    def _gather(self, first: Batch) -> list[Batch]:
        """The batch, and others that are queued, as long as their records are no more than a flush is for."""
        batches = [first]
        records = len(first.records)
        while records < RECORDS_PER_FLUSH_MAX and not self._queue.empty():
            batch = self._queue.get_nowait()
            if not self._is_current(batch):
                break
            batches.append(batch)
            records += len(batch.records)
        return batches

    async def _work(self, batches: Sequence[Batch]) -> dict[Partition, int]:
        """Step 2: what is done of each partition, which is all of it but after a drain."""
        done: dict[Partition, int] = {}
        received: Counter[str] = Counter()
        self._fault(FaultPoint.INTAKE_BEFORE_PRODUCE)
        for parts in _slices(self._following(batches, done)):
            self._handler.handle_many(parts, self._outbox)
            for part in parts:
                received[part.topic] += len(part.records)
                self._taken += len(part.records)
            await self._outbox.hand_over()
            await asyncio.sleep(0)
        self._fault(FaultPoint.INTAKE_AFTER_PRODUCE)
        await asyncio.to_thread(self._producer.flush, FLUSH_TIMEOUT_SECONDS)
        for topic, count in received.items():
            self._metrics.events_received.labels(self.name, self._catalogue.channel_of(topic)).inc(count)
        return done

    def _following(self, batches: Iterable[Batch], done: dict[Partition, int]) -> Iterator[Batch]:
        """Those of the batches that are wanted still; none was lost before any of them."""
        for batch in takewhile(self._is_current, batches):
            place = (batch.topic, batch.partition)
            batch.follow(self._expected.get(place))
            done[place] = self._expected[place] = batch.records[-1].offset + 1
            yield batch

    def _tell(self, offsets: Mapping[Partition, int]) -> None:
        for (topic, partition), next_offset in offsets.items():
            # Offsets only grow: a batch that came twice takes nothing back.
            if next_offset > self._done.get((topic, partition), -1):
                self._done[topic, partition] = next_offset
                self._acknowledge(topic, partition, next_offset)

    async def _are_prepared(self, batches: Sequence[Batch]) -> bool:
        """Whether the batches can be handled now: those that nobody wants any more are fetched again by their owner.

        All at once: what is prepared next takes the place of what was prepared before.
        """
        if self._prepare is None:
            return True
        self._is_preparing = True
        try:
            records = [record for batch in batches for record in batch.records]
            return await self._prepare(records, lambda: self._is_current(batches[0]))
        finally:
            self._is_preparing = False


def _slices(batches: Iterable[Batch]) -> Iterator[list[Batch]]:
    """The batches by so many records, or bytes, whose outputs are handed to the producer together."""
    parts: list[Batch] = []
    count = size_bytes = 0
    for batch in batches:
        start = 0
        for end, record in enumerate(batch.records, 1):
            count += 1
            size_bytes += len(record.value or b"")
            if count >= SLICE_RECORDS or size_bytes > SLICE_SIZE_BYTES:
                yield [*parts, batch.part(start, end)]
                parts, start, count, size_bytes = [], end, 0, 0
        if start < len(batch.records):
            parts.append(batch.part(start, len(batch.records)))
    if parts:
        yield parts
