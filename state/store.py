"""Rows on disk: one RocksDB folder, written by whole checkpoints only.

There is no write-ahead log: after a crash the folder is at an earlier checkpoint, rows and positions together, and the
changelog has the rest. Positions are rows of the same write batch, so the store is never ahead of what it read.
"""

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from rocksdict import (
    AccessType,
    BlockBasedOptions,
    Cache,
    DbClosedError,
    DBCompressionType,
    Options,
    Rdict,
    WriteBatch,
    WriteOptions,
)

from schemas.errors import StateError
from state.store_statistics import StoreStatistics

FORMAT_VERSION: Final = 1
# Reserved keys start with a byte that no row of ours starts with.
_POSITION_PREFIX: Final = b"\xff\x00position/"
_META_KEY: Final = b"\xff\x00meta"
_RESERVED: Final = b"\xff"
CACHE_SIZE_BYTES: Final = 128 * 1024 * 1024
WRITE_BUFFER_SIZE_BYTES: Final = 32 * 1024 * 1024
# Ten bits a key give one false positive in a hundred; most look-ups of new customers are misses.
_BLOOM_BITS_PER_KEY: Final = 10
_OPEN_FILES_MAX: Final = 256
# RocksDB's own diary, of which two files are kept.
_LOG_SIZE_BYTES_MAX: Final = 1024 * 1024


class StoredPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition is in the store: the next offset to read, of which topic, and when the end was last seen."""

    topic_id: str
    next_offset: int
    caught_up_ms: int = 0


class StoreMeta(msgspec.Struct, frozen=True, array_like=True):
    """What wrote the folder."""

    format_version: int
    secret_fingerprint: str


def shared_cache(size_bytes: int = CACHE_SIZE_BYTES) -> Cache:
    """One block cache for all stores of a process, so that its memory has one bound."""
    return Cache(size_bytes)


def _options(cache: Cache) -> Options:
    table = BlockBasedOptions()
    table.set_block_cache(cache)
    table.set_bloom_filter(_BLOOM_BITS_PER_KEY, block_based=False)
    table.set_cache_index_and_filter_blocks(True)
    table.set_pin_l0_filter_and_index_blocks_in_cache(True)
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_block_based_table_factory(table)
    options.set_write_buffer_size(WRITE_BUFFER_SIZE_BYTES)
    options.set_max_open_files(_OPEN_FILES_MAX)
    options.set_compression_type(DBCompressionType.lz4())
    options.set_keep_log_file_num(2)
    options.set_max_log_file_size(_LOG_SIZE_BYTES_MAX)
    options.set_stats_dump_period_sec(0)
    return options


class Store:
    """Committed rows and positions of one folder."""

    def __init__(self, database: Rdict, path: Path) -> None:
        self._database = database
        self.path = path
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True

    @classmethod
    def open(cls, path: Path, *, secret_fingerprint: str, cache: Cache | None = None) -> "Store":
        """Open the folder, or make it.

        Raises:
            StateError: another process holds it, or a newer version or another secret wrote it.
        """
        path.mkdir(parents=True, exist_ok=True)
        try:
            database = Rdict(str(path), options=_options(cache or shared_cache()), access_type=AccessType.read_write())
        except Exception as error:
            raise StateError(
                f"the store {path} can't be opened ({error}): stop the other process that uses it, or delete the "
                "folder to restore it from the changelog"
            ) from error
        store = cls(database, path)
        store._verify(secret_fingerprint)
        return store

    @staticmethod
    def destroy(path: Path) -> None:
        """Remove the folder; its content comes back from the changelog."""
        shutil.rmtree(path, ignore_errors=True)

    def _verify(self, secret_fingerprint: str) -> None:
        encoded = self._database.get(_META_KEY)
        if encoded is None:
            meta = StoreMeta(FORMAT_VERSION, secret_fingerprint)
            self._database.put(_META_KEY, msgspec.msgpack.encode(meta), write_opt=self._write_options)
            return
        meta = msgspec.msgpack.decode(encoded, type=StoreMeta)
        problem = None
        if meta.format_version > FORMAT_VERSION:
            problem = f"has format {meta.format_version}, this version reads {FORMAT_VERSION}: upgrade"
        elif meta.secret_fingerprint != secret_fingerprint:
            problem = "was written with another GOLDENTHREAD_SECRET: start with that one"
        if problem is not None:
            self._database.close()
            raise StateError(f"the store {self.path} {problem}")

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise self._damaged(error) from error
        return value

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        for key, value in self._items(from_key=start or prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def scan_reverse(self, prefix: bytes, before: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, greatest key first; only those less than `before`, where given."""
        # No key continues with a byte above 0xff, so this is past every key of the prefix.
        ceiling = before if before is not None else prefix + b"\xff" * 8
        for key, value in self._items(backwards=True, from_key=ceiling):
            if before is not None and key >= before:
                continue
            if not key.startswith(prefix):
                return
            yield key, value

    def position(self, topic: str, partition: int) -> StoredPosition | None:
        """How far the store is in a partition, or None where it never read it."""
        encoded = self.get(self._position_key(topic, partition))
        return None if encoded is None else msgspec.msgpack.decode(encoded, type=StoredPosition)

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        positions: Mapping[tuple[str, int], StoredPosition],
    ) -> None:
        """Commit rows (None deletes) and positions, all or nothing."""
        batch = WriteBatch(raw_mode=True)
        for key, value in changes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        for (topic, partition), position in positions.items():
            batch.put(self._position_key(topic, partition), msgspec.msgpack.encode(position))
        try:
            self._database.write(batch, write_opt=self._write_options)
        except Exception as error:
            raise self._damaged(error) from error

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every row of ours, reserved ones left out."""
        for key, value in self._items():
            if key.startswith(_RESERVED):
                return
            yield key, value

    def statistics(self) -> StoreStatistics | None:
        """Figures for those who watch; None of a store that is closed, which may happen at any moment."""
        try:
            figure = self._figure
            disk = shutil.disk_usage(self.path)
            return StoreStatistics(
                keys=figure("estimate-num-keys"),
                size_bytes=figure("total-sst-files-size"),
                memtable_bytes=figure("size-all-mem-tables"),
                cache_bytes=figure("block-cache-usage"),
                cache_size_bytes=figure("block-cache-capacity"),
                compaction_pending_bytes=figure("estimate-pending-compaction-bytes"),
                compactions_running=figure("num-running-compactions"),
                write_stalled=figure("is-write-stopped") > 0 or figure("actual-delayed-write-rate") > 0,
                errors=figure("background-errors"),
                disk_size_bytes=disk.total,
                disk_available_bytes=disk.free,
            )
        except (DbClosedError, FileNotFoundError):
            return None

    def flush(self) -> None:
        """Put what is in memory on disk, so that the next start restores less."""
        self._database.flush()

    def close(self) -> None:
        """Flush and release the folder."""
        self._database.flush()
        self._database.close()

    def _figure(self, name: str) -> int:
        figure: int | None = self._database.property_int_value(f"rocksdb.{name}")
        return figure or 0

    def _items(self, **where: Any) -> Iterator[tuple[bytes, bytes]]:
        try:
            yield from self._database.items(**where)
        except Exception as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> StateError:
        """What RocksDB says of a disk that is full or of files that are not as it left them."""
        return StateError(
            f"the store {self.path} can't be read or written ({error}): look at the disk, then delete the folder to "
            "restore it from the changelog"
        )

    @staticmethod
    def _position_key(topic: str, partition: int) -> bytes:
        return _POSITION_PREFIX + f"{topic}/{partition}".encode()
