"""How every Kafka client of ours is made: one place for addresses, security and the settings that correctness needs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from streams.kafka_security import KafkaSecurity

# A dead worker's open transaction holds back committed readers for this long at the most (plus the broker's scan).
TRANSACTION_TIMEOUT_MS: Final = 10_000
# How long a record may wait for its acknowledgement before the delivery counts as failed.
DELIVERY_TIMEOUT_MS: Final = 30_000
# Bounds of a producer's queue; past them `produce` waits.
QUEUE_MESSAGES_MAX: Final = 200_000
QUEUE_SIZE_KIB_MAX: Final = 64 * 1024
# Of one partition in one answer to a fetch, as it is compressed; a larger record batch comes all the same.
PARTITION_FETCH_SIZE_BYTES_MAX: Final = 1024 * 1024
# One answer to a fetch of our readers, as it is compressed, and what they hold of answers that nobody has taken yet.
FETCH_SIZE_BYTES_MAX: Final = 8 * 1024 * 1024
READER_QUEUE_SIZE_KIB_MAX: Final = 32 * 1024
# What belongs to a checkpoint goes out when that is flushed, or when a batch is full. While it is handed over, which
# takes milliseconds, a short linger would send it in pieces, each of which costs the broker a request.
TRANSACTION_LINGER_MS: Final = 50
# How soon a reader whose queue was full fetches again.
READER_QUEUE_BACKOFF_MS: Final = 5
# One record batch.
BATCH_SIZE_BYTES_MAX: Final = 1024 * 1024
# The largest record that any topic of ours takes: an event with its attributes, a large context.
MESSAGE_SIZE_BYTES_MAX: Final = 1024 * 1024
#: The group that readers without a position of their own name: nothing is committed under it.
READER_GROUP: Final = "goldenthread-reader"


@dataclass(frozen=True)
class KafkaOptions:
    """Where the brokers are and how to log in.

    Attributes:
        bootstrap_servers: host:port, separated by commas.
        client_id: What the brokers call this client in their logs and quotas.
        security: How to log in; the same for every client, librdkafka's or Faust's.
        properties: Properties of librdkafka that replace ours.
    """

    bootstrap_servers: str
    client_id: str = "goldenthread"
    security: KafkaSecurity = field(default_factory=KafkaSecurity)
    properties: Mapping[str, str] = field(default_factory=dict)

    def _common(self) -> dict[str, Any]:
        return {
            "bootstrap.servers": self.bootstrap_servers,
            "client.id": self.client_id,
            # Absences of the broker are reported by our own waits, once, in words.
            "log_level": 2,
            "topic.metadata.refresh.interval.ms": 60_000,
            "reconnect.backoff.max.ms": 2_000,
            **self.security.properties(),
            **self.properties,
        }

    def admin(self) -> dict[str, Any]:
        """For an AdminClient."""
        return self._common()

    def reader(
        self, *, group_id: str = READER_GROUP, committed_only: bool = True, answer_size_bytes_min: int = 1
    ) -> dict[str, Any]:
        """For a consumer that assigns partitions to itself and commits nothing.

        The broker waits for `answer_size_bytes_min` before it answers a fetch, but no longer than for an end.
        """
        return self._common() | {
            "group.id": group_id,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "enable.partition.eof": True,
            # A follower that jumped to the end would call itself ready: a missing offset is an error instead.
            "auto.offset.reset": "error",
            "isolation.level": "read_committed" if committed_only else "read_uncommitted",
            # Partition EOF comes after this wait, and restores end with it.
            "fetch.wait.max.ms": 25,
            "fetch.min.bytes": answer_size_bytes_min,
            "fetch.message.max.bytes": PARTITION_FETCH_SIZE_BYTES_MAX,
            "fetch.max.bytes": FETCH_SIZE_BYTES_MAX,
            "queued.max.messages.kbytes": READER_QUEUE_SIZE_KIB_MAX,
            # With a full queue librdkafka would look again after a second, and a reader wait for most of it.
            "fetch.queue.backoff.ms": READER_QUEUE_BACKOFF_MS,
            "allow.auto.create.topics": False,
        }

    def producer(self, *, linger_ms: int = 5) -> dict[str, Any]:
        """For an idempotent producer: nothing lost, nothing doubled, order kept per partition."""
        return self._common() | {
            "enable.idempotence": True,
            "acks": "all",
            "compression.type": "lz4",
            "linger.ms": linger_ms,
            "batch.size": BATCH_SIZE_BYTES_MAX,
            "message.max.bytes": MESSAGE_SIZE_BYTES_MAX,
            "delivery.timeout.ms": DELIVERY_TIMEOUT_MS,
            "queue.buffering.max.messages": QUEUE_MESSAGES_MAX,
            "queue.buffering.max.kbytes": QUEUE_SIZE_KIB_MAX,
        }

    def transactional_producer(self, transactional_id: str) -> dict[str, Any]:
        """For the one producer that may write a partition's checkpoints; a newer one fences it."""
        return self.producer(linger_ms=TRANSACTION_LINGER_MS) | {
            "transactional.id": transactional_id,
            "transaction.timeout.ms": TRANSACTION_TIMEOUT_MS,
            # librdkafka wants a delivery to end within its transaction.
            "delivery.timeout.ms": TRANSACTION_TIMEOUT_MS,
        }
