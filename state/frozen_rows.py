"""The rows of a store as they were at one moment, for readers that take longer than the next write."""

from collections.abc import Callable, Iterator
from typing import Final

from rocksdict import RdictIter

from schemas.errors import StoreFailed

# Rows that a scan reads at once, at first and at the most.
_READ_AHEAD_MIN: Final = 8
_READ_AHEAD_MAX: Final = 512


class FrozenRows:
    """Rows of a store as they were when its iterator was made, which keeps them. For one thread at a time."""

    def __init__(self, iterator: RdictIter, failed: Callable[[Exception], Exception]) -> None:
        self._iterator: RdictIter | None = iterator
        self._failed = failed

    def close(self) -> None:
        """Let go of the rows."""
        self._iterator = None

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        found = self._read(key, 1)
        return found[0][1] if found and found[0][0] == key else None

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        key, size = start or prefix, _READ_AHEAD_MIN
        # All scans share the one iterator, so each reads some rows ahead: few at first, since most want no more.
        while rows := self._read(key, size):
            for found, value in rows:
                if not found.startswith(prefix):
                    return
                yield found, value
            if len(rows) < size:
                return
            key, size = rows[-1][0] + b"\0", min(2 * size, _READ_AHEAD_MAX)

    def _read(self, start: bytes, size: int) -> list[tuple[bytes, bytes]]:
        rows: list[tuple[bytes, bytes]] = []
        iterator = self._iterator
        if iterator is None:
            raise StoreFailed("frozen rows were let go already")
        try:
            iterator.seek(start)
            while iterator.valid() and len(rows) < size:
                rows.append((iterator.key(), iterator.value()))
                if len(rows) < size:
                    iterator.next()
            iterator.status()
        except Exception as error:
            raise self._failed(error) from error
        return rows
