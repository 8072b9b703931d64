"""A batch: records of one partition, as they travel from the fetch to whoever works on them."""

from collections.abc import Sequence
from functools import partial
from typing import Any, NamedTuple

from schemas.errors import RestartNeeded


class PlacedRecord(NamedTuple):
    """A record for whoever is not told the batch that it is of."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...]


# Every record comes by here, and this takes half the time of naming its fields.
_placed = partial(tuple.__new__, PlacedRecord)


class Batch(NamedTuple):
    """Records of one partition, in the order of their offsets, as fetched under a group generation.

    A record has an offset, a timestamp in milliseconds, a key, a value and headers, and says nothing of its place.
    """

    topic: str
    partition: int
    generation: int
    records: Sequence[Any]
    #: The offset that was fetched just before; None at a partition's first fetch.
    previous: int | None = None

    def columns(self, start: int) -> tuple[list[bytes], list[int]]:
        """Values, and offsets, of the records from the offset `start` on."""
        records = self.records
        if records[0].offset < start:
            records = [record for record in records if record.offset >= start]
        return [record.value or b"" for record in records], [record.offset for record in records]

    def part(self, start: int, end: int) -> "Batch":
        """Its records from one number to another, as a batch that follows nothing."""
        if end - start == len(self.records):
            return self
        return Batch(self.topic, self.partition, self.generation, self.records[start:end])

    def placed(self) -> list[PlacedRecord]:
        """The records, which say their place."""
        topic, partition = self.topic, self.partition
        return [
            _placed((topic, partition, each.offset, each.timestamp, each.key, each.value, tuple(each.headers)))
            for each in self.records
        ]

    def follow(self, next_offset: int | None) -> None:
        """Hold the batch against the offset that is expected next (None: nothing was taken in yet).

        Raises:
            RestartNeeded: a batch before this one was lost on the way; a restart fetches it again.
        """
        if self.previous is not None and (next_offset is None or self.previous >= next_offset):
            taken = "nothing" if next_offset is None else f"only what is below {next_offset}"
            where = f"{self.topic}/{self.partition}@{self.records[0].offset}"
            raise RestartNeeded(f"{where}: offset {self.previous} was fetched before it, but {taken} was taken in")
