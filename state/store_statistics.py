"""Figures of a store for those who watch it; a module of its own, since metrics need no RocksDB to name them."""

from typing import NamedTuple, Protocol


class StoreStatistics(NamedTuple):
    """What RocksDB says of a store and of the disk under it; keys and pending bytes are its estimates."""

    keys: int
    size_bytes: int
    memtable_bytes: int
    cache_bytes: int
    cache_size_bytes: int
    compaction_pending_bytes: int
    compactions_running: int
    write_stalled: bool
    #: Of RocksDB's own work, since the store was opened.
    errors: int
    disk_size_bytes: int
    disk_available_bytes: int


class MeasuredStore(Protocol):
    """What can be watched; `state.store.Store` is it."""

    def statistics(self) -> StoreStatistics | None:
        """The figures of now; None of a store that is closed, which may happen at any moment."""
