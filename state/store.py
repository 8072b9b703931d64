"""Rows on disk: one RocksDB folder, written by whole checkpoints only.

There is no write-ahead log: after a crash the folder is at an earlier checkpoint, rows and positions together, and the
changelog has the rest. Positions are rows of the same write batch, so the store is never ahead of what it read.

A folder that is damaged is told by `StoreUnusable`, when it is opened or when the damage is met; it is then marked, and
whoever opens it next makes it anew. No scan ends at a damaged block as if nothing came after it.
"""

import contextlib
import shutil
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec
from rocksdict import (
    AccessType,
    Checkpoint,
    DbClosedError,
    IngestExternalFileOptions,
    Rdict,
    RdictIter,
    WriteBatch,
    WriteOptions,
)

from schemas.errors import GoldenthreadError, StateError, StoreFailed, StoreUnusable
from schemas.topics import Partition
from state.frozen_rows import FrozenRows
from state.store_cache import StoreCache, shared_cache
from state.store_folder import RebuildReason, failure_of, mark_damaged, remove, require_whole
from state.store_options import FILLING_TRIGGERS, USING_TRIGGERS, filling_options, store_options
from state.store_statistics import StoreStatistics

FORMAT_VERSION: Final = 1
# Reserved keys start with a byte that no row of ours starts with.
_POSITION_PREFIX: Final = b"\xff\x00position/"
_META_KEY: Final = b"\xff\x00meta"
_RESERVED: Final = b"\xff"
# What the texts of RocksDB's errors begin with when files or disk are not as they should be.
_ABOUT_FILES: Final = ("Corruption", "IO error")


class StoredPosition(msgspec.Struct, frozen=True, array_like=True):
    """How far a partition is in the store: the next offset to read, of which topic, and when the end was last seen."""

    topic_id: str
    next_offset: int
    caught_up_ms: int = 0


class StoreMeta(msgspec.Struct, frozen=True, array_like=True):
    """What wrote the folder."""

    format_version: int
    secret_fingerprint: str


class Store:
    """Committed rows and positions of one folder."""

    def __init__(self, database: Rdict, path: Path, *, read_only: bool = False) -> None:
        self._database = database
        self._read_only = read_only
        self.path = path
        #: What ended the use of this store, once something has; every write raises it again.
        self.failure: GoldenthreadError | None = None
        # Whoever copies the store is another thread than the one that closes it.
        self._open = threading.Lock()
        # Writes what somebody holds back, where somebody does.
        self._write_held: Callable[[], None] | None = None
        self._write_options = WriteOptions()
        self._write_options.disable_wal = True

    @classmethod
    def open(
        cls, path: Path, *, secret_fingerprint: str, cache: StoreCache | None = None, filling: bool = False
    ) -> "Store":
        """Open the folder, or make it.

        Args:
            path: The folder.
            secret_fingerprint: Of the secret that wrote it.
            cache: Shared with other stores.
            filling: For very many writes and hardly a read; to be closed and opened anew after them.

        Raises:
            StoreUnusable: it is damaged, or an older version wrote it: to be set aside and made anew.
            StoreHeld: another process has it.
            DiskRefused: the disk is full.
            StateError: a newer version or another secret wrote it, or this user may not use it.
        """
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StateError(f"the store {path} can't be made ({error}): let this user write there") from error
        return cls._opened(path, secret_fingerprint, cache, read_only=False, filling=filling)

    @classmethod
    def open_to_read(cls, path: Path, *, secret_fingerprint: str, cache: StoreCache | None = None) -> "Store":
        """Open a folder that nobody writes to meanwhile, without changing anything in it.

        Raises:
            StoreUnusable, StateError: as `open`; a folder without a store is damaged.
        """
        return cls._opened(path, secret_fingerprint, cache, read_only=True)

    @classmethod
    def _opened(
        cls, path: Path, secret_fingerprint: str, cache: StoreCache | None, *, read_only: bool, filling: bool = False
    ) -> "Store":
        require_whole(path)
        access = AccessType.read_only(False) if read_only else AccessType.read_write()
        options = (filling_options if filling else store_options)(cache or shared_cache())
        try:
            # Of a folder that is there already, rows are in a column family that is opened with options of its own:
            # without ours with no filter, and with a cache too small for its index, which each look-up then reads anew.
            database = Rdict(str(path), options=options, column_families={"default": options}, access_type=access)
        except Exception as error:
            raise failure_of(path, error) from error
        store = cls(database, path, read_only=read_only)
        try:
            store._verify(secret_fingerprint)
        except BaseException:
            database.close()
            raise
        return store

    @staticmethod
    def destroy(path: Path) -> None:
        """Remove the folder; its content comes back from the changelog."""
        remove(path)

    def _verify(self, secret_fingerprint: str) -> None:
        encoded = self.get(_META_KEY)
        if encoded is None:
            if next(self._forward(b""), None) is not None:
                raise StoreUnusable(f"the store {self.path} does not say what wrote it", RebuildReason.DAMAGED)
            if not self._read_only:
                meta = StoreMeta(FORMAT_VERSION, secret_fingerprint)
                self.write({_META_KEY: msgspec.msgpack.encode(meta)}, {})
            return
        try:
            meta = msgspec.msgpack.decode(encoded, type=StoreMeta)
        except msgspec.MsgspecError as error:
            raise StoreUnusable(f"the store {self.path} does not say what wrote it", RebuildReason.DAMAGED) from error
        if meta.format_version > FORMAT_VERSION:
            raise StateError(
                f"the store {self.path} has format {meta.format_version}, this version reads {FORMAT_VERSION}: "
                "upgrade; or, to stay with this version, let `goldenthread state rebuild` restore it from its topic"
            )
        if meta.secret_fingerprint != secret_fingerprint:
            raise StateError(f"the store {self.path} was written with another GOLDENTHREAD_SECRET: start with that one")
        if meta.format_version < FORMAT_VERSION:
            # The rule: rows in topics carry versions of their own, so a store is made anew and never migrated.
            raise StoreUnusable(
                f"the store {self.path} has format {meta.format_version}, this version writes {FORMAT_VERSION}",
                RebuildReason.OLDER_FORMAT,
            )

    def get(self, key: bytes) -> bytes | None:
        """The row, or None."""
        try:
            value: bytes | None = self._database.get(key)
        except Exception as error:
            raise self._failed(error) from error
        return value

    def get_many(self, keys: list[bytes]) -> list[bytes | None]:
        """The rows in the order of the keys, None where there is none; cheaper than one look-up each."""
        try:
            values: list[bytes | None] = self._database.get(keys)
        except Exception as error:
            raise self._failed(error) from error
        return values

    def scan(self, prefix: bytes, start: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, in the order of their keys, from `start` on."""
        for key, value in self._forward(start or prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def scan_reverse(self, prefix: bytes, before: bytes | None = None) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose key starts with the prefix, greatest key first; only those less than `before`, where given."""
        # No key continues with a byte above 0xff, so this is past every key of the prefix.
        ceiling = before if before is not None else prefix + b"\xff" * 8
        for key, value in self._backward(ceiling):
            if before is not None and key >= before:
                continue
            if not key.startswith(prefix):
                return
            yield key, value

    @contextlib.contextmanager
    def frozen(self) -> Iterator[FrozenRows]:
        """The rows as they are now, whatever is written meanwhile, for readers that take long."""
        try:
            frozen = FrozenRows(self._database.iter(), self._failed)
        except Exception as error:
            raise self._failed(error) from error
        try:
            yield frozen
        finally:
            # An iterator keeps the folder locked, and whoever was given the rows may keep them.
            frozen.close()

    def positions(self) -> dict[Partition, StoredPosition]:
        """How far the store is in each partition that it ever read."""
        found = {}
        for key, value in self.scan(_POSITION_PREFIX):
            topic, _, partition = key.removeprefix(_POSITION_PREFIX).decode().rpartition("/")
            found[topic, int(partition)] = msgspec.msgpack.decode(value, type=StoredPosition)
        return found

    def position(self, topic: str, partition: int) -> StoredPosition | None:
        """How far the store is in a partition, or None where it never read it."""
        encoded = self.get(_position_key(topic, partition))
        return None if encoded is None else msgspec.msgpack.decode(encoded, type=StoredPosition)

    def write(
        self,
        changes: Mapping[bytes, bytes | None],
        positions: Mapping[Partition, StoredPosition | None],
    ) -> None:
        """Commit rows and positions (None deletes), all or nothing."""
        self.require_sound()
        batch = WriteBatch(raw_mode=True)
        for rows in (changes, position_rows(positions)):
            for key, value in rows.items():
                if value is None:
                    batch.delete(key)
                else:
                    batch.put(key, value)
        try:
            self._database.write(batch, write_opt=self._write_options)
        except Exception as error:
            raise self._failed(error) from error

    def take_in(self, tables: Sequence[Path]) -> None:
        """Make the rows of tables its own, all or nothing, over those that are there; the files are gone then.

        Args:
            tables: Files on the same disk, as `state.native` writes them; a later one's rows count.
        """
        self.require_sound()
        options = IngestExternalFileOptions()
        options.set_move_files(True)
        try:
            if tables:
                self._database.ingest_external_file([str(table) for table in tables], options)
        except Exception as error:
            raise self._failed(error) from error

    def put_off_merges(self, put_off: bool) -> None:
        """Merge tables no sooner than a store that is filled has to, or again as a store in use does."""
        try:
            self._database.set_options(FILLING_TRIGGERS if put_off else USING_TRIGGERS)
        except Exception as error:
            raise self._failed(error) from error

    def rows(self) -> Iterator[tuple[bytes, bytes]]:
        """Every row of ours, reserved ones left out."""
        for key, value in self._forward(b""):
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

    def require_sound(self) -> None:
        """Say again what ended the use of this store; for those who watch over readers in other threads.

        Raises:
            GoldenthreadError: what it was.
        """
        if self.failure is not None:
            raise self.failure

    def flush(self) -> None:
        """Put what is in memory on disk, so that the next start restores less."""
        try:
            self._database.flush()
        except Exception as error:
            raise self._failed(error) from error

    def held_by(self, write: Callable[[], None]) -> None:
        """Rows are held back by somebody, who is asked to write them before a copy is made, by whatever thread."""
        self._write_held = write

    def copy_to(self, path: Path) -> None:
        """Make a folder that holds the store as it is now; its tables are links to the same files where that goes.

        Raises:
            StoreFailed: the store was closed meanwhile, or the disk is full.
        """
        if self._write_held is not None:
            self._write_held()
        with self._open:
            # There is no write-ahead log, so what is in memory only would not be in the copy.
            self.flush()
            try:
                Checkpoint(self._database).create_checkpoint(str(path))
            except Exception as error:
                raise self._failed(error) from error

    def close(self) -> None:
        """Flush and release the folder; what can't be flushed is restored by the next start."""
        steps = [self._database.close] if self._read_only else [self._database.flush, self._database.close]
        with self._open:
            for step in steps:
                try:
                    step()
                except Exception as error:  # noqa: BLE001 - RocksDB's own, of which the kind is in the text.
                    self._failed(error)

    def _figure(self, name: str) -> int:
        figure: int | None = self._database.property_int_value(f"rocksdb.{name}")
        return figure or 0

    def _forward(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        iterator: RdictIter | None = None
        try:
            iterator = self._database.iter()
            iterator.seek(start)
            while iterator.valid():
                yield iterator.key(), iterator.value()
                iterator.next()
            # An iterator is at its end, too, where it met a damaged block: only its status tells.
            iterator.status()
        except Exception as error:
            raise self._failed(error) from error
        finally:
            # A traceback keeps what its frames name, and an iterator keeps the folder locked.
            del iterator

    def _backward(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        iterator: RdictIter | None = None
        try:
            iterator = self._database.iter()
            iterator.seek_for_prev(start)
            while iterator.valid():
                yield iterator.key(), iterator.value()
                iterator.prev()
            iterator.status()
        except Exception as error:
            raise self._failed(error) from error
        finally:
            del iterator

    def _failed(self, error: Exception) -> Exception:
        """What an error of RocksDB says, as one of ours; what was met of damage is marked for the next start."""
        if isinstance(error, DbClosedError):
            return StoreFailed(f"the store {self.path} was closed")
        # RocksDB's errors have no type of their own; those of wrong arguments have.
        if type(error) is not Exception:
            return error
        if str(error).startswith(_ABOUT_FILES):
            failure = failure_of(self.path, error)
        else:
            failure = StoreFailed(f"the store {self.path} can't be used: {error}")
        self.failure = self.failure or failure
        if isinstance(failure, StoreUnusable) and not self._read_only:
            mark_damaged(self.path, str(error))
        return failure


def position_rows(positions: Mapping[Partition, StoredPosition | None]) -> dict[bytes, bytes | None]:
    """The rows by which a store keeps positions, for whoever writes them together with others; None deletes."""
    return {
        _position_key(*place): None if position is None else msgspec.msgpack.encode(position)
        for place, position in positions.items()
    }


def _position_key(topic: str, partition: int) -> bytes:
    return _POSITION_PREFIX + f"{topic}/{partition}".encode()
