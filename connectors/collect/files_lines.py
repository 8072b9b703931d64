"""Lines of a file in any encoding, as bytes, with the place behind each; a line can be given back."""

from collections import deque
from collections.abc import Sequence
from typing import BinaryIO, Final, NamedTuple

#: Encodings in which a line end is more than one byte, and the marks that say in which order.
_BYTE_ORDER_MARKS: Final = {
    "utf-8": ((b"\xef\xbb\xbf", "utf-8"),),
    "utf-16": ((b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be")),
    "utf-32": ((b"\xff\xfe\x00\x00", "utf-32-le"), (b"\x00\x00\xfe\xff", "utf-32-be")),
}


class Place(NamedTuple):
    """Between two lines: what is behind us."""

    offset: int = 0
    lines: int = 0


class Line(NamedTuple):
    """One line with its end, at most the reader's bound and one byte long; what was longer is cut."""

    raw: bytes
    number: int
    end: Place


class LineReader:
    """Reads lines one by one. `encoding` says how to decode them: a byte order mark may have settled it."""

    def __init__(self, file: BinaryIO, encoding: str, size_bytes_max: int) -> None:
        self._file = file
        self._limit = size_bytes_max + 1
        self._given_back: deque[Line] = deque()
        self.encoding, mark_length = _read_mark(file, encoding)
        self._newline = "\n".encode(self.encoding)
        self._place = Place()
        self.go_to(Place(mark_length, 0))

    @property
    def place(self) -> Place:
        """Behind the last line that was read, whether given back or not."""
        return self._place

    def go_to(self, place: Place) -> None:
        """Read on from a place that was behind a line."""
        self._given_back.clear()
        self._place = place
        self._file.seek(place.offset)

    def next(self) -> Line | None:
        """The next line, or None at the end."""
        if self._given_back:
            return self._given_back.popleft()
        raw = self._read()
        if not raw:
            return None
        size_bytes = len(raw)
        if size_bytes >= self._limit and not raw.endswith(self._newline):
            while rest := self._read():
                size_bytes += len(rest)
                if rest.endswith(self._newline):
                    break
        self._place = Place(self._place.offset + size_bytes, self._place.lines + 1)
        return Line(raw, self._place.lines, self._place)

    def give_back(self, lines: Sequence[Line]) -> None:
        """Return lines that were read, in their order; they come again."""
        self._given_back.extendleft(reversed(lines))

    def _read(self) -> bytes:
        raw = self._file.readline(self._limit)
        width = len(self._newline)
        # In wide encodings the byte of a line end may be half of another character.
        while width > 1 and raw and len(raw) < self._limit:
            raw += self._file.read(-len(raw) % width)
            if raw.endswith(self._newline):
                break
            piece = self._file.readline(self._limit - len(raw))
            if not piece:
                break
            raw += piece
        return raw


def _read_mark(file: BinaryIO, encoding: str) -> tuple[str, int]:
    """The encoding, with the order of its bytes settled, and the length of the mark at the file's beginning."""
    name = encoding.lower().replace("_", "-").removesuffix("-sig")
    beginning = file.read(4)
    for mark, settled in _BYTE_ORDER_MARKS.get(name, ()):
        if beginning.startswith(mark):
            return settled, len(mark)
    return (f"{name}-le" if name in {"utf-16", "utf-32"} else encoding), 0
