"""A lock on a directory, so that no two processes work in it at once."""

import fcntl
import os
import time
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from schemas.errors import SettingError

LOCK_NAME: Final = ".lock"
_POLL_S: Final = 0.1


class DirectoryLock:
    """Holds `<directory>/.lock` with flock(2); the kernel gives it up when this process ends, however it ends.

    Use it as a context manager, or call `acquire` and `release`.
    """

    def __init__(self, directory: Path, *, setting: str, wait_s: float = 0.0) -> None:
        self.directory = directory
        self._setting = setting
        self._wait_s = wait_s
        self._descriptor: int | None = None

    def acquire(self) -> None:
        """Make the directory where it is missing, and lock it.

        Raises:
            SettingError: somebody else holds it, or it can't be written; the message names the setting.
        """
        if self._descriptor is not None:
            raise RuntimeError(f"{self.directory} is locked by this very object already.")
        try:
            # Whatever is kept in it, others on the machine have no business with it.
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.directory / LOCK_NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise SettingError(
                f"The directory {self.directory} can't be used: {error.strerror}. Set {self._setting} to one "
                "that this user may write to."
            ) from error
        deadline = time.monotonic() + self._wait_s
        while not _locked(descriptor):
            if time.monotonic() >= deadline:
                holder = os.pread(descriptor, 32, 0).decode(errors="replace").strip()
                os.close(descriptor)
                raise SettingError(
                    f"The directory {self.directory} is in use by process {holder or 'unknown'}. "
                    f"Stop that process, or set {self._setting} to another directory."
                )
            time.sleep(_POLL_S)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        self._descriptor = descriptor

    def release(self) -> None:
        """Give the lock up; does nothing when it is not held. The file stays, since removing it would race."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
