"""The smallest stateful stage that shows a loss or a repeat: it counts records per key, which is not idempotent.

A record's value is `<key>|<anything>`. Each gives one output of the same value, and adds one to the row of its key.
"""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from schemas.topics import Catalogue, Topic
from state.engine import Drained, Engine, Output, Rows, apply_each
from streams.bulk import read_all
from streams.kafka import KafkaOptions

ROW_PREFIX = b"k/"


class InputRecord(NamedTuple):
    """What a stage needs of a fetched record."""

    offset: int
    value: bytes | None
    key: bytes | None = None
    topic: str = "gt.routed"
    partition: int = 0
    timestamp: int = 0
    headers: tuple[tuple[str, bytes], ...] = ()


class CountingEngine:
    """Counts records by key."""

    def __init__(self, rows: Rows) -> None:
        self.counts: Counter[str] = Counter()
        self.offsets: list[int] = []
        self.settlements = 0
        self._rows = rows
        self._changed: dict[bytes, int] = {}
        self._outputs: list[Output] = []

    def apply(self, value: bytes, offset: int) -> None:
        """Count one record."""
        key = value.split(b"|", 1)[0]
        count = self._changed.get(key)
        if count is None:
            count = int(self._rows.get(ROW_PREFIX + key) or b"0")
        self._changed[key] = count + 1
        self._outputs.append(Output(Topic.INTERACTIONS, key, value))
        self.offsets.append(offset)
        self.counts["applied"] += 1

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Count records."""
        apply_each(self, values, offsets)

    def drain(self) -> Drained:
        """Changed counts and the outputs."""
        outputs, self._outputs = self._outputs, []
        changed, self._changed = self._changed, {}
        return Drained(outputs, {ROW_PREFIX + key: b"%d" % count for key, count in changed.items()})

    def settled(self) -> None:
        """Count the call."""
        self.settlements += 1


def make_counting(rows: Rows, _partition: int, _era: int) -> Engine:
    """The engine factory."""
    return CountingEngine(rows)


def batch_of(offsets: Iterable[int], **fields: Any) -> list[InputRecord]:
    """Records with these offsets, of two keys in turn."""
    return [InputRecord(offset, b"key-%d|%d" % (offset % 2, offset), **fields) for offset in offsets]


def counted(kafka: KafkaOptions, catalogue: Catalogue) -> tuple[dict[bytes, int], Counter[bytes]]:
    """What a committed reader sees: counts by key as in the changelog, and how often each output is there."""
    # Outputs first: once they are complete, so are the counts, which are of the same transactions.
    outputs = Counter(
        record.value or b"" for record in read_all(kafka, catalogue.name(Topic.INTERACTIONS), catalogue.partitions)
    )
    counts: dict[bytes, int] = {}
    for record in read_all(kafka, catalogue.name(Topic.STATE), catalogue.partitions):
        if record.key is not None and record.key.startswith(ROW_PREFIX):
            assert record.value is not None
            counts[record.key.removeprefix(ROW_PREFIX)] = int(record.value)
    return counts, outputs
