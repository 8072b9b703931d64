"""What a stateful agent is made of: an engine that applies records of one partition and yields what to write.

The engine is pure but for reading rows, so the same code runs under Kafka, in property tests and in the ownership
simulation. The runner in `streams` gives it records in the order of their offsets and makes each `drain` one
transaction.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol


class Rows(Protocol):
    """Committed rows of one partition."""

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""


class StoredRows(Rows, Protocol):
    """Rows of a store, which are cheaper to get many at once."""

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The rows in the order of the keys, None where there is none."""


class Output(NamedTuple):
    """A record to produce. `topic` is a name of the catalogue without its prefix; the key chooses the partition."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes], ...] = ()


class Drained(NamedTuple):
    """All that one checkpoint writes: outputs, and the changed rows (None deletes)."""

    outputs: Sequence[Output]
    rows: dict[bytes, bytes | None]
    #: The rows as records of the changelog, where somebody has them at hand so; their topic has no name.
    changelog: Sequence[Output] | None = None


class Engine(Protocol):
    """One partition's state machine. It may have something to drain before its first record."""

    #: Events by what became of them (`applied`, `duplicate`, a dead code, ...); the agent exports and clears it.
    counts: Counter[str]

    def apply(self, value: bytes, offset: int) -> None:
        """Take in one record. Never raises for what a record holds: a bad one becomes a dead letter in the outputs."""

    def apply_many(self, values: Sequence[bytes], offsets: Sequence[int]) -> None:
        """Take in records with these values and offsets: as `apply` for each in turn, and faster where an engine can.

        Where it raises, it is unknown which of them were taken in.
        """

    def drain(self) -> Drained:
        """What changed since the last drain, for one transaction. Further records wait until `settled`."""

    def settled(self) -> None:
        """The drained rows are committed and can be read back from the rows; the cache may shrink to its bound."""


def apply_each(engine: Engine, values: Sequence[bytes], offsets: Sequence[int]) -> None:
    """`Engine.apply_many` of an engine that has no faster way."""
    apply = engine.apply
    for value, offset in zip(values, offsets, strict=True):
        apply(value, offset)


class MemoryRows:
    """Rows in a dictionary: the store's twin for tests and the simulation."""

    def __init__(self, rows: Mapping[bytes, bytes] | None = None) -> None:
        self.rows: dict[bytes, bytes] = dict(rows or {})

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        return self.rows.get(key)

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The rows in the order of the keys, None where there is none."""
        return [self.rows.get(key) for key in keys]

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        least = start or prefix
        yield from sorted((key, value) for key, value in self.rows.items() if key.startswith(prefix) and key >= least)

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Commit the changed rows."""
        for key, value in changes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
