"""The folder of a store as files: who holds it, what is wrong with it, and where it goes when it is made anew.

Imports no RocksDB, so that metrics and commands may name what is here.
"""

import contextlib
import errno
import fcntl
import os
import shutil
import struct
import sys
from enum import StrEnum
from pathlib import Path
from typing import Final

from schemas.errors import DiskRefused, GoldenthreadError, StateError, StoreHeld, StoreUnusable

#: In a store's folder, once it was found damaged: the next start makes the store anew.
DAMAGED_MARK: Final = "DAMAGED"
#: Beside a store's folder: the one that was put aside last, with why in `REASON`.
SET_ASIDE_SUFFIX: Final = ".set-aside"
REASON_FILE: Final = "REASON"
# Beside a store's folder while it is removed: a kill then leaves no half of a store under its name.
_REMOVED_SUFFIX: Final = ".removed"
# RocksDB's own.
_LOCK_FILE: Final = "LOCK"
_MARK_SIZE_BYTES_MAX: Final = 4096
# What the system says of a disk or a limit that is full, and of a folder that is closed to us: no damage.
_FULL: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
_CLOSED: Final = (errno.EACCES, errno.EPERM, errno.EROFS)
_LOCKED_BY_OTHER: Final = "While lock file"
_LOCKED_BY_THIS: Final = "lock hold by current process"
# struct flock of 64-bit Linux: type, whence, start, length, process.
_FLOCK: Final = struct.Struct("@hhqqi")


class RebuildReason(StrEnum):
    """Why a store was made anew."""

    #: A checksum is wrong, or a file is missing, cut short or unreadable.
    DAMAGED = "damaged"
    #: It is of another topic, partition or stage.
    FOREIGN = "foreign"
    #: It slept past the tombstones of its topic.
    STALE = "stale"
    #: Its position is not in its topic's log, which was cut short or was overtaken by retention.
    OUTSIDE = "outside_of_log"
    #: A version before this one wrote it.
    OLDER_FORMAT = "older_format"
    #: An operator asked for it.
    ASKED = "asked"


def failure_of(path: Path, error: Exception) -> GoldenthreadError:
    """What an error of RocksDB, or of the system, says of the store in a folder."""
    text = " ".join(str(error).split())
    if _LOCKED_BY_THIS in text or _LOCKED_BY_OTHER in text:
        process = os.getpid() if _LOCKED_BY_THIS in text else holder(path)
        who = "another process" if process is None else f"process {process}"
        return StoreHeld(f"the store {path} is held by {who}: stop the other process that uses it, or let it end")
    if _says(text, _FULL):
        return DiskRefused(f"the store {path} can't be written ({text}): make room there; nothing is lost by it")
    if _says(text, _CLOSED):
        return StateError(f"the store {path} can't be used ({text}): let this user read and write it")
    return StoreUnusable(
        f"the store {path} is damaged ({text}): the next start restores it from its topic; look at the disk where "
        "this happens again",
        RebuildReason.DAMAGED,
    )


def mark_damaged(path: Path, text: str) -> None:
    """Leave a mark for the next start; an empty one where the disk has room for no more."""
    with contextlib.suppress(OSError):
        (path / DAMAGED_MARK).touch()
        (path / DAMAGED_MARK).write_text(text[:_MARK_SIZE_BYTES_MAX])


def require_whole(path: Path) -> None:
    """Look at what can be seen before RocksDB opens the folder.

    Raises:
        StoreUnusable: it was found damaged before, or holds tables and nothing that names them.
    """
    mark = path / DAMAGED_MARK
    if mark.exists():
        why = mark.read_text(errors="replace")[:_MARK_SIZE_BYTES_MAX] or "no more is known"
        raise StoreUnusable(f"the store {path} was found damaged before: {why}", RebuildReason.DAMAGED)
    if not (path / "CURRENT").exists() and holds_tables(path):
        raise StoreUnusable(f"the store {path} is damaged: its file CURRENT is missing", RebuildReason.DAMAGED)


def holds_tables(path: Path) -> bool:
    """Whether anything was ever put on disk there."""
    return any(path.glob("*.sst"))


def set_aside(path: Path, reason: str) -> Path:
    """Move the folder out of the way; the one that was put aside before is removed. Gives where it is now."""
    aside = path.with_name(path.name + SET_ASIDE_SUFFIX)
    remove(aside)
    path.rename(aside)
    with contextlib.suppress(OSError):
        (aside / REASON_FILE).write_text(f"{reason}\n")
    return aside


def remove(path: Path) -> None:
    """Remove a folder, if it is there; a kill meanwhile leaves nothing under its name."""
    going = path.with_name(path.name + _REMOVED_SUFFIX)
    shutil.rmtree(going, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        path.rename(going)
    shutil.rmtree(going, ignore_errors=True)


def _says(text: str, numbers: tuple[int, ...]) -> bool:
    return any(os.strerror(number) in text for number in numbers)


def holder(path: Path) -> int | None:
    """Another process that has the store open, where the system tells; not to be asked by one that has it open."""
    if sys.platform != "linux":
        return None
    try:
        descriptor = os.open(path / _LOCK_FILE, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        answer = fcntl.fcntl(descriptor, fcntl.F_GETLK, _FLOCK.pack(fcntl.F_WRLCK, os.SEEK_SET, 0, 0, 0))
    except OSError:
        return None
    finally:
        os.close(descriptor)
    kind, _, _, _, process = _FLOCK.unpack(answer)
    return process if kind != fcntl.F_UNLCK and process > 0 else None
