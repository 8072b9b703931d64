"""The delivering producer: idempotent, and it says of every record whether the broker has it.

Two ways to use one: `produce` what belongs together and `flush`, which returns once all of it is acknowledged (intake,
import), or `await send_all`, which does the same for one request among many (collect). A producer belongs to one thread
at a time; under asyncio that is the loop's, where acknowledgements are collected while any are awaited.

Every record's partition is chosen by `streams.placement`, from the partition counts of the catalogue.
"""

import asyncio
import contextlib
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple, Protocol

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import DeadCode, DeliveryFailed, EventError, RestartNeeded, StateError
from schemas.topics import Catalogue, Header, headers_size_bytes
from streams.client_errors import client_errors
from streams.kafka import DELIVERY_TIMEOUT_MS, MESSAGE_SIZE_BYTES_MAX, KafkaOptions
from streams.logs import logger
from streams.metrics import Metrics
from streams.placement import ByKey, Placement

#: Key, value and headers of one record. The rest of the broker's limit is for the frame of its batch.
RECORD_SIZE_BYTES_MAX: Final = MESSAGE_SIZE_BYTES_MAX - 1024
# A full queue is served for this long before it counts as a failed delivery.
QUEUE_TIMEOUT_SECONDS: Final = 10.0
# librdkafka looks for records past their delivery timeout once a second; so much later at the latest it has spoken.
DELIVERY_GRACE_SECONDS: Final = 5.0
# How often acknowledgements are collected under asyncio: far below the linger; several requests at a time cost less.
COLLECT_INTERVAL_SECONDS: Final = 0.004
# How long one wait for room in the queue blocks the thread.
_POLL_SECONDS: Final = 0.05

_QUEUE_FULL: Final = KafkaError._QUEUE_FULL  # noqa: SLF001 - librdkafka's codes have no other names.
_log = logger(__name__)


class Record(NamedTuple):
    """One record. `topic` is the full name; without a partition the producer's placement decides."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()
    partition: int | None = None

    @property
    def size_bytes(self) -> int:
        """Bytes of key, value and headers with their framing."""
        return len(self.key or b"") + len(self.value or b"") + headers_size_bytes(self.headers)


class RecordProducer(Protocol):
    """What users of a producer need of it; `streams.recording_producer` has one without a broker."""

    @property
    def outstanding_bytes(self) -> int:
        """Bytes of the records that are neither acknowledged nor refused yet."""

    @property
    def waiting_seconds(self) -> float:
        """How long the oldest of what `send_all` handed over waits for its answer; 0 when nothing does."""

    def produce(self, record: Record) -> None:
        """Hand one record over; `flush` tells what became of it.

        Raises:
            EventError: `record_too_large`.
            DeliveryFailed: the queue stayed full.
            RestartNeeded: this producer can't write any more.
        """

    def produce_batch(
        self, topic: str, partition: int | None, records: Iterable[tuple[bytes | None, bytes | None]]
    ) -> None:
        """As `produce`, for keys and values, without headers: several times faster."""

    def flush(self, timeout_s: float) -> None:
        """Return once everything produced since the last flush is acknowledged. Blocks.

        Raises:
            DeliveryFailed: something was refused, or has no answer in time; names topic, partition and reason.
        """

    async def send_all(self, records: Sequence[Record]) -> None:
        """Return once all the records are acknowledged. After an error, any of them may have been written or not.

        Raises:
            EventError: `record_too_large`; none of them was handed over.
            DeliveryFailed: one was refused or not answered in time.
            RestartNeeded: this producer can't write any more.
        """

    def verify_usable(self) -> None:
        """Raise `RestartNeeded` when this producer can't write any more."""

    def close(self, timeout_s: float) -> None:
        """Wait for what is under way, within the time, then drop the rest."""


class _Delivery:
    """Records that were handed over together, until the last of them is acknowledged or refused."""

    __slots__ = ("answered", "failure", "size_bytes", "sizes", "waiting")

    def __init__(self, answered: "asyncio.Future[None] | None" = None) -> None:
        self.waiting = 0
        self.failure: str | None = None
        self.size_bytes = 0
        #: Records and bytes by topic.
        self.sizes: dict[str, tuple[int, int]] = {}
        self.answered = answered

    def add(self, topic: str, records: int, size_bytes: int) -> None:
        old_records, old_size_bytes = self.sizes.get(topic, (0, 0))
        self.sizes[topic] = (old_records + records, old_size_bytes + size_bytes)
        self.size_bytes += size_bytes
        self.waiting += records

    def delivered(self, error: KafkaError | None, message: Any) -> None:
        """The delivery report of one record; runs within the producer's `poll` and `flush`."""
        if error is not None and self.failure is None:
            self.failure = f"{message.topic()}/{message.partition()}: {error.str()}"
        self.release()

    def fail(self, reason: str) -> None:
        """Nobody will answer any more."""
        if self.waiting > 0:
            self.failure = self.failure or reason
            self.waiting = 1
            self.release()

    def release(self) -> None:
        """One answer less to wait for."""
        self.waiting -= 1
        if self.waiting == 0:
            self.give_up()

    def give_up(self) -> None:
        """Nobody waits any longer; a future that nobody awaits is done already."""
        if self.answered is not None and not self.answered.done():
            self.answered.set_result(None)


class DeliveringProducer:
    """An idempotent producer with an answer for every record.

    Args:
        kafka: Where the brokers are.
        catalogue: Names the topics that may be written to, with their partition counts.
        metrics: Counts acknowledged records and bytes by topic.
        linger_ms: How long a record waits for others of its partition; more saves requests, and adds as much latency.
        delivery_timeout_ms: A record not acknowledged by then counts as refused.
        failures_only: The client tells of records that it could not deliver and of no others, which spares a call for
            each: for whoever flushes, and never awaits `send_all`.
        placement: Which partition a record goes to that names none; by its key where nothing is said.
    """

    def __init__(
        self,
        kafka: KafkaOptions,
        catalogue: Catalogue,
        metrics: Metrics,
        *,
        linger_ms: int = 5,
        delivery_timeout_ms: int = DELIVERY_TIMEOUT_MS,
        failures_only: bool = False,
        placement: Placement | None = None,
    ) -> None:
        self._partition = (placement or ByKey(catalogue)).partition
        self._metrics = metrics
        self._delivery_timeout_s = delivery_timeout_ms / 1000
        self._fatal: str | None = None
        self._failures_only = failures_only
        own = {"delivery.timeout.ms": delivery_timeout_ms, "delivery.report.only.error": failures_only}
        self._producer = Producer(kafka.producer(linger_ms=linger_ms) | own | {"error_cb": self._on_error})
        self._unflushed = _Delivery()
        # What `send_all` handed over and has no answer yet, waited for or not, and since when; the oldest first.
        self._sent: dict[_Delivery, float] = {}
        self._sent_bytes = 0
        self._collecting: asyncio.Task[None] | None = None

    @property
    def outstanding_bytes(self) -> int:
        """Bytes of the records that are neither acknowledged nor refused yet, as far as they were collected."""
        return self._sent_bytes + (self._unflushed.size_bytes if self._unflushed.waiting else 0)

    @property
    def waiting_seconds(self) -> float:
        """How long the oldest of what `send_all` handed over waits, as far as answers were collected."""
        since = next(iter(self._sent.values()), None)
        return 0.0 if since is None else time.monotonic() - since

    def produce(self, record: Record) -> None:
        """Hand one record over; waits while the queue is full. See `RecordProducer.produce`."""
        reject_large(record)
        deadline = time.monotonic() + QUEUE_TIMEOUT_SECONDS
        while not self._try_produce(record, self._unflushed):
            self._wait_for_room(deadline)

    def produce_batch(
        self, topic: str, partition: int | None, records: Iterable[tuple[bytes | None, bytes | None]]
    ) -> None:
        """Hand over keys and values, without headers. See `RecordProducer.produce_batch`.

        The client takes a record by position in half the time that it takes one of a batch of dictionaries.
        """
        produce, unflushed = self._producer.produce, self._unflushed
        delivered = unflushed.delivered
        number = size_bytes = 0
        try:
            for key, value in records:
                record_bytes = len(key or b"") + len(value or b"")
                if record_bytes > RECORD_SIZE_BYTES_MAX:
                    raise _too_large(topic, record_bytes)
                place = self._partition(topic, key) if partition is None else partition
                try:
                    produce(topic, value, key, place, delivered)
                except (BufferError, KafkaException):
                    # The general way waits for room, and says what else is wrong.
                    self.produce(Record(topic, key, value, (), place))
                else:
                    number += 1
                    size_bytes += record_bytes
        finally:
            if number:
                unflushed.add(topic, number, size_bytes)

    def flush(self, timeout_s: float) -> None:
        """Wait for every record produced since the last flush. See `RecordProducer.flush`."""
        delivery, self._unflushed = self._unflushed, _Delivery()
        deadline = time.monotonic() + timeout_s
        while delivery.waiting and (left_s := deadline - time.monotonic()) > 0:
            with self._translating("flush"):
                unanswered = self._producer.flush(left_s)
            if self._failures_only:
                # An empty queue is the answer for all that did not fail.
                delivery.waiting = unanswered
        self.verify_usable()
        self._account(delivery)
        if delivery.waiting:
            topics = ", ".join(sorted(delivery.sizes))
            raise DeliveryFailed(f"{delivery.waiting} records to {topics} have no answer after {timeout_s:g} s")

    async def send_all(self, records: Sequence[Record]) -> None:
        """Deliver the records of one request among many. See `RecordProducer.send_all`."""
        if self._failures_only:
            raise StateError("a producer that tells of failures only has no answer for a request")
        for record in records:
            reject_large(record)
        self.verify_usable()
        if not records:
            return
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[None] = loop.create_future()
        delivery = _Delivery(answered)
        # 1. Hand over, with one answer more to wait for, so that it can't be over before the last record. All of it
        #    counts as outstanding while it waits for room in the queue; if this breaks off, what was handed over does
        #    until it is answered.
        delivery.waiting += 1
        wanted_bytes = sum(record.size_bytes for record in records)
        self._sent_bytes += wanted_bytes
        try:
            await self._hand_over(records, delivery)
        finally:
            delivery.release()
            self._sent[delivery] = time.monotonic()
            self._sent_bytes += delivery.size_bytes - wanted_bytes
            if self._collecting is None or self._collecting.done():
                self._collecting = loop.create_task(self._collect())
        # 2. Wait for all answers, or for the end of their time, at which whoever collects them looks.
        await answered
        if delivery.waiting:
            raise DeliveryFailed(f"{delivery.waiting} of {len(records)} records have no answer")
        # 3. Tell, and count what is acknowledged.
        if delivery.failure is not None:
            self.verify_usable()
        self._account(delivery)

    def verify_usable(self) -> None:
        """Raise `RestartNeeded` after an error that this producer can't recover from."""
        if self._fatal is not None:
            raise RestartNeeded(f"the producer can't go on: {self._fatal}")

    def close(self, timeout_s: float) -> None:
        """Wait for what is under way, within the time, then drop the rest. Blocks."""
        # An error that ended the producer was told to whoever waits; here nobody does.
        with contextlib.suppress(RestartNeeded), self._translating("close"):
            if self._producer.flush(timeout_s):
                self._producer.purge()
                self._producer.flush(_POLL_SECONDS)

    async def _hand_over(self, records: Sequence[Record], delivery: _Delivery) -> None:
        deadline = time.monotonic() + QUEUE_TIMEOUT_SECONDS
        for record in records:
            while not self._try_produce(record, delivery):
                if time.monotonic() > deadline:
                    raise _queue_stayed_full()
                self._poll(0)
                await asyncio.sleep(COLLECT_INTERVAL_SECONDS)

    async def _collect(self) -> None:
        """Serve delivery reports while any are awaited: one wake-up for all that came since the last."""
        while self._sent:
            # What it raises ends the producer; then it is told to all who wait, as their reports may be lost.
            with contextlib.suppress(RestartNeeded):
                self._poll(0)
            if self._fatal is not None:
                for delivery in self._sent:
                    delivery.fail(self._fatal)
            overdue_s = time.monotonic() - self._delivery_timeout_s - DELIVERY_GRACE_SECONDS
            for delivery, since_s in self._sent.items():
                if since_s > overdue_s:
                    break
                delivery.give_up()
            for delivery in [delivery for delivery in self._sent if not delivery.waiting]:
                del self._sent[delivery]
                self._sent_bytes -= delivery.size_bytes
            await asyncio.sleep(COLLECT_INTERVAL_SECONDS)

    def _try_produce(self, record: Record, delivery: _Delivery) -> bool:
        topic, key, value, headers, partition = record
        try:
            place = self._partition(topic, key) if partition is None else partition
            self._producer.produce(topic, value, key, place, delivery.delivered, headers=list(headers))
        except BufferError:
            return False
        except KafkaException as error:
            raise self._translated(error, topic) from error
        delivery.add(topic, 1, record.size_bytes)
        return True

    def _wait_for_room(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise _queue_stayed_full()
        self._poll(_POLL_SECONDS)

    def _poll(self, timeout_s: float) -> None:
        with self._translating("poll"):
            self._producer.poll(timeout_s)

    def _account(self, delivery: _Delivery) -> None:
        if delivery.failure is not None:
            raise DeliveryFailed(delivery.failure)
        if delivery.waiting:
            return
        for topic, (records, size_bytes) in delivery.sizes.items():
            self._metrics.records_written.labels(topic).inc(records)
            self._metrics.bytes_written.labels(topic).inc(size_bytes)

    def _on_error(self, error: KafkaError) -> None:
        """What librdkafka says outside of any delivery; all but fatal errors heal by themselves or fail a delivery."""
        if error.fatal():
            self._end(error.str())

    def _end(self, reason: str) -> None:
        if self._fatal is None:
            self._fatal = reason
            _log.error("producer failed", reason=reason)

    @contextlib.contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        """Tell what the client raises as errors of ours."""
        try:
            with client_errors():
                yield
        except KafkaException as error:
            raise self._translated(error, what) from error
        except SystemError as error:
            # The client lost the error that it meant to raise, and delivery reports with it.
            self._end(f"{what}: {error}")
            raise RestartNeeded(f"the producer can't go on: {self._fatal}") from error

    def _translated(self, error: KafkaException, what: str) -> RestartNeeded:
        cause = error.args[0]
        if cause.fatal():
            self._on_error(cause)
            return RestartNeeded(f"the producer can't go on: {self._fatal}")
        return DeliveryFailed(f"{what}: {cause.str()}")


def reject_large(record: Record) -> None:
    """Raise `EventError` (`record_too_large`) for a record that no topic of ours takes."""
    if (size_bytes := record.size_bytes) > RECORD_SIZE_BYTES_MAX:
        raise _too_large(record.topic, size_bytes)


def _too_large(topic: str, size_bytes: int) -> EventError:
    message = f"a record of {size_bytes} bytes for {topic}, at most {RECORD_SIZE_BYTES_MAX} are taken"
    return EventError(DeadCode.RECORD_TOO_LARGE, message)


def _queue_stayed_full() -> DeliveryFailed:
    return DeliveryFailed(f"the producer's queue stayed full for {QUEUE_TIMEOUT_SECONDS:.0f} s")
