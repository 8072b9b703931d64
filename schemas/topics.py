"""The topic catalogue: every topic, its keys, its settings, the reserved keys and the one partitioner."""

import zlib
from collections.abc import Iterable
from enum import StrEnum
from typing import Final

import msgspec

DEFAULT_PREFIX: Final = "gt."
DEFAULT_PARTITIONS: Final = 4
DEFAULT_CHANNELS: Final = (
    "voice",
    "store",
    "web",
    "chat",
    "email",
    "sms",
    "social",
    "app",
    "iot",
    "crm",
    "billing",
    "service",
)
RAW: Final = "raw."
# Raw and routed records are kept for a week: long enough for a long weekend's outage.
EVENT_RETENTION_MS: Final = 7 * 86_400_000
INTERACTIONS_RETENTION_MS: Final = 400 * 86_400_000
DEAD_RETENTION_MS: Final = 90 * 86_400_000
# As long as letters: what is noted of one is younger than it, and outlives it.
RETRIES_RETENTION_MS: Final = DEAD_RETENTION_MS
# A follower older than half of this rebuilds from the start, since tombstones may be gone.
TOMBSTONE_RETENTION_MS: Final = 7 * 86_400_000

#: What keys of changelogs start with that are no engine's: they sort before all others, and no identifier gives them.
RESERVED_KEY_PREFIX: Final = b"\x00"
# The position of each changelog partition.
POSITION_KEY: Final = RESERVED_KEY_PREFIX + b"position"

#: A topic by its full name, and the number of one of its partitions.
Partition = tuple[str, int]


class Topic(StrEnum):
    """Names of the topics without their prefix; raw topics are `raw.<channel>`."""

    ROUTED = "routed"
    EVIDENCE = "identity.evidence"
    LINKS = "identity.links"
    IDENTITY_CHANGES = "identity.changes"
    STATE = "context.state"
    CONTEXT = "context"
    INTERACTIONS = "interactions"
    CONTEXT_CHANGES = "context.changes"
    DEAD = "dead"
    RETRIES = "dead.retries"


PUBLIC_TOPICS: Final = (Topic.CONTEXT, Topic.INTERACTIONS, Topic.CONTEXT_CHANGES, Topic.IDENTITY_CHANGES)


class DeadHeader(StrEnum):
    """Headers of a dead letter; the other headers of the original record follow them unchanged."""

    CODE = "gt-code"
    MESSAGE = "gt-message"
    POINTER = "gt-pointer"
    STAGE = "gt-stage"
    TOPIC = "gt-topic"
    PARTITION = "gt-partition"
    OFFSET = "gt-offset"
    TIMESTAMP = "gt-timestamp-ms"
    #: The size of the original value in bytes, where not all of it fits.
    CUT_FROM = "gt-cut-from-bytes"
    #: How many headers the original had, where they are too many or too large to be kept.
    HEADERS_DROPPED = "gt-headers-dropped"


#: What a header takes in a record besides its name and content, at most: two lengths, and a client's own rounding up.
HEADER_FRAMING_SIZE_BYTES: Final = 16


#: A header of a Kafka record; as it is read, it may have no content.
Header = tuple[str, bytes]


def headers_size_bytes(headers: Iterable[tuple[str, bytes | None]]) -> int:
    """What the headers take in a record; an empty one is not for nothing."""
    return sum(len(name.encode()) + len(content or b"") + HEADER_FRAMING_SIZE_BYTES for name, content in headers)


#: The topic's own name for how many replicas must have a record.
MIN_INSYNC_CONFIG: Final = "min.insync.replicas"
#: Header that names the registered source of a raw record that is no CloudEvent, so that its mapping is found.
SOURCE_HEADER: Final = "gt-source"
#: Header of a raw record that a mapping has picked out of a larger one, so that nothing is picked out of it again.
PICKED_HEADER: Final = "gt-picked"
#: Header that holds, as JSON, what its mapping reads of the HTTP request that brought a record.
REQUEST_HEADER: Final = "gt-request"
#: Header of a raw record that is a dead letter sent again: the letter's offset. A letter that it ends in has it too.
RETRY_OF_HEADER: Final = "gt-retry-of"
#: Header of a raw record that is sent again: when the original came, in milliseconds since 1970. A mapping that takes
#: an event's time from its arrival gives the same one each time, by which copies are known.
RECEIVED_HEADER: Final = "gt-received-ms"
#: Header of a letter of the Segment API, as JSON: the call, and what its batch says of all its messages.
SEGMENT_HEADER: Final = "gt-segment"
#: Header of a letter of an import, as JSON: how the row is to be read, and the channel that was given.
IMPORT_HEADER: Final = "gt-import"


def min_insync_replicas(replication: int) -> int:
    """How many replicas must have a record before it counts as written: with three, one may fail and one be behind."""
    return 2 if replication >= 3 else 1


class TopicSpec(msgspec.Struct, frozen=True):
    """How a topic is made and what is verified of it at every start."""

    name: str
    partitions: int
    compact: bool
    log_append_time: bool = False
    retention_ms: int | None = None

    def config(self, replication: int = 1) -> dict[str, str]:
        """Topic-level configuration for its creation with so many replicas."""
        config = {
            "cleanup.policy": "compact" if self.compact else "delete",
            "message.timestamp.type": "LogAppendTime" if self.log_append_time else "CreateTime",
        }
        if self.compact:
            config["delete.retention.ms"] = str(TOMBSTONE_RETENTION_MS)
        if self.retention_ms is not None:
            config["retention.ms"] = str(self.retention_ms)
        if (insync := min_insync_replicas(replication)) > 1:
            config[MIN_INSYNC_CONFIG] = str(insync)
        return config


class Catalogue(msgspec.Struct, frozen=True):
    """All topics of one installation."""

    prefix: str = DEFAULT_PREFIX
    partitions: int = DEFAULT_PARTITIONS
    channels: tuple[str, ...] = DEFAULT_CHANNELS

    def name(self, topic: str) -> str:
        """The full name of a topic."""
        return self.prefix + topic

    def raw(self, channel: str) -> str:
        """The full name of a channel's raw topic."""
        return self.prefix + RAW + channel

    def raw_topics(self) -> tuple[str, ...]:
        """Full names of all raw topics."""
        return tuple(self.raw(channel) for channel in self.channels)

    def channel_of(self, full_name: str) -> str:
        """The channel of a raw topic's full name."""
        return full_name.removeprefix(self.prefix + RAW)

    def partitions_of(self, topic: str) -> int:
        """How many partitions the topic (without prefix) has."""
        return 1 if topic in (Topic.EVIDENCE, Topic.LINKS, Topic.DEAD, Topic.RETRIES) else self.partitions

    def read_by_workers(self) -> dict[str, int]:
        """Full names of the topics that the workers' group reads, with their numbers of partitions."""
        raws = dict.fromkeys(self.raw_topics(), self.partitions)
        return raws | {self.name(topic): self.partitions_of(topic) for topic in (Topic.ROUTED, Topic.EVIDENCE)}

    def specs(self) -> tuple[TopicSpec, ...]:
        """Every topic as it has to be."""
        raws = tuple(
            TopicSpec(name, self.partitions, compact=False, log_append_time=True, retention_ms=EVENT_RETENTION_MS)
            for name in self.raw_topics()
        )
        retentions: dict[Topic, int | None] = {
            Topic.ROUTED: EVENT_RETENTION_MS,
            Topic.EVIDENCE: EVENT_RETENTION_MS,
            Topic.LINKS: None,
            Topic.IDENTITY_CHANGES: INTERACTIONS_RETENTION_MS,
            Topic.STATE: None,
            Topic.CONTEXT: None,
            Topic.INTERACTIONS: INTERACTIONS_RETENTION_MS,
            Topic.CONTEXT_CHANGES: INTERACTIONS_RETENTION_MS,
            Topic.DEAD: DEAD_RETENTION_MS,
            Topic.RETRIES: RETRIES_RETENTION_MS,
        }
        return raws + tuple(
            TopicSpec(
                self.name(topic),
                self.partitions_of(topic),
                compact=retention_ms is None,
                # Freshness compares ages of waiting records, so the broker's clock stamps what waits.
                log_append_time=topic in (Topic.ROUTED, Topic.EVIDENCE),
                retention_ms=retention_ms,
            )
            for topic, retention_ms in retentions.items()
        )


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of a key: CRC-32, as librdkafka's `consistent` partitioner has it. All our producers use this."""
    return zlib.crc32(key) % partitions
