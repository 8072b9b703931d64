"""Which partition a record goes to that names none."""

from collections.abc import Mapping
from typing import Protocol

from schemas.clock import Clock, SystemClock
from schemas.errors import TopicError
from schemas.times import MICROSECONDS_PER_MILLISECOND
from schemas.topics import Catalogue, partition_of


class Placement(Protocol):
    """A rule; one is shared by all records of a producer."""

    def partition(self, topic: str, key: bytes | None) -> int:
        """The partition of a record.

        Raises:
            TopicError: the topic is not in the catalogue.
        """


class ByKey:
    """Records of the same key are in one partition: what is said of one customer stays in order."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._partitions = _partitions(catalogue)

    def partition(self, topic: str, key: bytes | None) -> int:
        """See `Placement.partition`."""
        return partition_of(key or b"", _count(self._partitions, topic))


class InTurns:
    """Records of a topic go to one partition for a while, then to the next, whatever their keys.

    For records whose order means nothing. A request to the broker is of one partition, and so is what a reader takes
    in at once: spread by key, the few records that come within a linger would each be a request of their own.

    Args:
        catalogue: Names the topics, with their partition counts.
        turn_ms: How long a partition's turn is: some lingers, and longer than a reader waits for more.
        clock: Says whose turn it is.
    """

    def __init__(self, catalogue: Catalogue, turn_ms: int, clock: Clock | None = None) -> None:
        self._partitions = _partitions(catalogue)
        self._turn_us = max(1, turn_ms) * MICROSECONDS_PER_MILLISECOND
        self._clock = clock or SystemClock()

    def partition(self, topic: str, key: bytes | None) -> int:  # noqa: ARG002 - the protocol's signature.
        """See `Placement.partition`."""
        return self._clock.now_us() // self._turn_us % _count(self._partitions, topic)


def _partitions(catalogue: Catalogue) -> dict[str, int]:
    return {spec.name: spec.partitions for spec in catalogue.specs()}


def _count(partitions: Mapping[str, int], topic: str) -> int:
    count = partitions.get(topic)
    if count is None:
        raise TopicError(f"topic {topic} is not in the catalogue")
    return count
