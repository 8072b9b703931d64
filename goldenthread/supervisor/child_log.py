"""Where a child's output goes: a file that is rotated by size, and its last lines in memory."""

from collections import deque
from io import FileIO
from pathlib import Path
from typing import Final

FILE_SIZE_BYTES_MAX: Final = 10 * 1024 * 1024
FILES_KEPT: Final = 3
# Enough for a traceback of a deep stack, and little enough to print.
LINES_REMEMBERED: Final = 30
# A child that writes no line feeds must not fill the memory.
LINE_SIZE_BYTES_MAX: Final = 4096


class ChildLog:
    """`<path>`, and older parts as `<path>.1` to `<path>.<kept>`, the first being the newest."""

    def __init__(self, path: Path, *, size_bytes_max: int = FILE_SIZE_BYTES_MAX, kept: int = FILES_KEPT) -> None:
        self.path = path
        self._size_bytes_max = size_bytes_max
        self._kept = kept
        self._lines: deque[bytes] = deque(maxlen=LINES_REMEMBERED)
        self._unfinished = b""
        self._file: FileIO | None = None
        self._size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append a piece of output. A full disk loses it from the file but never ends the supervision."""
        self._remember(data)
        try:
            file = self._opened()
            if self._size_bytes > 0 and self._size_bytes + len(data) > self._size_bytes_max:
                file = self._rotated()
            file.write(data)
        except OSError:
            return
        self._size_bytes += len(data)

    def forget(self) -> None:
        """Drop the remembered lines, so that the next ones are those of a new start alone."""
        self._lines.clear()
        self._unfinished = b""

    def last_lines(self) -> list[str]:
        """The last lines since the child's start, the oldest first."""
        lines = [*self._lines, self._unfinished] if self._unfinished else self._lines
        return [line.decode(errors="replace").rstrip("\r") for line in lines]

    def close(self) -> None:
        """Close the file; another write opens it again."""
        if self._file is not None:
            self._file.close()
            self._file = None

    def _remember(self, data: bytes) -> None:
        *finished, rest = (self._unfinished + data).split(b"\n")
        self._lines.extend(line[:LINE_SIZE_BYTES_MAX] for line in finished)
        self._unfinished = rest[:LINE_SIZE_BYTES_MAX]

    def _opened(self) -> FileIO:
        if self._file is None:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = FileIO(self.path, "a")
            self._size_bytes = self.path.stat().st_size
        return self._file

    def _rotated(self) -> FileIO:
        for number in range(self._kept, 1, -1):
            older = self._numbered(number - 1)
            if older.exists():
                older.replace(self._numbered(number))
        self.path.replace(self._numbered(1))
        self.close()
        return self._opened()

    def _numbered(self, number: int) -> Path:
        return self.path.with_name(f"{self.path.name}.{number}")
