"""Rows over rows: what is written covers what is below, which stays as it is."""

import heapq
from bisect import bisect_left
from collections.abc import Iterator, Mapping
from operator import itemgetter
from typing import Final, Protocol

from state.engine import Rows

# The first byte of what covers a row: it holds a value, or takes the row away.
_VALUE: Final = b"+"
_GONE: Final = b"-"


class WritableRows(Rows, Protocol):
    """Rows that can be written to, in memory or on disk."""

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Commit the changed rows; None deletes."""


class SortedRows:
    """Rows in memory, with their keys in order: scans are quick, and writes of many rows at a time are."""

    def __init__(self) -> None:
        self._rows: dict[bytes, bytes] = {}
        self._keys: list[bytes] = []

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        return self._rows.get(key)

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        place = bisect_left(self._keys, start or prefix)
        while place < len(self._keys) and (key := self._keys[place]).startswith(prefix):
            yield key, self._rows[key]
            place += 1

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Commit the changed rows; None deletes."""
        gone = {key for key, value in changes.items() if value is None and self._rows.pop(key, None) is not None}
        if gone:
            self._keys = [key for key in self._keys if key not in gone]
        added = {key: value for key, value in changes.items() if value is not None}
        # Sorting what is nearly sorted is one pass.
        self._keys.extend(key for key in added if key not in self._rows)
        self._keys.sort()
        self._rows.update(added)


class OverlayRows:
    """Rows that are read through what was written onto those below.

    Args:
        below: what is covered, and never written to.
        above: where writes go: empty at first, and nobody else's. It holds rows in a form of its own.
    """

    def __init__(self, below: Rows, above: WritableRows) -> None:
        self.below = below
        self._above = above

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        covering = self._above.get(key)
        return self.below.get(key) if covering is None else _uncovered(covering)

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        covering = ((key, 0, value) for key, value in self._above.scan(prefix, start))
        covered = ((key, 1, value) for key, value in self.below.scan(prefix, start))
        last = None
        # Of two rows of one key the covering one comes first.
        for key, layer, value in heapq.merge(covering, covered, key=itemgetter(0, 1)):
            if key == last:
                continue
            last = key
            uncovered = value if layer else _uncovered(value)
            if uncovered is not None:
                yield key, uncovered

    def write(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Cover rows; None covers one with its absence."""
        self._above.write({key: _GONE if value is None else _VALUE + value for key, value in changes.items()})

    def written(self, prefix: bytes) -> Iterator[tuple[bytes, bytes | None]]:
        """What was written to keys with the prefix, in their order; None for what was taken away."""
        return ((key, _uncovered(value)) for key, value in self._above.scan(prefix))


def _uncovered(covering: bytes) -> bytes | None:
    return None if covering[:1] == _GONE else covering[1:]
