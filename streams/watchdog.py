"""The watchdog: ends a worker that does nothing though committed records wait for it, so that it is started again.

Faust and aiokafka know states in which a worker is a member of its group, has partitions, and yet nothing moves any
more; Faust's own watchdog compares two clocks that have nothing to do with each other, and never fires. This one looks
from a thread of its own, which goes on while the event loop is blocked.

A pass:

1. See what the worker shows of itself: its membership, and how far each partition is.
2. Ask the broker where the partitions end that did not move. While it does not answer, all time starts anew.
3. Add up how long what waits stands still. Before a verdict one record is read at the position: what lies between a
   position and the end may be markers and aborted transactions, which wait for nobody.
4. Bark.

Time counts only where there is something to do: not during a rebalance, not while a partition is opened and restored or
its events wait for a schema registry (these have bounds of their own), not for records that wait for their turn while
others are worked on, and not while this process itself was stopped.
"""

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, wait
from dataclasses import dataclass
from typing import Any, Final, NamedTuple, Protocol

from confluent_kafka import IsolationLevel, KafkaError, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec

from schemas.errors import BrokerUnreachable, GoldenthreadError, RestartNeeded, StateError
from schemas.topics import Partition
from streams.bulk import BulkReader
from streams.kafka import KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.partition import Step
from streams.standstill import Standstill
from streams.topics import group_offsets

log = logger(__name__)

# A pass comes eight times within the timeout, but not more often than the first and not less often than the second.
_PASSES_PER_TIMEOUT: Final = 8
INTERVAL_SECONDS_MIN: Final = 0.25
INTERVAL_SECONDS_MAX: Final = 2.0
# One request to the broker; and the reading of one record.
REQUEST_TIMEOUT_SECONDS: Final = 3.0
READ_TIMEOUT_SECONDS: Final = 5.0
# Said by a broker that is there, of one topic: the worker meets the same error and says more about it.
_TOPIC_CODES: Final = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError.TOPIC_AUTHORIZATION_FAILED})


class Sight(NamedTuple):
    """What a worker shows of itself at a moment."""

    #: Whether it knows its partitions, and the group hears of it.
    is_member: bool
    generation: int
    #: Whether something waits for what has a bound of its own; the rest may wait for that, through full queues.
    is_held_up: bool
    #: How far each partition is; those that wait for what has a bound of its own are left out.
    steps: Mapping[Partition, Step]
    #: The next offset of each partition that was acknowledged in this generation.
    positions: Mapping[Partition, int]


class Broker(Protocol):
    """What the watchdog asks of a broker. All of it raises BrokerUnreachable when there is no answer in time."""

    def stable_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """The last stable offset of each partition, but for those of topics that can't be asked for."""

    def committed_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        """The group's offsets."""

    def require_coordinator(self) -> None:
        """Return when the group's coordinator answers."""

    def has_record(self, partition: Partition, offset: int) -> bool:
        """Whether there is a committed record at or after the offset."""


@dataclass(frozen=True)
class WatchdogOptions:
    """How long is too long."""

    #: Nothing moves though committed records wait.
    timeout_s: float = 20.0
    #: No place in the group though the broker is there: longer than any rebalance may take.
    membership_timeout_s: float = 150.0

    @property
    def interval_s(self) -> float:
        """Between two passes."""
        return min(INTERVAL_SECONDS_MAX, max(INTERVAL_SECONDS_MIN, self.timeout_s / _PASSES_PER_TIMEOUT))


class Watchdog:
    """Watches one worker from a thread.

    Args:
        options: Bounds.
        look: Shows the worker; called from the thread, must wait for nothing.
        broker: Where records wait.
        bark: Called once, from the thread, with what ends the worker.
        metrics: Where the longest standstill goes.
        monotonic: Seconds of a clock that only goes forward.
    """

    def __init__(
        self,
        options: WatchdogOptions,
        *,
        look: Callable[[], Sight],
        broker: Broker,
        bark: Callable[[RestartNeeded], None],
        metrics: Metrics,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._options = options
        self._look = look
        self._broker = broker
        self._bark = bark
        self._gauge = metrics.standstill_seconds
        self._monotonic = monotonic
        self._standstill = Standstill(options.timeout_s)
        self._apart_s = 0.0
        self._last_s = monotonic()
        self._generation: int | None = None
        # Offsets that the group had when nothing was acknowledged yet in this generation.
        self._committed: dict[Partition, int | None] = {}
        # Position and end of partitions between which nothing was found.
        self._empty: dict[Partition, tuple[int, int]] = {}
        self._is_broker_away = False
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """End; a pass that is under way ends by itself, and barks no more."""
        self._stopping.set()

    def _run(self) -> None:
        while not self._stopping.wait(self._options.interval_s):
            try:
                reason = self.look()
            except Exception:
                # A mistake in the watchdog must not end what it watches; it must be seen.
                log.exception("a pass of the watchdog failed")
                self._standstill.start_anew()
                continue
            if reason is not None and not self._stopping.is_set():
                log.error("the watchdog ends the worker", reason=reason)
                self._bark(RestartNeeded(reason))
                return

    def look(self) -> str | None:
        """One pass; returns why the worker has to end, or None."""
        now_s = self._monotonic()
        # While this very process was stopped, nobody could move.
        passed_s = min(now_s - self._last_s, 2 * self._options.interval_s)
        self._last_s = now_s
        # Step 1.
        sight = self._look()
        if sight.generation != self._generation:
            self._generation = sight.generation
            self._committed.clear()
            self._empty.clear()
        try:
            reason = self._judge(sight, passed_s) if sight.is_member else self._judge_membership(passed_s)
        except BrokerUnreachable as error:
            self._tell_broker(is_away=True, reason=str(error))
            self._apart_s = 0.0
            self._standstill.start_anew()
            reason = None
        self._gauge.set(self._standstill.longest_s)
        return reason

    def _judge_membership(self, passed_s: float) -> str | None:
        """Whether a worker without a place in the group should have had one long ago."""
        self._standstill.start_anew()
        self._broker.require_coordinator()
        self._tell_broker(is_away=False)
        self._apart_s += passed_s
        if self._apart_s < self._options.membership_timeout_s:
            return None
        return f"no place in the consumer group for {self._apart_s:.0f} s, though the broker answers"

    def _judge(self, sight: Sight, passed_s: float) -> str | None:
        self._apart_s = 0.0
        # Step 2.
        unmoved = self._standstill.unmoved(sight.steps, sight.positions)
        ends = self._broker.stable_ends(unmoved) if unmoved else {}
        if unmoved:
            self._tell_broker(is_away=False)
        positions = self._known_positions(sight, unmoved)
        waiting = [
            place
            for place in unmoved
            if sight.steps[place].in_hand or (not sight.is_held_up and self._waits(place, positions, ends))
        ]
        # Step 3.
        self._standstill.add(passed_s, sight.steps, sight.positions, waiting)
        for place, stood_s in self._standstill.overdue():
            position = positions.get(place)
            if sight.steps[place].in_hand:
                return f"{place[0]}/{place[1]}: work on records past {position} does not move for {stood_s:.0f} s"
            if position is not None and self._broker.has_record(place, position):
                return f"{place[0]}/{place[1]} stands at {position} for {stood_s:.0f} s, though committed records wait"
            if position is not None:
                self._empty[place] = (position, ends[place])
            self._standstill.forget(place)
        return None

    def _known_positions(self, sight: Sight, places: Iterable[Partition]) -> dict[Partition, int | None]:
        """Positions as acknowledged, else as the group knows them."""
        unknown = [place for place in places if place not in sight.positions and place not in self._committed]
        if unknown:
            self._committed.update(self._broker.committed_offsets(unknown))
        return {place: sight.positions.get(place, self._committed.get(place)) for place in places}

    def _waits(
        self, place: Partition, positions: Mapping[Partition, int | None], ends: Mapping[Partition, int]
    ) -> bool:
        position, end = positions.get(place), ends.get(place)
        if position is None or end is None or end <= position:
            return False
        return self._empty.get(place) != (position, end)

    def _tell_broker(self, *, is_away: bool, reason: str = "") -> None:
        if is_away and not self._is_broker_away:
            log.warning("the broker does not answer the watchdog, which waits for it", reason=reason)
        self._is_broker_away = is_away


class KafkaBroker:
    """Asks a real broker; belongs to the watchdog's thread.

    Args:
        kafka: Where the brokers are.
        group_id: The workers' consumer group.
        known: Any partition that the group has an offset for.
    """

    def __init__(self, kafka: KafkaOptions, group_id: str, known: Partition) -> None:
        self._kafka = kafka
        self._group_id = group_id
        self._known = known
        self._client: AdminClient | None = None

    def stable_ends(self, partitions: Iterable[Partition]) -> dict[Partition, int]:
        """See `Broker.stable_ends`; all are asked for at once."""
        self._client = self._client or AdminClient(self._kafka.admin())
        answers: dict[TopicPartition, Future[Any]] = self._client.list_offsets(
            {TopicPartition(*partition): OffsetSpec.latest() for partition in partitions},
            isolation_level=IsolationLevel.READ_COMMITTED,
            request_timeout=REQUEST_TIMEOUT_SECONDS,
        )
        # All are waited for before the first failure is told: a client may not go away with answers under way.
        unanswered = wait(answers.values(), 2 * REQUEST_TIMEOUT_SECONDS).not_done
        try:
            return _ends(answers)
        except BrokerUnreachable:
            # A client that knew the leaders of before a restart asks them on and on: the next pass has a new one.
            if not unanswered:
                self._client = None
            raise

    def committed_offsets(self, partitions: Iterable[Partition]) -> dict[Partition, int | None]:
        """See `Broker.committed_offsets`."""
        return group_offsets(self._kafka, self._group_id, list(partitions), timeout_s=REQUEST_TIMEOUT_SECONDS)

    def require_coordinator(self) -> None:
        """See `Broker.require_coordinator`."""
        self.committed_offsets([self._known])

    def has_record(self, partition: Partition, offset: int) -> bool:
        """See `Broker.has_record`; reads until there is one, or the partition's end."""
        reader = BulkReader(self._kafka, {partition: offset})
        deadline = time.monotonic() + READ_TIMEOUT_SECONDS
        try:
            while True:
                chunk = reader.read(REQUEST_TIMEOUT_SECONDS / 10)
                if chunk.records:
                    return True
                if partition in chunk.ends:
                    return False
                if time.monotonic() > deadline:
                    raise BrokerUnreachable(f"{partition[0]}/{partition[1]}@{offset}: nothing was read in time")
        except StateError:
            # The worker meets the same, and says what is gone.
            return False
        except BrokerUnreachable:
            raise
        except GoldenthreadError as error:
            raise BrokerUnreachable(str(error)) from error
        finally:
            reader.close()


def _ends(answers: Mapping[TopicPartition, "Future[Any]"]) -> dict[Partition, int]:
    ends = {}
    for place, future in answers.items():
        try:
            ends[place.topic, place.partition] = int(future.result(0).offset)
        except TimeoutError as error:
            raise BrokerUnreachable(f"offsets of {place.topic}/{place.partition}: no answer") from error
        except KafkaException as error:
            if error.args[0].code() not in _TOPIC_CODES:
                raise BrokerUnreachable(f"offsets of {place.topic}/{place.partition}: {error}") from error
    return ends
