"""Keys change while a service runs: the files that hold them are read again when they change, without a restart."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from connectors.web.access import Access, AccessKey
from schemas.errors import SettingError
from streams.logs import logger

#: How often files are looked at, seconds: a key that was taken out lets in for so long at most.
INTERVAL_SECONDS: Final = 2.0
_log = logger(__name__)


class _Stamp(NamedTuple):
    """What changes when a file does, also when a link to it is turned."""

    inode: int
    size_bytes: int
    modified_ns: int


class AccessReload:
    """Replaces the keys of a service by those in its files, whenever a file has changed.

    Args:
        files: All that are read.
        read: Reads them; raises SettingError for what is wrong with them.
        interval_seconds: How often to look.
    """

    def __init__(
        self,
        files: Sequence[Path],
        read: Callable[[], Sequence[AccessKey]],
        *,
        interval_seconds: float = INTERVAL_SECONDS,
    ) -> None:
        self._files = tuple(files)
        self._read = read
        self._interval_seconds = interval_seconds
        self._stamps: tuple[_Stamp | None, ...] = ()

    def read(self) -> Sequence[AccessKey]:
        """The keys in the files.

        Raises:
            SettingError: what is wrong with them.
        """
        # The stamps come first: what changes while it is read is read once more.
        self._stamps = self._look()
        return self._read()

    async def watch(self, access: Access) -> None:
        """Look again and again, until cancelled; ends at once where there are no files."""
        while self._files:
            await asyncio.sleep(self._interval_seconds)
            await self.refresh(access)

    async def refresh(self, access: Access) -> None:
        """Read the files if one has changed. What is wrong leaves the keys as they are, and the log says so."""
        if await asyncio.to_thread(self._look) == self._stamps:
            return
        try:
            access.replace(await asyncio.to_thread(self.read))
        except (SettingError, OSError, ValueError) as error:
            _log.error("changed keys not taken, the old ones stay in force", reason=str(error))
        else:
            _log.info("changed keys taken", keys=len(access.keys))

    def _look(self) -> tuple[_Stamp | None, ...]:
        return tuple(map(_stamp, self._files))


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return _Stamp(status.st_ino, status.st_size, status.st_mtime_ns)
