"""A transactional producer: everything of one transaction is acknowledged and visible, or nothing is."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Producer

from schemas.errors import DeliveryFailed, Fenced, GoldenthreadError
from schemas.topics import Header
from state.packed_outputs import MESSAGE_SIZE_BYTES, Destination, Packed
from streams.client_errors import client_errors
from streams.client_library import client_library
from streams.kafka import (
    BATCH_SIZE_BYTES_MAX,
    QUEUE_MESSAGES_MAX,
    QUEUE_SIZE_KIB_MAX,
    TRANSACTION_TIMEOUT_MS,
    KafkaOptions,
)
from streams.rights import require_rights

# `init_transactions` waits for an open transaction of a predecessor to be aborted; more than its timeout is an outage.
INIT_TIMEOUT_SECONDS: Final = 60.0
# It is asked this often whether fencing is still wanted.
_FENCE_SLICE_SECONDS: Final = 1.0
COMMIT_TIMEOUT_SECONDS: Final = TRANSACTION_TIMEOUT_MS / 1000
# Every record has its answer by then: its delivery times out with the transaction, and librdkafka looks once a second.
FLUSH_TIMEOUT_SECONDS: Final = TRANSACTION_TIMEOUT_MS / 1000 + 2.0
# A transaction that failed is aborted, so that readers need not wait for its timeout; the next owner does it otherwise.
ABORT_TIMEOUT_SECONDS: Final = 2.0
# A full producer queue is served for this long before it counts as a failed delivery.
QUEUE_TIMEOUT_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05
# What a transaction may hold for records to be handed over together: half of the queue, as nothing is left out of it.
_PACKED_SIZE_BYTES_MAX: Final = QUEUE_SIZE_KIB_MAX * 1024 // 2

_FENCED: Final = frozenset({KafkaError._FENCED, KafkaError.PRODUCER_FENCED, KafkaError.INVALID_PRODUCER_EPOCH})  # noqa: SLF001 - librdkafka's codes have no other names.
_QUEUE_FULL: Final = KafkaError._QUEUE_FULL  # noqa: SLF001 - as above.


class TransactionalProducer:
    """One transactional id's producer. Its methods block and belong to one thread at a time."""

    def __init__(self, kafka: KafkaOptions, transactional_id: str) -> None:
        self._id = transactional_id
        self._producer = Producer(kafka.transactional_producer(transactional_id))
        self._failure: str | None = None
        self._fenced = False
        # The topics of transactions that were committed.
        self._written: set[str] = set()
        #: The greatest offset of what `produce` added to each topic and partition in the running transaction, once it
        #: is acknowledged.
        self.offsets: dict[tuple[str, int], int] = {}
        #: Records and bytes produced to each topic in the running transaction.
        self.sizes: dict[str, tuple[int, int]] = {}

    @property
    def transactional_id(self) -> str:
        """Whose transactions these are."""
        return self._id

    def fence(self, is_wanted: Callable[[], bool] = lambda: True) -> bool:
        """Abort what a predecessor of the same id left open, and keep it from writing ever again.

        Where the broker is slow, the id may be another worker's before it is done; `is_wanted` tells, and then this
        ends within a second, so that the other one is not taken for a predecessor.

        Returns:
            Whether it was done; False once it was not wanted any more.

        Raises:
            NotAuthorized: the user may not write under this id.
            DeliveryFailed: the broker did not do it in time.
        """
        deadline = time.monotonic() + INIT_TIMEOUT_SECONDS
        while is_wanted():
            left_s = deadline - time.monotonic()
            try:
                with client_errors():
                    self._producer.init_transactions(max(_POLL_SECONDS, min(_FENCE_SLICE_SECONDS, left_s)))
            except KafkaException as error:
                # librdkafka says itself whether the very same call may be made again; it goes on with what was begun.
                if not error.args[0].retriable() or left_s <= _FENCE_SLICE_SECONDS:
                    raise self._translated(error, "init_transactions") from error
                time.sleep(_POLL_SECONDS)
            else:
                return True
        return False

    def begin(self) -> None:
        """Open a transaction."""
        self._failure = None
        self.offsets = {}
        self.sizes = {}
        client = client_library()
        if client is None or not client.begin(self._producer):
            with self._translating("begin_transaction"):
                self._producer.begin_transaction()

    def produce(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Iterable[Header] = ()
    ) -> None:
        """Add one record, with headers where it has any, whose offset is noted."""
        deadline = time.monotonic() + QUEUE_TIMEOUT_SECONDS
        while True:
            with contextlib.suppress(BufferError), self._translating(f"produce to {topic}"):
                self._producer.produce(
                    topic, value=value, key=key, partition=partition, headers=list(headers), on_delivery=self._delivered
                )
                break
            self._wait_for_room(deadline)
        self._count(topic, 1, len(key or b"") + len(value or b""))

    def produce_batch(self, topic: str, records: Iterable[tuple[bytes | None, bytes | None, int]]) -> None:
        """Add many records of one topic, each a key, a value and a partition; their offsets are not noted.

        The client takes a record by position in half the time that it takes one of a batch of dictionaries. A report
        on each would cost as much again, and the interpreter's lock each time, which others hold meanwhile: whether
        all of them were taken, the commit tells.
        """
        produce = self._producer.produce
        number = size_bytes = 0
        for key, value, partition in records:
            try:
                produce(topic, value, key, partition)
            except (BufferError, KafkaException, SystemError):
                # The general way waits for room, and says what else is wrong.
                self.produce(topic, partition, key, value)
                continue
            number += 1
            size_bytes += len(key or b"") + len(value or b"")
        self._count(topic, number, size_bytes)

    def produce_packed(self, topic: str, packed: Packed, *, partitions: int = 0, partition: int = 0) -> bool:
        """Add all of them, a batch at a time; False where that can't be, and nothing is added.

        Each goes to the partition of its key among `partitions`, or all to `partition`. A batch is acknowledged before
        the next one is added: the client has one of a partition under way, and while another waits it does not sleep.

        It can't be where they might not fit into the client's queue: that one takes some of them then, and not others.
        Nor where the topic was not written yet: as long as the client does not know its partitions, it would have none
        of them in the transaction.

        Raises:
            DeliveryFailed: the client refused one of them.
        """
        client, number, size_bytes = client_library(), len(packed), packed.size_bytes
        waiting = sum(size for _, size in self.sizes.values())
        if client is None or topic not in self._written or waiting + size_bytes > _PACKED_SIZE_BYTES_MAX:
            return False
        if len(self._producer) + number > QUEUE_MESSAGES_MAX:
            return False

        def take(messages: int, counts: Sequence[int]) -> int:
            taken = 0
            for place, count in enumerate(counts):
                if place:
                    self.flush()
                taken += client.produce(self._producer, topic, messages, count)
                messages += count * MESSAGE_SIZE_BYTES
            return taken

        taken = packed.handed_over(Destination(partitions, partition, BATCH_SIZE_BYTES_MAX), take)
        if taken is None:
            return False
        if taken < number:
            raise DeliveryFailed(f"{self._id}: {number - taken} records for {topic} were refused by the client")
        self._count(topic, number, size_bytes)
        return True

    def flush(self) -> None:
        """Wait until every record of the transaction is acknowledged or refused.

        Raises:
            DeliveryFailed: one has no answer in time, or was refused; what has no report of its own, `commit` tells of.
        """
        deadline = time.monotonic() + FLUSH_TIMEOUT_SECONDS
        while waiting := len(self._producer):
            if (left_s := deadline - time.monotonic()) <= 0:
                break
            with self._translating("flush"):
                self._producer.flush(left_s)
        if self._fenced:
            # There is nothing left to abort, and asking for it could disturb a successor that has just begun.
            raise self._outdone("flush")
        if waiting or self._failure is not None:
            self._abort()
            reason = self._failure or f"{waiting} records have no answer in {FLUSH_TIMEOUT_SECONDS:.0f} s"
            raise DeliveryFailed(f"{self._id}: {reason}")

    def commit(self) -> None:
        """Make the transaction visible, once every record of it is acknowledged.

        Raises:
            Fenced: another process has the transactional id now.
            DeliveryFailed: a record was refused, or the broker did not answer in time; nothing is visible.
        """
        self.flush()
        deadline = time.monotonic() + COMMIT_TIMEOUT_SECONDS
        while True:
            try:
                self._producer.commit_transaction(max(0.1, deadline - time.monotonic()))
                self._written.update(self.sizes)
                break
            except KafkaException as error:
                # librdkafka says itself whether the very same call may be made again.
                if not error.args[0].retriable() or time.monotonic() > deadline:
                    if error.args[0].txn_requires_abort() and error.args[0].code() not in _FENCED:
                        self._abort()
                    raise self._translated(error, "commit_transaction") from error

    def close(self) -> None:
        """Drop what is queued; a transaction left open is aborted by the next owner, or by the broker in time."""
        # The client may tell here of what ended it before, as of a successor that fenced it; nothing is left to fail.
        with contextlib.suppress(KafkaException):
            self._producer.purge()
            self._producer.poll(0)

    def _delivered(self, error: KafkaError | None, message: Any) -> None:
        if error is not None:
            self._failure = self._failure or f"{message.topic()}/{message.partition()}: {error.str()}"
            self._fenced |= error.code() in _FENCED
            return
        partition = (message.topic(), message.partition())
        offset = message.offset()
        if offset > self.offsets.get(partition, -1):
            self.offsets[partition] = offset

    def _wait_for_room(self, deadline: float) -> None:
        if time.monotonic() > deadline:
            raise DeliveryFailed(f"{self._id}: the producer's queue stayed full for {QUEUE_TIMEOUT_SECONDS:.0f} s")
        with self._translating("poll"):
            self._producer.poll(_POLL_SECONDS)

    def _count(self, topic: str, records: int, size_bytes: int) -> None:
        old_records, old_size_bytes = self.sizes.get(topic, (0, 0))
        self.sizes[topic] = (old_records + records, old_size_bytes + size_bytes)

    def _abort(self) -> None:
        try:
            self._producer.abort_transaction(ABORT_TIMEOUT_SECONDS)
        except KafkaException as error:
            # What refused the records may be a successor.
            if error.args[0].code() in _FENCED:
                raise self._translated(error, "abort_transaction") from error

    @contextlib.contextmanager
    def _translating(self, what: str) -> Iterator[None]:
        """Tell what the client raises as errors of ours."""
        try:
            with client_errors():
                yield
        except KafkaException as error:
            raise self._translated(error, what) from error
        except SystemError as error:
            # The client lost the error that it meant to raise; what it says next tells whether that was a successor.
            self._abort()
            raise DeliveryFailed(f"{what} ({self._id}): {self._failure or error}") from error

    def _translated(self, error: KafkaException, what: str) -> GoldenthreadError:
        cause = error.args[0]
        if cause.code() in _FENCED:
            return self._outdone(what)
        require_rights(cause, f"{what} ({self._id})")
        return DeliveryFailed(f"{what} ({self._id}): {self._failure or cause.str()}")

    def _outdone(self, what: str) -> Fenced:
        """The broker fences by one and the same error who was too slow and who has a successor."""
        seconds = TRANSACTION_TIMEOUT_MS // 1000
        return Fenced(f"{what}: another worker has {self._id} now, or the transaction outlasted its {seconds} s")
