"""How far an import is: a small file in the data directory, so that an interrupted one goes on where it was."""

import hashlib
from pathlib import Path
from typing import Final

import msgspec

from connectors.collect.files_lines import Place
from schemas.strict_json import UNREADABLE

_SAMPLE_SIZE_BYTES: Final = 1024 * 1024


class Progress(msgspec.Struct, frozen=True):
    """What the broker has acknowledged of a file."""

    #: Behind the last row that was acknowledged.
    offset: int = 0
    lines: int = 0
    rows: int = 0
    accepted: int = 0
    dead: int = 0
    skipped: int = 0

    @property
    def place(self) -> Place:
        """Where to read on."""
        return Place(self.offset, self.lines)


class ProgressFile:
    """The progress of one file under one mapping into one destination; another of either starts anew."""

    def __init__(self, folder: Path, file: Path, *identity: str) -> None:
        parts = [str(file.resolve()), _fingerprint(file), *identity]
        name = hashlib.blake2b("\0".join(parts).encode(errors="surrogateescape"), digest_size=16).hexdigest()
        self._path = folder / f"{name}.json"

    def read(self) -> Progress:
        """The progress of an interrupted import; of a new one, none."""
        try:
            return msgspec.json.decode(self._path.read_bytes(), type=Progress)
        except (FileNotFoundError, *UNREADABLE):
            # A damaged file is no loss: what is imported again is recognised as the same events.
            return Progress()

    def write(self, progress: Progress) -> None:
        """Keep the progress; a crash in between leaves the former one."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        fresh = self._path.with_suffix(".new")
        fresh.write_bytes(msgspec.json.encode(progress))
        fresh.replace(self._path)

    def remove(self) -> None:
        """Forget it: the import is finished, or is to start anew."""
        self._path.unlink(missing_ok=True)


def _fingerprint(file: Path) -> str:
    """Size, time of change and both ends. A wrong guess costs a second import, which changes nothing."""
    status = file.stat()
    hashed = hashlib.blake2b(f"{status.st_size} {status.st_mtime_ns}".encode())
    with file.open("rb") as opened:
        hashed.update(opened.read(_SAMPLE_SIZE_BYTES))
        opened.seek(max(status.st_size - _SAMPLE_SIZE_BYTES, 0))
        hashed.update(opened.read(_SAMPLE_SIZE_BYTES))
    return hashed.hexdigest()
