"""Rows of the last checkpoints that lie in memory, on top of a store that gets them together.

A customer who is active changes with every checkpoint, five times a second: most of these writes would be for nothing,
and a write to the store keeps everybody else waiting for the interpreter's lock. Nothing is lost by it: the store has
no log of its own, so a crash takes what it holds in memory either way, and what it lacks is restored from the
changelog, by the position that is written together with the rows.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from schemas.topics import Partition
from state.store import Store, StoredPosition

#: Rows are held for no longer than this while checkpoints come; those of a crash are restored.
HELD_SECONDS: Final = 5.0
#: What the rows of one partition may take: seconds' worth of a busy one.
HELD_SIZE_BYTES_MAX: Final = 4 * 1024 * 1024
# What a row takes in memory beside its value, as measured: its key, its place in the mapping.
_ROW_BYTES: Final = 250
# In place of a row that is not held.
_NOT_HELD: Final[Any] = object()


class HeldRows:
    """The rows of a store as of the last checkpoint. Its methods belong to one thread at a time, but for `flush`."""

    def __init__(
        self,
        store: Store,
        *,
        seconds: float = HELD_SECONDS,
        size_bytes_max: int = HELD_SIZE_BYTES_MAX,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._store = store
        self._seconds = seconds
        self._size_bytes_max = size_bytes_max
        self._clock = clock
        self._rows: dict[bytes, bytes | None] = {}
        self._positions: dict[Partition, StoredPosition | None] = {}
        self._size_bytes = 0
        self._written_s = clock()
        # Whoever copies the store is another thread.
        self._writing = threading.RLock()
        store.held_by(self.flush)

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        held = self._rows.get(key, _NOT_HELD)
        return self._store.get(key) if held is _NOT_HELD else held

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The rows in the order of the keys, None where there is none."""
        rows = self._rows
        if not rows:
            return self._store.get_many(keys)
        found = [rows.get(key, _NOT_HELD) for key in keys]
        missing = [place for place, row in enumerate(found) if row is _NOT_HELD]
        for place, row in zip(missing, self._store.get_many([keys[place] for place in missing]), strict=True):
            found[place] = row
        return found

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        # The store has the order; rows that are held have none.
        self.flush()
        return self._store.scan(prefix, start)

    def write(
        self, changes: Mapping[bytes, bytes | None], positions: Mapping[Partition, StoredPosition | None]
    ) -> None:
        """Take in rows and positions (None deletes), all or nothing; what is due is written to the store."""
        self._store.require_sound()
        with self._writing:
            self._take_in(changes, positions)
            is_over = self._size_bytes > self._size_bytes_max
            if is_over or self._clock() - self._written_s >= self._seconds:
                self.flush()

    def _take_in(
        self, changes: Mapping[bytes, bytes | None], positions: Mapping[Partition, StoredPosition | None]
    ) -> None:
        before = len(self._rows)
        replaced = filter(None, map(self._rows.get, changes))
        self._size_bytes += sum(map(len, filter(None, changes.values()))) - sum(map(len, replaced))
        self._rows.update(changes)
        self._positions.update(positions)
        self._size_bytes += (len(self._rows) - before) * _ROW_BYTES

    def flush(self) -> None:
        """Write what is held to the store."""
        with self._writing:
            if self._rows or self._positions:
                # Rows are found here until the store has them.
                self._store.write(self._rows, self._positions)
                self._rows, self._positions, self._size_bytes = {}, {}, 0
            self._written_s = self._clock()
