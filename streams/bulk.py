"""The one bulk reader: whole batches of a few partitions, from given offsets, committed records only.

Restore, followers and freshness read through it. The end of a partition is librdkafka's partition EOF at or past the
end that was captured first, never "the last record": the tail may be a transaction marker.
"""

import itertools
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Final, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from schemas.errors import BrokerUnreachable, PositionLost, RestartNeeded, StateError
from schemas.topics import Partition
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.rights import require_rights

# Records that one call hands over at the most; enough to keep the per-call cost small, few enough that what was read is
# still in the processor's cache when it is used, and that others of the process wait for moments only.
RECORDS_PER_READ_MAX: Final = 1_000
# How long one metadata or offset request may take before the broker counts as gone.
REQUEST_TIMEOUT_SECONDS: Final = 10.0
# How long a restore may see nothing, no record and no end, before it gives up: a dead transactional writer holds
# committed readers back for its transaction timeout and the broker's scan, never for this long.
SILENCE_SECONDS_MAX: Final = 60.0
# A close takes milliseconds; where it takes so long it never ends.
CLOSE_SECONDS_MAX: Final = 10.0

log = logger(__name__)

_GAP_CODES: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError.OFFSET_OUT_OF_RANGE})  # noqa: SLF001 - librdkafka's own codes are only reachable by these names.
_MOVING_CODES: Final = frozenset(
    {
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError._UNKNOWN_PARTITION,  # noqa: SLF001 - as above.
        # After a broker's restart a client may know the leader of before, and the leader not yet where its log ends.
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.OFFSET_NOT_AVAILABLE,
    }
)
_RETRY_SECONDS: Final = 0.1
_TRANSIENT_CODES: Final = frozenset({KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._TIMED_OUT})  # noqa: SLF001 - as above.


#: Whether a record of a topic, of which the key is given, is of use to who reads it.
Wanted = Callable[[bytes], bool]


class Record(NamedTuple):
    """A record as our readers see it; `topic` is the full name. Headers are there where the reader asked for them."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Chunk(NamedTuple):
    """What one read gave: records, and the partitions whose end was seen, each with the offset that comes next."""

    records: list[Record]
    ends: dict[Partition, int]
    #: The offset after the last record of each partition, of those among them that nobody wanted too.
    next_offsets: dict[Partition, int]
    #: How many records were read, wanted or not.
    read: int


class Rows(NamedTuple):
    """Records of a compacted partition as rows, in their order: a key may come again. None where it was deleted."""

    keys: list[bytes]
    values: list[bytes | None]
    #: How many records they were made of.
    records: int
    #: The offset after the last of these.
    next_offset: int


# Every record comes by here: without a frame of Python's for each, and without naming its fields.
_record = partial(tuple.__new__, Record)


def _records_of(topic: str, partition: int, messages: Sequence[Message], *, with_headers: bool) -> list[Record]:
    """Our records of librdkafka's messages of one partition."""
    headers: Iterable[tuple[tuple[str, bytes], ...]] = itertools.repeat(())
    if with_headers:
        headers = [tuple((name, value or b"") for name, value in each.headers() or ()) for each in messages]
    columns = zip(
        itertools.repeat(topic),
        itertools.repeat(partition),
        map(Message.offset, messages),
        [timestamp_ms for _, timestamp_ms in map(Message.timestamp, messages)],
        map(Message.key, messages),
        map(Message.value, messages),
        headers,
        strict=False,
    )
    return list(map(_record, columns))


class BulkReader:
    """Reads partitions that it assigned to itself; belongs to one thread.

    Args:
        kafka: The brokers.
        positions: Where to begin in each partition.
        with_headers: Whether records have their headers.
        answer_size_bytes_min: What the broker waits for, as long as it waits for an end.
        wanted: Of topics of which not all is of use: whether a record with this key is. `read` leaves out the others.
    """

    def __init__(
        self,
        kafka: KafkaOptions,
        positions: Mapping[Partition, int],
        *,
        with_headers: bool = False,
        answer_size_bytes_min: int = 1,
        wanted: Mapping[str, Wanted] | None = None,
    ) -> None:
        self._with_headers = with_headers
        self._wanted = wanted or {}
        self._consumer = Consumer(kafka.reader(answer_size_bytes_min=answer_size_bytes_min))
        self._consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()])

    def watermarks(self, topic: str, partition: int, *, timeout_s: float = REQUEST_TIMEOUT_SECONDS) -> tuple[int, int]:
        """The first offset of a partition and its last stable offset.

        Raises:
            BrokerUnreachable: no answer in time.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                low, high = self._consumer.get_watermark_offsets(TopicPartition(topic, partition), timeout=timeout_s)
            except KafkaException as error:
                require_rights(error.args[0], f"offsets of {topic}/{partition}")
                # Right after a topic is made, or its leader moved, the client asks a broker that is not its leader.
                if error.args[0].code() not in _MOVING_CODES or time.monotonic() > deadline:
                    raise BrokerUnreachable(f"offsets of {topic}/{partition} can't be had: {error}") from error
                time.sleep(_RETRY_SECONDS)
            else:
                return low, high

    def read(self, timeout_s: float) -> Chunk:
        """What is there, at most `RECORDS_PER_READ_MAX` records; waits for the first of it.

        Raises:
            PositionLost: an offset is no longer, or not yet, in the log.
            NotAuthorized: the user may not read this.
            RestartNeeded: another error that does not pass by itself.
        """
        messages, ends = self.messages(timeout_s)
        next_offsets: dict[Partition, int] = {}
        records: list[Record] = []
        # What a fetch brought lies together by partition.
        places = zip(map(Message.topic, messages), map(Message.partition, messages), strict=True)
        start = 0
        for (topic, partition), run in itertools.groupby(places):
            end = start + sum(1 for _ in run)
            read, start = messages[start:end], end
            next_offsets[topic, partition] = read[-1].offset() + 1
            wanted = self._wanted.get(topic)
            if wanted is not None:
                read = [message for message in read if (key := message.key()) is None or wanted(key)]
            records += _records_of(topic, partition, read, with_headers=self._with_headers)
        return Chunk(records, ends, next_offsets, len(messages))

    def messages(self, timeout_s: float) -> tuple[list[Message], dict[Partition, int]]:
        """As `read`, with librdkafka's own messages: to make a record of each costs as much as to read it.

        Raises:
            PositionLost, NotAuthorized, RestartNeeded: as `read`.
        """
        found: list[Message] = []
        ends: dict[Partition, int] = {}
        # `consume` waits until its time is over unless it gets all that it asks for; so it is asked for what is there.
        first = self._consumer.poll(timeout_s)
        rest = [] if first is None else self._consumer.consume(num_messages=RECORDS_PER_READ_MAX - 1, timeout=0)
        messages = rest if first is None else [first, *rest]
        if not any(map(Message.error, messages)):
            return messages, ends
        for message in messages:
            error = message.error()
            if error is None:
                found.append(message)
                if ends:
                    ends.pop((message.topic(), message.partition()), None)
            elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - see _GAP_CODES.
                ends[message.topic(), message.partition()] = message.offset()
            elif error.code() in _GAP_CODES:
                raise PositionLost(
                    f"{message.topic()}/{message.partition()}: the position is outside of the log ({error.str()})"
                )
            elif error.code() not in _TRANSIENT_CODES:
                # What concerns the group names no topic.
                require_rights(error, "reading" if message.topic() is None else f"reading {message.topic()}")
                raise RestartNeeded(f"{message.topic()}/{message.partition()}: {error.str()}")
        return found, ends

    def close(self) -> None:
        """Release the connections, or leave them to the process's end where librdkafka does not let go of them.

        Its close locks itself up for ever when the reset of an offset that is outside of the log is still queued.
        """
        closing = threading.Thread(target=self._consumer.close, name="bulk-reader-close", daemon=True)
        closing.start()
        closing.join(CLOSE_SECONDS_MAX)
        if closing.is_alive():
            log.warning("a reader could not be closed and is left behind", seconds=CLOSE_SECONDS_MAX)


def partition_range(kafka: KafkaOptions, topic: str, partition: int) -> tuple[int, int]:
    """The first offset of a partition and its last stable offset.

    Raises:
        BrokerUnreachable: no answer in time.
    """
    reader = BulkReader(kafka, {})
    try:
        return reader.watermarks(topic, partition)
    finally:
        reader.close()


def read_to_end(
    kafka: KafkaOptions,
    topic: str,
    partition: int,
    start: int,
    apply: Callable[[list[Record]], None],
    *,
    silence_s_max: float = SILENCE_SECONDS_MAX,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """Hand over all committed records of a partition from `start` to its end, in batches; returns the next offset.

    The end is an EOF at or past the last stable offset captured first. `on_progress` is told how many offsets are left
    to it, first all of them and at last 0.

    Raises:
        StateError: the log begins after `start`, or ends before it.
        BrokerUnreachable: nothing came for `silence_s_max` seconds.
    """

    def take(messages: list[Message]) -> None:
        apply(_records_of(topic, partition, messages, with_headers=False))

    return _messages_to_end(
        kafka, topic, partition, start, take=take, silence_s_max=silence_s_max, tell=on_progress or _tell_nobody
    )


def rows_to_end(
    kafka: KafkaOptions,
    topic: str,
    partition: int,
    start: int,
    apply: Callable[[Rows], None],
    *,
    silence_s_max: float = SILENCE_SECONDS_MAX,
    on_progress: Callable[[int], None] | None = None,
) -> int:
    """As `read_to_end`, of a partition in whose records nothing but keys and values is wanted; several times cheaper.

    Raises:
        StateError, BrokerUnreachable: as `read_to_end`.
    """

    def take(messages: list[Message]) -> None:
        keys = [message.key() for message in messages]
        values = [message.value() for message in messages]
        if None in keys:
            # Nobody of ours writes one without a key; it is no row.
            keyed = [place for place, key in enumerate(keys) if key is not None]
            keys, values = [keys[place] for place in keyed], [values[place] for place in keyed]
        apply(Rows(keys, values, len(messages), messages[-1].offset() + 1))

    return _messages_to_end(
        kafka, topic, partition, start, take=take, silence_s_max=silence_s_max, tell=on_progress or _tell_nobody
    )


def _messages_to_end(
    kafka: KafkaOptions,
    topic: str,
    partition: int,
    start: int,
    *,
    take: Callable[[list[Message]], None],
    silence_s_max: float,
    tell: Callable[[int], None],
) -> int:
    reader = BulkReader(kafka, {(topic, partition): start})
    try:
        low, end = reader.watermarks(topic, partition)
        if start < low or start > end:
            raise StateError(f"{topic}/{partition} holds offsets {low} to {end}, position {start} is outside")
        next_offset = start
        tell(end - start)
        last_sign = time.monotonic()
        while True:
            messages, ends = reader.messages(timeout_s=0.5)
            if messages:
                take(messages)
                next_offset = messages[-1].offset() + 1
                tell(max(0, end - next_offset))
            if messages or ends:
                last_sign = time.monotonic()
            seen_end = ends.get((topic, partition))
            if seen_end is not None and seen_end >= end:
                tell(0)
                return max(seen_end, next_offset)
            if time.monotonic() - last_sign > silence_s_max:
                raise BrokerUnreachable(f"{topic}/{partition}: nothing came for {silence_s_max:.0f} s while restoring")
    finally:
        reader.close()


def read_whole(kafka: KafkaOptions, topic: str, partition: int, apply: Callable[[list[Record]], None]) -> int:
    """As `read_to_end`, from a partition's first offset.

    Raises:
        StateError: retention took its head just then; call again.
        BrokerUnreachable: no answer in time.
    """
    low, _ = partition_range(kafka, topic, partition)
    return read_to_end(kafka, topic, partition, low, apply)


def _tell_nobody(_left: int) -> None:
    """Progress that nobody asked for."""


def read_all(kafka: KafkaOptions, topic: str, partitions: int) -> Iterator[Record]:
    """Every committed record of a topic that is there now; for tools and tests, it holds a partition in memory."""
    for partition in range(partitions):
        records: list[Record] = []
        read_whole(kafka, topic, partition, records.extend)
        yield from records
