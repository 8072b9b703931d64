"""How far a worker reads ahead of its work: so many bytes for each agent, and for an agent so many records a second.

Whatever was fetched and is not acknowledged yet counts: records that wait, and records that are applied and not yet
committed. So what a worker holds of its input has one bound, however large events are and however many come; the rest
waits in the broker, where it is lag.

Half of an agent's bytes is dealt out to its partitions in equal shares, the other half is for whoever comes: a
partition that restores for minutes holds up no other, and one that has everything to itself gets most of it.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from faust.types import TP

#: What all agents of a worker may hold together.
READ_AHEAD_SIZE_BYTES_MAX: Final = 96 * 1024 * 1024
# What a record takes in memory beside its key, its value and its headers, as measured.
RECORD_OVERHEAD_BYTES: Final = 500
# A pace is kept in steps of this length: longer ones make larger batches, shorter ones an even flow.
_STEP_SECONDS: Final = 0.05
# What was not used of a pace is made up for as far back as this.
_BURST_SECONDS: Final = 0.25
#: No bound.
UNBOUNDED: Final = 1 << 30


def size_bytes_of(records: Sequence[Any]) -> int:
    """About what fetched records take in memory."""
    size_bytes = sum([len(record.key or b"") + len(record.value or b"") for record in records])
    # Most records have none, and this is asked of every one, twice.
    for headers in [record.headers for record in records if record.headers]:
        size_bytes += sum(len(name) + len(value or b"") for name, value in headers)
    return size_bytes + RECORD_OVERHEAD_BYTES * len(records)


class Pace:
    """So many records a second, and none faster."""

    def __init__(self, records_per_second: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._rate = records_per_second
        self._clock = clock
        self._burst = max(1.0, records_per_second * _BURST_SECONDS)
        self._step = max(1.0, records_per_second * _STEP_SECONDS)
        self._credit = self._step
        self._at = clock()

    def room_records(self) -> int:
        """How many records may be taken now; none until a step is full."""
        now = self._clock()
        self._credit = min(self._burst, self._credit + (now - self._at) * self._rate)
        self._at = now
        return int(self._credit) if self._credit >= self._step else 0

    def took(self, records: int) -> None:
        """So many were taken."""
        self._credit -= records


class _Held:
    """Batches of one partition that are not acknowledged: the last offset of each, and its bytes."""

    def __init__(self) -> None:
        self.batches: deque[tuple[int, int]] = deque()
        self.size_bytes = 0
        #: The offset below which all is done with.
        self.done = 0
        #: What its records took of late, each.
        self.record_bytes = float(RECORD_OVERHEAD_BYTES)


class Allowance:
    """What the partitions of one agent may hold."""

    def __init__(self, size_bytes_max: int, pace: Pace | None) -> None:
        self.pace = pace
        self.held: dict[TP, _Held] = {}
        self.common_bytes = size_bytes_max // 2
        self._reserved_bytes = size_bytes_max - self.common_bytes
        self.share_bytes = self._reserved_bytes
        #: What partitions hold beyond their shares.
        self.borrowed_bytes = 0

    @property
    def size_bytes(self) -> int:
        """What they hold now."""
        return sum(held.size_bytes for held in list(self.held.values()))

    def assigned(self, partitions: Iterable[TP]) -> None:
        """Begin anew with these."""
        self.held = {tp: _Held() for tp in partitions}
        self.share_bytes = self._reserved_bytes // max(1, len(self.held))
        self.borrowed_bytes = 0

    def took(self, tp: TP, records: Sequence[Any]) -> None:
        """See `ReadAhead.took`."""
        if self.pace is not None:
            self.pace.took(len(records))
        held = self.held.get(tp)
        if held is None:
            return
        size_bytes = size_bytes_of(records)
        held.record_bytes = size_bytes / len(records)
        # What is done with already was fetched again after a restart, and nobody will acknowledge it.
        if records[-1].offset >= held.done:
            held.batches.append((records[-1].offset, size_bytes))
            self._grow(held, size_bytes)

    def release(self, tp: TP, next_offset: int) -> None:
        """See `ReadAhead.release`."""
        held = self.held.get(tp)
        if held is None:
            return
        held.done = max(held.done, next_offset)
        while held.batches and held.batches[0][0] < next_offset:
            self._grow(held, -held.batches.popleft()[1])

    def beyond_share(self, size_bytes: int) -> int:
        """How much of what a partition holds is borrowed."""
        return max(0, size_bytes - self.share_bytes)

    def _grow(self, held: _Held, size_bytes: int) -> None:
        before = self.beyond_share(held.size_bytes)
        held.size_bytes += size_bytes
        self.borrowed_bytes += self.beyond_share(held.size_bytes) - before


class ReadAhead:
    """The allowances of a worker's agents. The event loop counts; the consumer's thread looks for room only."""

    def __init__(self, size_bytes_max: int = READ_AHEAD_SIZE_BYTES_MAX) -> None:
        self._size_bytes_max = size_bytes_max
        self._agents: list[tuple[frozenset[str], float | None]] = []
        self._by_topic: dict[str, Allowance] = {}

    def add(self, topics: Iterable[str], records_per_second_max: float | None = None) -> None:
        """An agent with these topics gets its part of the whole, and a pace where one is given. Before the start."""
        self._agents.append((frozenset(topics), records_per_second_max))
        part = self._size_bytes_max // len(self._agents)
        for names, rate in self._agents:
            allowance = Allowance(part, None if rate is None else Pace(rate))
            self._by_topic.update(dict.fromkeys(names, allowance))

    def assigned(self, partitions: Iterable[TP]) -> None:
        """These partitions, and no others, are this worker's now; what was fetched before is fetched again."""
        mine = list(partitions)
        for allowance in set(self._by_topic.values()):
            allowance.assigned(tp for tp in mine if self._by_topic.get(tp.topic) is allowance)

    def took(self, tp: TP, records: Sequence[Any]) -> None:
        """These records of the partition were fetched, in the order of their offsets."""
        if (allowance := self._by_topic.get(tp.topic)) is not None:
            allowance.took(tp, records)

    def release(self, tp: TP, next_offset: int) -> None:
        """All records of the partition below the offset are done with."""
        if (allowance := self._by_topic.get(tp.topic)) is not None:
            allowance.release(tp, next_offset)

    def size_bytes(self, topics: Iterable[str]) -> int:
        """What is held of these topics now."""
        allowances = {self._by_topic[topic] for topic in topics if topic in self._by_topic}
        return sum(allowance.size_bytes for allowance in allowances)

    def allowance(self, topic: str) -> Allowance | None:
        """What holds for the topic; None where nothing does."""
        return self._by_topic.get(topic)


class Taking:
    """One fetch. What it has taken so far counts against the room, though the event loop has not counted it yet."""

    def __init__(self, read_ahead: ReadAhead) -> None:
        self._read_ahead = read_ahead
        # Records and bytes of each partition, and what each allowance has left of its pace and lent on top.
        self._taken: dict[TP, tuple[int, int]] = {}
        self._paced: dict[Allowance, int] = {}
        self._lent: dict[Allowance, int] = {}

    def room_records(self, tp: TP, records: Sequence[Any]) -> int:
        """How many more may be taken of the partition, of which this fetch has `records`; one where it holds none."""
        allowance = self._read_ahead.allowance(tp.topic)
        if allowance is None:
            return UNBOUNDED
        held = allowance.held.get(tp)
        if held is None:
            # Faust may fetch again before it has told us of an assignment.
            return 0
        paced = self._paced.setdefault(
            allowance, UNBOUNDED if allowance.pace is None else allowance.pace.room_records()
        )
        count, before_bytes = self._taken.get(tp, (0, 0))
        new_bytes = before_bytes + size_bytes_of(records[count:])
        paced = self._paced[allowance] = paced - (len(records) - count)
        self._taken[tp] = len(records), new_bytes
        own_before, own = held.size_bytes + before_bytes, held.size_bytes + new_bytes
        lent = self._lent.get(allowance, 0) + allowance.beyond_share(own) - allowance.beyond_share(own_before)
        self._lent[allowance] = lent
        room_bytes = max(0, allowance.share_bytes - own) + max(
            0, allowance.common_bytes - allowance.borrowed_bytes - lent
        )
        mean_bytes = new_bytes / len(records) if records else held.record_bytes
        return max(0, min(paced, max(int(room_bytes / mean_bytes), 0 if own else 1)))
