"""Freshness: the age of the oldest record that waits anywhere between a raw topic and a follower's copy.

A record moves on from topic to topic and is never in between: whoever takes it writes what follows from it before, or
together with, its own position. So a probe that reads all positions first and all ends after that finds every record
that was there when it began: where it was, or at a place that it reached since. The follower's position comes last.

Records that wait are told from markers and aborted transactions, which wait for nobody, by reading one record at the
position. Ends are high watermarks: what an open transaction of a dead worker holds back waits too. While the broker
can't be asked, the lag grows from what was known last; it never says 0.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from confluent_kafka import Consumer, IsolationLevel, KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.clock import Clock, SystemClock
from schemas.errors import BrokerUnreachable
from schemas.times import MICROSECONDS_PER_SECOND
from schemas.topics import Partition
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics

log = logger(__name__)

INTERVAL_SECONDS: Final = 1.0
# Requests for a pass come with every look-up; between passes the broker is left alone for this long.
PAUSE_SECONDS: Final = 0.02
# One request to the broker, and all reads of one pass. A pass ends after a few of these, whatever happens.
REQUEST_TIMEOUT_SECONDS: Final = 2.0
READ_TIMEOUT_SECONDS: Final = 2.0
STOP_TIMEOUT_SECONDS: Final = 10.0
FAILURES_TOLD: Final = 3
# One record a partition is wanted, so little is fetched ahead.
_FETCH_SIZE_BYTES: Final = 64 * 1024
_QUEUE_SIZE_KIB: Final = 1024
# A record that waits is at least this old, however the clocks of broker and reader differ.
_LEAST_SECONDS: Final = 0.001

#: The next offset of a partition that somebody has come to; None where he does not know.
Positions = Callable[[str, int], int | None]


class Ends(NamedTuple):
    """Where a partition begins and ends."""

    low: int
    #: Committed readers get no further.
    stable: int
    high: int


class _Finding(NamedTuple):
    """What waits at a position."""

    position: int
    ends: Ends
    timestamp_ms: int | None
    #: Found past the stable end; gone if its transaction is aborted.
    uncommitted: bool = False

    def holds(self, position: int, ends: Ends) -> bool:
        """Whether it is still so, without looking again."""
        if position != self.position:
            return False
        return ends == self.ends or (self.timestamp_ms is not None and not self.uncommitted)


@dataclass(frozen=True)
class FreshnessOptions:
    """What is watched. Topics are full names with their numbers of partitions."""

    kafka: KafkaOptions
    #: The workers' consumer group.
    group_id: str
    #: Topics that workers read.
    consumed: Mapping[str, int]
    #: Topics that the follower reads.
    followed: Mapping[str, int]
    interval_s: float = INTERVAL_SECONDS


class Lag(NamedTuple):
    """How old the oldest waiting record is; 0 only when nothing waits, None before anything is known."""

    seconds: float | None

    def __str__(self) -> str:
        """For a header: `0`, or seconds with three decimals."""
        return "" if self.seconds is None else f"{self.seconds:.3f}" if self.seconds else "0"


class Freshness:
    """Probes in a thread of its own, at an interval and whenever it is asked to.

    Args:
        options: What is watched.
        applied: Positions of workers that are known better than from their group, which is told only now and then.
        followed: The follower's positions; it has made visible all before them.
        metrics: Where lag in seconds and records goes.
        clock: Wall time.
    """

    def __init__(
        self,
        options: FreshnessOptions,
        *,
        applied: Positions,
        followed: Positions,
        metrics: Metrics,
        clock: Clock | None = None,
    ) -> None:
        self._options = options
        self._applied = applied
        self._followed = followed
        self._metrics = metrics
        self._clock = clock or SystemClock()
        self._consumed_partitions = _partitions(options.consumed)
        self._followed_partitions = _partitions(options.followed)
        self._findings: dict[Partition, _Finding] = {}
        self._pass_began_us: int | None = None
        self._waiting_since_us: int | None = None
        self._consumers: dict[str, Consumer] = {}
        self._admin_client: AdminClient | None = None
        self._former_admin: AdminClient | None = None
        self._failures = 0
        self._stopping = threading.Event()
        self._asked = threading.Event()
        self._lock = threading.Lock()
        self._next_pass: Future[Lag] = Future()
        self._thread = threading.Thread(target=self._run, name="freshness", daemon=True)

    def start(self) -> None:
        """Begin to probe."""
        self._thread.start()

    def stop(self) -> None:
        """End within `STOP_TIMEOUT_SECONDS`."""
        self._stopping.set()
        self._asked.set()
        if self._thread.is_alive():
            self._thread.join(STOP_TIMEOUT_SECONDS)

    @property
    def known(self) -> bool:
        """Whether one pass has come to its end."""
        return self._pass_began_us is not None

    @property
    def waiting(self) -> bool:
        """Whether the last pass found a record waiting, or could not be made."""
        return self._waiting_since_us is not None or self._failures > 0

    def lag(self) -> Lag:
        """What is known without another pass: never 0, since something may have come after the last one."""
        now_us = self._clock.now_us()
        since_us = self._waiting_since_us if self._waiting_since_us is not None else self._pass_began_us
        return Lag(None if since_us is None else _age_seconds(now_us, since_us))

    def next_pass(self) -> "Future[Lag]":
        """The result of a pass that begins after this call; do not cancel it, others wait for it too."""
        with self._lock:
            self._asked.set()
            return self._next_pass

    def _run(self) -> None:
        try:
            while not self._stopping.is_set():
                self._asked.wait(self._options.interval_s)
                with self._lock:
                    self._asked.clear()
                    answer, self._next_pass = self._next_pass, Future()
                answer.set_result(self._lag_by_pass())
                self._stopping.wait(PAUSE_SECONDS)
        finally:
            self._close_clients()

    def _lag_by_pass(self) -> Lag:
        try:
            self.probe()
        except Exception as error:  # noqa: BLE001 - whatever is wrong with the probe, lag grows and it goes on.
            self._failures += 1
            # A group's coordinator that moves costs one pass; what lasts is told, once.
            if self._failures == FAILURES_TOLD:
                log.warning("freshness can't be probed, lag grows until it can", reason=str(error))
            self._replace_admin()
            lag = self.lag()
        else:
            if self._failures >= FAILURES_TOLD:
                log.info("freshness can be probed again", failures=self._failures)
            self._failures = 0
            lag = Lag(0.0) if self._waiting_since_us is None else self.lag()
        if lag.seconds is not None:
            self._metrics.lag_seconds.set(lag.seconds)
        return lag

    def probe(self) -> None:
        """One pass.

        1. Positions of the workers. 2. Ends of all partitions. 3. Positions of the follower. 4. What waits at them.

        Raises:
            BrokerUnreachable: the broker did not answer in time; nothing is known that was not known before.
        """
        began_us = self._clock.now_us()
        # 1. Positions of the workers.
        positions = self._worker_positions()
        # 2. Ends of all partitions.
        ends = self._ends([*self._consumed_partitions, *self._followed_partitions])
        positions = {partition: _within(position, ends[partition]) for partition, position in positions.items()}
        # 3. Positions of the follower, which may have gone on past the ends by now.
        for partition in self._followed_partitions:
            position = self._followed(*partition)
            positions[partition] = ends[partition].low if position is None else min(position, ends[partition].high)
        # 4. What waits at them.
        findings = self._find(positions, ends)
        self._findings = findings
        for (topic, number), finding in findings.items():
            records = 0 if finding.timestamp_ms is None else finding.ends.high - finding.position
            self._metrics.lag_records.labels(topic, str(number)).set(records)
        oldest = min(
            (found.timestamp_ms for found in findings.values() if found.timestamp_ms is not None), default=None
        )
        self._waiting_since_us = None if oldest is None else oldest * 1000
        self._pass_began_us = began_us

    def _worker_positions(self) -> dict[Partition, int]:
        wanted = [TopicPartition(*partition) for partition in self._consumed_partitions]
        positions = {}
        try:
            committed = self._group_member().committed(wanted, timeout=REQUEST_TIMEOUT_SECONDS)
        except KafkaException as error:
            raise BrokerUnreachable(f"offsets of group {self._options.group_id}: {error}") from error
        for found in committed:
            if found.error is not None:
                raise BrokerUnreachable(f"offset of {found.topic}/{found.partition}: {found.error.str()}")
            applied = self._applied(found.topic, found.partition)
            positions[found.topic, found.partition] = max(found.offset, -1 if applied is None else applied)
        return positions

    def _ends(self, partitions: Iterable[Partition]) -> dict[Partition, Ends]:
        questions = (
            (OffsetSpec.earliest(), IsolationLevel.READ_UNCOMMITTED),
            (OffsetSpec.latest(), IsolationLevel.READ_COMMITTED),
            (OffsetSpec.latest(), IsolationLevel.READ_UNCOMMITTED),
        )
        names = list(dict.fromkeys(partitions))
        answers = []
        for spec, isolation in questions:
            asked = {TopicPartition(*name): spec for name in names}
            answers.append(
                self._admin().list_offsets(asked, isolation_level=isolation, request_timeout=REQUEST_TIMEOUT_SECONDS)
            )
        # All are waited for before the first failure is told: a client may not go away with answers under way.
        futures = [future for answer in answers for future in answer.values()]
        wait(futures, REQUEST_TIMEOUT_SECONDS)
        low, stable, high = (
            {(place.topic, place.partition): _offset(future, place) for place, future in answer.items()}
            for answer in answers
        )
        # The stable end was asked for first, so it may be past a high one of another moment only by a new record.
        return {name: Ends(low[name], stable[name], max(high[name], stable[name])) for name in names}

    def _find(self, positions: Mapping[Partition, int], ends: Mapping[Partition, Ends]) -> dict[Partition, _Finding]:
        """What waits at each position: from the last pass where that still holds, else by reading one record."""
        findings: dict[Partition, _Finding] = {}
        committed: dict[Partition, int] = {}
        open_ones: dict[Partition, int] = {}
        for partition, position in positions.items():
            known = self._findings.get(partition)
            if position >= ends[partition].high:
                findings[partition] = _Finding(position, ends[partition], None)
            elif known is not None and known.holds(position, ends[partition]):
                findings[partition] = known._replace(ends=ends[partition])
            elif position < ends[partition].stable:
                committed[partition] = position
            else:
                open_ones[partition] = position
        for partition, timestamp_ms in self._first_records(committed, ends, committed_only=True).items():
            if timestamp_ms is None and ends[partition].stable < ends[partition].high:
                open_ones[partition] = ends[partition].stable
            else:
                findings[partition] = _Finding(committed[partition], ends[partition], timestamp_ms)
        for partition, timestamp_ms in self._first_records(open_ones, ends, committed_only=False).items():
            findings[partition] = _Finding(positions[partition], ends[partition], timestamp_ms, uncommitted=True)
        return findings

    def _first_records(
        self, positions: Mapping[Partition, int], ends: Mapping[Partition, Ends], *, committed_only: bool
    ) -> dict[Partition, int | None]:
        """The timestamp of the first record at or after each position, None where there is none before the end."""
        if not positions:
            return {}
        consumer = self._reader(committed_only)
        consumer.assign([TopicPartition(topic, number, offset) for (topic, number), offset in positions.items()])
        found: dict[Partition, int | None] = {}
        deadline = time.monotonic() + READ_TIMEOUT_SECONDS
        try:
            while len(found) < len(positions):
                left = deadline - time.monotonic()
                if left <= 0 or self._stopping.is_set():
                    raise BrokerUnreachable(f"no answer from {len(positions) - len(found)} partitions in time")
                message = consumer.poll(left)
                if message is not None:
                    _take(message, ends, found, committed_only=committed_only)
        finally:
            consumer.unassign()
        return found

    def _group_member(self) -> Consumer:
        """A consumer that knows the group's offsets and never joins it.

        An AdminClient could be asked, too, but librdkafka 2.16 crashes when the group's coordinator is just moving.
        """
        return self._client("group", lambda: Consumer(self._options.kafka.reader(group_id=self._options.group_id)))

    def _reader(self, committed_only: bool) -> Consumer:
        options = self._options.kafka.reader(committed_only=committed_only) | {
            "fetch.message.max.bytes": _FETCH_SIZE_BYTES,
            "queued.max.messages.kbytes": _QUEUE_SIZE_KIB,
            "queued.min.messages": 1,
            # A full queue of the last pass would otherwise hold up the next one for a second.
            "fetch.queue.backoff.ms": 5,
        }
        return self._client("committed" if committed_only else "all", lambda: Consumer(options))

    def _client(self, name: str, make: Callable[[], Consumer]) -> Consumer:
        if name not in self._consumers:
            self._consumers[name] = make()
        return self._consumers[name]

    def _admin(self) -> AdminClient:
        if self._admin_client is None:
            self._admin_client = AdminClient(self._options.kafka.admin())
        return self._admin_client

    def _replace_admin(self) -> None:
        """Ask with a new client from now on.

        After a broker's restart one that knows the leader's former epoch may be refused for minutes, until it happens
        to ask who leads. The former one is kept until the next is replaced: a client may not go away with answers under
        way.
        """
        self._former_admin, self._admin_client = self._admin_client or self._former_admin, None

    def _close_clients(self) -> None:
        for consumer in self._consumers.values():
            consumer.close()
        self._consumers.clear()


def _partitions(topics: Mapping[str, int]) -> list[Partition]:
    return [(topic, number) for topic, count in topics.items() for number in range(count)]


def _within(position: int, ends: Ends) -> int:
    """The position, or the partition's begin for one that can't be: then everything there may wait."""
    return position if ends.low <= position <= ends.high else ends.low


def _age_seconds(now_us: int, since_us: int) -> float:
    return max(_LEAST_SECONDS, (now_us - since_us) / MICROSECONDS_PER_SECOND)


def _take(
    message: Message, ends: Mapping[Partition, Ends], found: dict[Partition, int | None], *, committed_only: bool
) -> None:
    """Note what a message says of its partition: the first record counts, and the end only where no record came."""
    partition = (message.topic(), message.partition())
    error = message.error()
    if error is None:
        found.setdefault(partition, message.timestamp()[1])
    elif error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001 - librdkafka's own codes have no other names.
        end = ends[partition].stable if committed_only else ends[partition].high
        if message.offset() >= end:
            found.setdefault(partition, None)
    elif not error.retriable():
        raise BrokerUnreachable(f"{message.topic()}/{message.partition()}: {error.str()}")


def _offset(future: "Future[Any]", place: TopicPartition) -> int:
    try:
        offset: int = future.result(0).offset
    except (KafkaException, TimeoutError) as error:
        raise BrokerUnreachable(f"offsets of {place.topic}/{place.partition}: {error}") from error
    return offset
