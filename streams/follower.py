"""A follower: a local copy of compacted topics, kept up to date by reading them in a thread of its own.

Rows and positions are written together, so a restart goes on where the copy stands, whenever it was killed. A copy is
only a copy: one of another topic (its id differs), one that slept past half of the tombstones' retention, and one whose
position is not in the log any more is thrown away and built again, at a start or while it follows, and is not ready
meanwhile. Only where a topic is empty and the copy is not, nothing is thrown away: it may be all that there is.
"""

import contextlib
import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final

from schemas.clock import Clock, SystemClock
from schemas.errors import BrokerUnreachable, GoldenthreadError, PositionLost, RestartNeeded, StateError, StoreFailed
from schemas.topics import Partition
from state.engine import StoredRows
from state.store import Store, StoredPosition
from state.store_folder import RebuildReason
from streams.bulk import BulkReader, Chunk, Record, Wanted
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.store_state import rebuild_reason
from streams.topics import topic_ids

log = logger(__name__)

#: Turns a batch of records, in order within each partition, into changed rows; None deletes.
Projection = Callable[[Sequence[Record], StoredRows], Mapping[bytes, bytes | None]]

READ_TIMEOUT_SECONDS: Final = 0.1
# What a fetch waits for at the broker. Where records trickle in, each fetch, projection and write so has those of some
# 25 ms: one at a time they would cost several times as much, which whoever asks the copy would wait for.
FETCH_ANSWER_SIZE_BYTES_MIN: Final = 64 * 1024
# Without new records the moment of the last catch-up is still written now and then; it bounds what a crash forgets.
IDLE_WRITE_SECONDS: Final = 30.0
# How long the broker may take to say that the end is still where it was.
CONFIRM_TIMEOUT_SECONDS: Final = 2.0
STOP_TIMEOUT_SECONDS: Final = 10.0
FORGOTTEN_ROWS_PER_WRITE: Final = 10_000
# A broker that is away is asked again after this long.
RETRY_SECONDS: Final = 1.0


class Follower:
    """Follows the partitions of some topics into one store.

    `on_visible` is called, by the follower's thread, whenever what the projection was last given can be read from the
    store; not while the copy is made or made anew, when what becomes visible is old. `wanted` spares the projection
    records that it has no use for. `on_forgotten` is called, by the same thread, when the copy has lost all its rows.
    """

    def __init__(
        self,
        name: str,
        *,
        kafka: KafkaOptions,
        topics: Mapping[str, int],
        store: Store,
        project: Projection,
        metrics: Metrics,
        clock: Clock | None = None,
        on_visible: Callable[[], None] | None = None,
        wanted: Mapping[str, Wanted] | None = None,
        on_forgotten: Callable[[], None] | None = None,
    ) -> None:
        self.name = name
        self._kafka = kafka
        self._topics = dict(topics)
        self._store = store
        self._project = project
        self._clock = clock or SystemClock()
        self._records = metrics.follower_records.labels(name)
        self._ready_gauge = metrics.follower_ready.labels(name)
        self._remaining = metrics.follower_remaining.labels(name)
        self._on_visible = on_visible
        self._wanted = wanted
        self._on_forgotten = on_forgotten
        self._rebuilds = metrics.store_rebuilds
        metrics.stores.watch(name, store)
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"follower-{name}", daemon=True)
        self._next_offsets: dict[Partition, int] = {}
        self._topic_ids: dict[str, str] = {}
        self._at_end_us: dict[Partition, int] = {}
        self._began_us = 0
        self._ends_seen: set[Partition] = set()
        self.failure: GoldenthreadError | None = None

    def start(self) -> None:
        """Begin to read."""
        self._thread.start()

    def stop(self) -> None:
        """End within `STOP_TIMEOUT_SECONDS`; the store stays open."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_SECONDS)

    @property
    def ready(self) -> bool:
        """Whether the copy has been complete once since the start, or since it was made anew."""
        return self._ready.is_set()

    def wait_ready(self, timeout_s: float) -> bool:
        """Wait for the first catch-up; False when it did not come in time."""
        return self._ready.wait(timeout_s)

    def next_offset(self, topic: str, partition: int) -> int | None:
        """The offset that is read next, or None before the start."""
        return self._next_offsets.get((topic, partition))

    def waiting_since_us(self) -> int | None:
        """When the copy was last complete, in wall time; None while it is."""
        if self.failure is None and self._ready.is_set() and not self._behind():
            return None
        return min(self._at_end_us.values(), default=self._clock.now_us())

    def _behind(self) -> bool:
        return any(partition not in self._ends_seen for partition in self._next_offsets)

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._follow()
            except StoreFailed as error:
                # The broker's coming back would not mend a disk; the next start makes a damaged copy anew.
                self.failure = error
                log.error("follower stopped", follower=self.name, reason=str(error))
                return
            except PositionLost as error:
                self._ends_seen.clear()
                log.warning("follower looks where its copy stands", follower=self.name, reason=str(error))
                self._stopping.wait(RETRY_SECONDS)
            except RestartNeeded as error:
                self._ends_seen.clear()
                log.warning("follower waits for the broker", follower=self.name, reason=str(error))
                self._stopping.wait(RETRY_SECONDS)
            except GoldenthreadError as error:
                self.failure = error
                log.error("follower stopped", follower=self.name, reason=str(error))
                return
            except Exception as error:
                self.failure = StateError(f"follower {self.name} failed: {error!r}")
                log.exception("follower stopped", follower=self.name)
                return

    def _follow(self) -> None:
        positions, ends = self._beginning()
        reader = BulkReader(
            self._kafka, positions, answer_size_bytes_min=FETCH_ANSWER_SIZE_BYTES_MIN, wanted=self._wanted
        )
        try:
            self._next_offsets.update(positions)
            if not self._ready.is_set():
                self._store.put_off_merges(True)
            last_write = last_look = time.monotonic()
            while not self._stopping.is_set():
                chunk = reader.read(READ_TIMEOUT_SECONDS)
                self._store.require_sound()
                if time.monotonic() - last_look > IDLE_WRITE_SECONDS:
                    last_look = time.monotonic()
                    self._require_same_topics()
                idle = time.monotonic() - last_write > IDLE_WRITE_SECONDS
                if idle:
                    self._confirm_ends(reader)
                if chunk.read or chunk.ends or idle:
                    self._apply(chunk, write=chunk.read > 0 or idle)
                    last_write = time.monotonic() if chunk.read or idle else last_write
                if not self._ready.is_set():
                    self._remaining.set(sum(max(0, end - self._next_offsets[place]) for place, end in ends.items()))
                    if self._reached(ends):
                        self._store.put_off_merges(False)
                        self._ready.set()
                        self._ready_gauge.set(1)
                        log.info("follower caught up", follower=self.name)
            # The moment of the last catch-up goes on disk too, or the next start would take the copy for an old one.
            self._apply(Chunk([], {}, {}, 0), write=True)
        finally:
            reader.close()

    def _require_same_topics(self) -> None:
        """A client that is connected may read on at its offset in a topic that was made again under the old name.

        Raises:
            PositionLost: one was.
            TopicError: one is gone.
        """
        with contextlib.suppress(BrokerUnreachable):
            if topic_ids(self._kafka, list(self._topics)) != self._topic_ids:
                raise PositionLost(f"one of {', '.join(self._topics)} was made again")

    def _confirm_ends(self, reader: BulkReader) -> None:
        """An end is told once; while nothing is written to a topic, only the broker knows that it is the end still."""
        with contextlib.suppress(BrokerUnreachable):
            for partition in self._ends_seen:
                if self._next_offsets[partition] >= reader.watermarks(*partition, timeout_s=CONFIRM_TIMEOUT_SECONDS)[1]:
                    self._at_end_us[partition] = self._clock.now_us()

    def _reached(self, ends: Mapping[Partition, int]) -> bool:
        return all(
            partition in self._ends_seen and self._next_offsets[partition] >= end for partition, end in ends.items()
        )

    def _apply(self, chunk: Chunk, *, write: bool) -> None:
        now_us = self._clock.now_us()
        self._next_offsets.update(chunk.next_offsets)
        self._ends_seen.difference_update(chunk.next_offsets)
        for partition, end in chunk.ends.items():
            self._next_offsets[partition] = max(end, self._next_offsets[partition])
            self._at_end_us[partition] = now_us
        changes = self._project(chunk.records, self._store) if chunk.records else {}
        if write:
            self._store.write(
                changes,
                {
                    (topic, number): StoredPosition(
                        self._topic_ids[topic], offset, self._at_end_us.get((topic, number), self._began_us) // 1000
                    )
                    for (topic, number), offset in self._next_offsets.items()
                },
            )
        # Only now are the records visible, so only now does the copy count as complete.
        self._ends_seen.update(chunk.ends)
        self._records.inc(chunk.read)
        if chunk.records and self._on_visible is not None and self._ready.is_set():
            self._on_visible()

    def _beginning(self) -> tuple[dict[Partition, int], dict[Partition, int]]:
        """Where to read on, and the ends up to which the copy is not complete; makes the copy anew if need be."""
        # A copy that was never complete is as fresh as its beginning, or a start cut short would begin again for ever.
        self._began_us = self._clock.now_us()
        self._topic_ids = topic_ids(self._kafka, list(self._topics))
        stored = self._store.positions()
        places = [(topic, number) for topic, partitions in self._topics.items() for number in range(partitions)]
        positions = {place: stored[place].next_offset if place in stored else 0 for place in places}
        self._at_end_us.update({place: stored[place].caught_up_ms * 1000 for place in positions.keys() & stored.keys()})
        ids = {place: self._topic_ids[place[0]] for place in places}
        reason = rebuild_reason(self._store, ids, self._clock.now_us() / 1000)
        marks = self._watermarks(places)
        outside = _outside(positions, marks)
        if outside and reason is None:
            # A broker that has just come back may not know yet where its log ends.
            self._stopping.wait(RETRY_SECONDS)
            marks = self._watermarks(places)
            outside = _outside(positions, marks)
            reason = RebuildReason.OUTSIDE if outside else None
        if reason is not None:
            self._refuse_loss(positions, marks)
            log.warning("follower builds its copy anew", follower=self.name, reason=str(reason), outside=outside)
            self._rebuilds.labels(self.name, reason).inc()
            self._ready.clear()
            self._ready_gauge.set(0)
            self._ends_seen.clear()
            positions = dict.fromkeys(positions, 0)
            self._forget(positions, stored)
            if self._on_forgotten is not None:
                self._on_forgotten()
        # A new copy begins where retention has left a log's head.
        positions = {place: max(offset, marks[place][0]) for place, offset in positions.items()}
        return positions, {place: marks[place][1] for place in places}

    def _watermarks(self, places: Collection[Partition]) -> dict[Partition, tuple[int, int]]:
        reader = BulkReader(self._kafka, {})
        try:
            return {place: reader.watermarks(*place) for place in places}
        finally:
            reader.close()

    def _refuse_loss(self, positions: Mapping[Partition, int], marks: Mapping[Partition, tuple[int, int]]) -> None:
        """Keep the copy where the broker has nothing: it may be the last one there is.

        Raises:
            StateError: a followed topic is empty, and the copy has some of it.
        """
        copied = {topic for (topic, _), offset in positions.items() if offset > 0}
        full = {topic for (topic, _), (_, end) in marks.items() if end > 0}
        if empty := sorted(copied - full):
            raise StateError(
                f"{', '.join(empty)}: empty, and the copy {self._store.path} is not: the broker is another one, or "
                "lost its data. Bring the data back, or delete the folder to begin anew"
            )

    def _forget(self, positions: Mapping[Partition, int], stored: Mapping[Partition, StoredPosition]) -> None:
        """Delete every row, in bounded batches. Whenever this is cut short, the next start begins it again.

        1. The positions are said to be of no topic. 2. The rows go. 3. The positions are those of an empty copy.
        """
        # 1. A log that grew past the former position meanwhile would otherwise make what is left look like a copy.
        self._store.write({}, {place: StoredPosition("", old.next_offset) for place, old in stored.items()})
        # 2. The rows.
        batch: dict[bytes, bytes | None] = {}
        for key, _ in self._store.rows():
            batch[key] = None
            if len(batch) >= FORGOTTEN_ROWS_PER_WRITE:
                self._store.write(batch, {})
                batch = {}
        self._at_end_us.clear()
        # 3. The positions.
        empty: dict[Partition, StoredPosition | None] = dict.fromkeys(stored.keys() - positions.keys())
        for (topic, number), offset in positions.items():
            empty[topic, number] = StoredPosition(self._topic_ids[topic], offset, self._clock.now_us() // 1000)
        self._store.write(batch, empty)


def _outside(positions: Mapping[Partition, int], marks: Mapping[Partition, tuple[int, int]]) -> str:
    """The positions that their logs do not have, in words; nothing where all have them."""
    found = []
    for place, offset in positions.items():
        low, high = marks[place]
        if offset > high:
            found.append(f"{place[0]}/{place[1]} ends at {high}, the copy is at {offset}: the broker lost its tail")
        elif 0 < offset < low:
            found.append(f"{place[0]}/{place[1]} begins at {low}, the copy is at {offset}")
    return "; ".join(found)
