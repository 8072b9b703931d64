"""Snapshots of an installation's stores: taken from its workers, and restored into the folder of one."""

import shutil
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

import msgspec

from goldenthread.secret import installation_name
from goldenthread.settings import Settings
from goldenthread.still_stores import folder_lock, still_stores
from goldenthread.stores import expected_store, stores_in, worker_folders
from schemas.clock import SystemClock
from schemas.errors import StateError, StoreUnusable, UsageError
from schemas.times import format_time
from schemas.topics import Catalogue
from state.snapshot import (
    MANIFEST_VERSION,
    RESTORING_SUFFIX,
    Manifest,
    SnapshotStore,
    copy_store,
    describe,
    furthest,
    put_in_place,
    read_manifest,
    seal,
)
from state.store import FORMAT_VERSION, Store
from state.store_cache import StoreCache
from state.store_folder import RebuildReason, failure_of, remove
from streams.metrics import Metrics
from streams.store_state import make_way, oldest_caught_up_ms
from streams.store_verification import WHOLE, ExpectedStore, Verification

_PARTIAL_SUFFIX: Final = ".partial"


class RestoredStore(msgspec.Struct, frozen=True):
    """What became of a store of a snapshot: `restored`, or `kept` where the one here has read as much, or more."""

    store: str
    outcome: str
    behind: int | None


@dataclass(frozen=True)
class Snapshots:
    """Takes and restores snapshots of one installation."""

    settings: Settings
    catalogue: Catalogue
    secret_fingerprint: str
    cache: StoreCache

    def take(self, target: Path) -> Manifest:
        """Make a snapshot of all workers of this data directory, running or stopped.

        1. Copy the stores of each worker, in a folder beside the target. 2. Read all of each copy, and of several of
        one partition keep the one that read the most. 3. Write the manifest. 4. Give the folder its name.

        Raises:
            UsageError: there is something already, nothing to take, or a worker that does not answer.
            StoreUnusable: a store is damaged.
            DiskRefused: there is no room.
        """
        if target.exists():
            raise UsageError(f"{target} is there already: name a folder that is not, or remove it")
        draft = target.with_name(target.name + _PARTIAL_SUFFIX)
        try:
            shutil.rmtree(draft, ignore_errors=True)
            draft.mkdir(parents=True)
            # Step 1.
            for folder in worker_folders(self.settings):
                self._copy(folder, draft / folder.name)
            # Step 2.
            kept = self._sift(draft)
            if not kept:
                raise UsageError(f"there are no stores in {self.settings.data_dir} that a snapshot could be made of")
            # Step 3.
            manifest = Manifest(
                MANIFEST_VERSION,
                FORMAT_VERSION,
                version("goldenthread"),
                installation_name(self.settings),
                self.secret_fingerprint,
                format_time(SystemClock().now_us()),
                kept,
            )
            seal(draft, manifest)
            # Step 4.
            put_in_place({draft: target})
        except OSError as error:
            raise failure_of(draft, error) from error
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return manifest

    def restore(self, source: Path, verification: Verification, *, overwrite: bool = False) -> list[RestoredStore]:
        """Put the stores of a snapshot into the folder of a worker that is stopped.

        1. Read the manifest. 2. Copy what is newer than what is here, file by file held to the manifest. 3. Verify
        each copy against the topics. 4. Put all in place, once all are whole.

        Raises:
            StateError: the snapshot is damaged, foreign or too old.
            SettingError: the worker runs.
        """
        # Step 1.
        manifest = read_manifest(source, secret_fingerprint=self.secret_fingerprint)
        folder = self.settings.worker_dir
        outcomes = []
        staged: dict[Path, Path] = {}
        with folder_lock(folder):
            for left in folder.glob(f"*{RESTORING_SUFFIX}"):
                remove(left)
            try:
                for store in manifest.stores:
                    expected = self._expected(source, folder, store.name)
                    if not overwrite and self._is_here(expected.path, store):
                        outcomes.append(RestoredStore(store.name, "kept", None))
                        continue
                    # Step 2.
                    path = folder / f"{store.name}{RESTORING_SUFFIX}"
                    staged[path] = expected.path
                    copy_store(source, store, path)
                    # Step 3.
                    outcomes.append(_verified(source, expected, path, verification))
                # Step 4.
                metrics = Metrics("state", version("goldenthread"))
                for target in staged.values():
                    if target.exists():
                        make_way(target, RebuildReason.ASKED, "a snapshot is restored", metrics, target.name, keep=True)
                put_in_place(staged)
            finally:
                for path in staged:
                    remove(path)
        return outcomes

    def _copy(self, folder: Path, target: Path) -> None:
        target.mkdir()
        with still_stores(self.settings, folder) as stores:
            for expected in stores_in(self.catalogue, stores):
                if stores != folder:
                    shutil.move(expected.path, target / expected.name)
                    continue
                store = Store.open(expected.path, secret_fingerprint=self.secret_fingerprint, cache=self.cache)
                try:
                    store.copy_to(target / expected.name)
                finally:
                    store.close()

    def _sift(self, draft: Path) -> list[SnapshotStore]:
        """Keep one copy of each store in the draft, those that could be restored."""
        found: dict[str, dict[Path, SnapshotStore]] = {}
        for worker in sorted(draft.iterdir()):
            for path in sorted(worker.iterdir()):
                store = describe(path, secret_fingerprint=self.secret_fingerprint, cache=self.cache)
                if self._is_useful(path, store):
                    found.setdefault(path.name, {})[path] = store
        workers = list(draft.iterdir())
        kept = []
        for name, copies in sorted(found.items()):
            best = furthest(copies.values())
            next(path for path, store in copies.items() if store is best).rename(draft / name)
            kept.append(best)
        for worker in workers:
            shutil.rmtree(worker)
        return kept

    def _is_useful(self, path: Path, store: SnapshotStore) -> bool:
        """Whether it is a store of these topics that has not slept too long, as those of partitions that moved have."""
        expected = expected_store(self.catalogue, path)
        oldest_ms = oldest_caught_up_ms(time.time() * 1000)
        return (
            expected is not None
            and bool(store.positions)
            and all((position.topic, position.partition) in expected.topics for position in store.positions)
            and all(position.caught_up_ms >= oldest_ms for position in store.positions)
        )

    def _is_here(self, path: Path, store: SnapshotStore) -> bool:
        """Whether what is here is as far as the snapshot, or further."""
        if not path.exists():
            return False
        try:
            local = Store.open_to_read(path, secret_fingerprint=self.secret_fingerprint, cache=self.cache)
        except StoreUnusable:
            return False
        try:
            positions = local.positions()
        finally:
            local.close()
        return all(
            (here := positions.get((one.topic, one.partition))) is not None
            and here.topic_id == one.topic_id
            and here.next_offset >= one.next_offset
            for one in store.positions
        )

    def _expected(self, source: Path, folder: Path, name: str) -> ExpectedStore:
        expected = expected_store(self.catalogue, folder / name) if Path(name).name == name else None
        if expected is None:
            raise StateError(f"the snapshot {source} has a store {name!r}, which this version does not know")
        return expected


def _verified(source: Path, expected: ExpectedStore, path: Path, verification: Verification) -> RestoredStore:
    verdict = verification.verify(expected, path)
    if verdict.state != WHOLE:
        raise StateError(
            f"the snapshot {source} can't be restored here: {expected.name} is {verdict.state} ({verdict.detail}). "
            "Nothing was changed; use another snapshot, or none: the worker then reads the whole changelog"
        )
    return RestoredStore(expected.name, "restored", verdict.behind)
