"""Very many rows into a store that nobody reads meanwhile, as a restore has them: by whole tables, where that can be.

With the compiled library (`state.native`) rows are gathered as bytes, and written as tables of RocksDB's by a thread
that holds no lock of Python's; the store takes each in as it is, with nothing to copy, to sort or to flush. Without it
rows go through the store's memory. Either way rows and the positions that they were read up to come together, all or
nothing, so that a kill at any moment leaves a store to go on from.
"""

import shutil
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import msgspec

from schemas.topics import Partition
from state.native.loading import Library
from state.store import Store, StoredPosition, position_rows
from state.store_folder import failure_of

# So many tables are written at once: while one waits for the disk, the next is sorted.
_WRITERS: Final = 2
#: Of one table. A restore holds one more than are written, the one that is gathered. With smaller ones whoever gathers
#: waits for the disk more often, and there are more files to look into until they are merged.
TABLE_SIZE_BYTES: Final = 24 * 1024 * 1024
# In the store's folder, where a move needs no copy; gone with the filling, and a kill leaves it to the next one.
_FOLDER: Final = "filling"


# How a batch of rows is handed to the library: keys, and the value of each, None where it is deleted.
_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(tuple[list[bytes], list[bytes | None]])


class _Table(NamedTuple):
    """Rows that become one table, and its file; none where the library refused."""

    batches: list[bytearray]
    written: "Future[Path | None]"


class StoreFilling:
    """Fills one store; belongs to one thread. To be finished, or not, and then to be closed.

    Args:
        store: Opened to be filled.
        library: What writes tables; None where rows are to go through the store's memory.

    Raises:
        GoldenthreadError: there is no place for tables.
    """

    def __init__(self, store: Store, library: Library | None) -> None:
        self._store = store
        self._library = library
        self._folder = store.path / _FOLDER
        self._threads = ThreadPoolExecutor(max_workers=_WRITERS, thread_name_prefix="store-filling")
        self._batches: list[bytearray] = []
        # Those of the tables before, to be written over: memory that is new costs as much as the copying into it.
        self._free: list[bytearray] = []
        self._positions: Mapping[Partition, StoredPosition] = {}
        self._size_bytes = 0
        self._tables = 0
        self._writing: deque[_Table] = deque()
        if library is not None:
            store.put_off_merges(True)
            shutil.rmtree(self._folder, ignore_errors=True)
            try:
                self._folder.mkdir()
            except OSError as error:
                raise failure_of(store.path, error) from error

    def close(self) -> None:
        """Wait for the tables that are being written, and remove what the store did not take in."""
        self._threads.shutdown()
        shutil.rmtree(self._folder, ignore_errors=True)

    def add(
        self,
        keys: Sequence[bytes],
        values: Sequence[bytes | None],
        positions: Mapping[Partition, StoredPosition],
    ) -> None:
        """Rows in the order of their coming (None deletes), and how far the store is with them.

        Raises:
            GoldenthreadError: as `Store.write`.
        """
        if self._library is None:
            self._store.write(dict(zip(keys, values, strict=True)), positions)
            return
        self._gather(keys, values)
        self._positions = positions
        if self._size_bytes >= TABLE_SIZE_BYTES:
            self._turn(self._library)

    def finish(self) -> None:
        """Have all in the store.

        Raises:
            GoldenthreadError: as `Store.write`.
        """
        if self._library is None:
            return
        if self._batches:
            self._turn(self._library)
        while self._writing:
            self._take_in()
        self._store.put_off_merges(False)

    def _gather(self, keys: Sequence[bytes], values: Sequence[bytes | None]) -> None:
        batch = self._free.pop() if self._free else bytearray()
        _ENCODER.encode_into((keys, values), batch, 0)
        self._batches.append(batch)
        self._size_bytes += len(batch)

    def _turn(self, library: Library) -> None:
        """Begin to write what is gathered; the store takes tables in in their order, so rows keep theirs."""
        if len(self._writing) == _WRITERS:
            self._take_in()
        positions = position_rows(self._positions)
        self._gather(list(positions), list(positions.values()))
        self._tables += 1
        path = self._folder / f"{self._tables}.table"
        self._writing.append(_Table(self._batches, self._threads.submit(_write, library, path, self._batches)))
        self._batches, self._size_bytes = [], 0

    def _take_in(self) -> None:
        """Have the first of the tables in the store, and what is written behind it: together they cost less."""
        tables: list[Path] = []
        while self._writing and (not tables or self._writing[0].written.done()):
            batches, written = self._writing.popleft()
            try:
                path = written.result()
            except OSError as error:
                raise failure_of(self._store.path, error) from error
            if path is None:
                self._store.take_in(tables)
                tables = []
                self._write_rows(batches)
            else:
                tables.append(path)
            self._free += batches
        self._store.take_in(tables)

    def _write_rows(self, batches: list[bytearray]) -> None:
        """What the library refused goes through the store's memory, position and all."""
        rows: dict[bytes, bytes | None] = {}
        for batch in batches:
            rows.update(zip(*_DECODER.decode(batch), strict=True))
        self._store.write(rows, {})


def _write(library: Library, path: Path, batches: list[bytearray]) -> Path | None:
    return path if library.write_table(path, batches) else None
