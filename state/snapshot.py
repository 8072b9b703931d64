"""Snapshots: folders of stores as they were at one moment, with a manifest that says what they are.

A snapshot is one once its manifest is there, which comes last; a folder without it was not finished. Nothing is taken
from a snapshot before every file was held to the manifest.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

import msgspec

from schemas.errors import StateError
from state.store import FORMAT_VERSION, Store
from state.store_cache import StoreCache
from state.store_folder import failure_of, remove

MANIFEST_FILE: Final = "manifest.json"
MANIFEST_VERSION: Final = 1
#: Of folders that are still being copied, beside the stores that they will be.
RESTORING_SUFFIX: Final = ".restoring"
_COPY_SIZE_BYTES: Final = 1024 * 1024
# Its lock and its diary belong to the process that opened the folder.
_NOT_CONTENT: Final = frozenset({"LOCK", "LOG"})


class SnapshotFile(msgspec.Struct, frozen=True):
    """One file of a store."""

    name: str
    size_bytes: int
    sha256: str


class SnapshotPosition(msgspec.Struct, frozen=True):
    """How far a store had read a partition."""

    topic: str
    partition: int
    topic_id: str
    next_offset: int
    caught_up_ms: int


class SnapshotStore(msgspec.Struct, frozen=True):
    """One store, in the folder of its name."""

    name: str
    rows: int
    positions: list[SnapshotPosition]
    files: list[SnapshotFile]


class Manifest(msgspec.Struct, frozen=True):
    """What a snapshot is.

    Attributes:
        manifest_version: Of this structure.
        format_version: Of the stores.
        version: Of the program that took it.
        installation: The data directory's name.
        secret_fingerprint: Of the secret that the rows are sealed with.
        taken: When, RFC 3339.
        stores: What is in it.
    """

    manifest_version: int
    format_version: int
    version: str
    installation: str
    secret_fingerprint: str
    taken: str
    stores: list[SnapshotStore]


def describe(folder: Path, *, secret_fingerprint: str, cache: StoreCache) -> SnapshotStore:
    """What is in a store's folder that nobody writes to; reads every row, so that no damage goes into a snapshot.

    Raises:
        StoreUnusable: it is damaged.
        StateError: another secret or a newer version wrote it.
    """
    store = Store.open_to_read(folder, secret_fingerprint=secret_fingerprint, cache=cache)
    try:
        rows = sum(1 for _ in store.rows())
        positions = [
            SnapshotPosition(topic, number, position.topic_id, position.next_offset, position.caught_up_ms)
            for (topic, number), position in sorted(store.positions().items())
        ]
    finally:
        store.close()
    files = [SnapshotFile(path.name, path.stat().st_size, _digest(path)) for path in _content(folder)]
    return SnapshotStore(folder.name, rows, positions, files)


def seal(folder: Path, manifest: Manifest) -> None:
    """Write the manifest, once everything else is on disk."""
    for path in folder.rglob("*"):
        _sync(path)
    draft = folder / f"{MANIFEST_FILE}.draft"
    draft.write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=1))
    _sync(draft)
    draft.rename(folder / MANIFEST_FILE)
    _sync(folder)


def read_manifest(folder: Path, *, secret_fingerprint: str) -> Manifest:
    """The manifest of a snapshot that this version and this secret can use.

    Raises:
        StateError: it is none, was not finished, or is another version's or another secret's.
    """
    try:
        manifest = msgspec.json.decode((folder / MANIFEST_FILE).read_bytes(), type=Manifest)
    except OSError as error:
        raise StateError(f"{folder} is no snapshot, or one that was not finished: it has no {MANIFEST_FILE}") from error
    except msgspec.MsgspecError as error:
        raise StateError(f"{folder / MANIFEST_FILE} can't be read ({error}): use another snapshot") from error
    if manifest.manifest_version > MANIFEST_VERSION or manifest.format_version > FORMAT_VERSION:
        raise StateError(
            f"the snapshot {folder} has format {manifest.manifest_version}.{manifest.format_version}, this version "
            f"reads {MANIFEST_VERSION}.{FORMAT_VERSION}: restore it with version {manifest.version}"
        )
    if manifest.format_version < FORMAT_VERSION:
        raise StateError(
            f"the snapshot {folder} has stores of format {manifest.format_version}, this version restores "
            f"{FORMAT_VERSION}: leave it, the worker reads the changelog"
        )
    if manifest.secret_fingerprint != secret_fingerprint:
        raise StateError(f"the snapshot {folder} was taken with another GOLDENTHREAD_SECRET: it is of no use here")
    return manifest


def copy_store(snapshot: Path, store: SnapshotStore, target: Path) -> None:
    """Copy one store out of a snapshot, and hold each file to the manifest while doing so.

    Raises:
        StateError: a file is missing, damaged or not named by the manifest.
        DiskRefused: there is no room.
    """
    source = snapshot / store.name
    found = {path.name for path in _content(source)} if source.is_dir() else set()
    named = {file.name for file in store.files}
    if found != named:
        odd = ", ".join(sorted(found ^ named))
        raise StateError(f"the snapshot {snapshot} is damaged: {store.name} lacks files or has others ({odd})")
    try:
        remove(target)
        target.mkdir(parents=True)
        for file in store.files:
            digest = _copy(source / file.name, target / file.name)
            if digest != file.sha256:
                raise StateError(f"the snapshot {snapshot} is damaged: {store.name}/{file.name} is not what was taken")
        _sync(target)
    except OSError as error:
        raise failure_of(target, error) from error


def put_in_place(staged: Mapping[Path, Path]) -> None:
    """Give staged folders their names; each is whole on its own, so it does not matter where a kill comes between."""
    for source, target in staged.items():
        source.rename(target)
        _sync(target.parent)


def furthest(stores: Iterable[SnapshotStore]) -> SnapshotStore:
    """Of stores of one name, such as workers leave behind when a partition moves, the one that read the most."""
    return max(stores, key=lambda store: sum(position.next_offset for position in store.positions))


def _content(folder: Path) -> list[Path]:
    return sorted(
        path
        for path in folder.iterdir()
        if path.is_file() and path.name not in _NOT_CONTENT and not path.name.startswith("LOG.old")
    )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: Path, target: Path) -> str:
    """Copy a file to the disk; the digest of what was copied."""
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while piece := reading.read(_COPY_SIZE_BYTES):
            digest.update(piece)
            writing.write(piece)
        writing.flush()
        os.fsync(writing.fileno())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
