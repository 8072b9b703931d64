"""Rows of CSV and JSONL files: read as a stream, each with its line, its bytes, and what is wrong with it if it is.

A file is taken as it comes: a row that can't be decoded or parsed is a bad row, and the next one is read. A quote
that nobody closes costs its own line, not the rest of the file. Memory holds one row.
"""

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

from connectors.collect.files_lines import Line, LineReader, Place
from schemas.errors import DeadCode, EventError, SettingError
from schemas.limits import EVENT_SIZE_BYTES_MAX
from schemas.mapping import InputFormat
from schemas.strict_json import read_json
from schemas.yaml_files import suggestion

# A quoted cell with more line ends than this is an unclosed quote, not a text.
LINES_PER_ROW_MAX: Final = 1000


class FileRow(NamedTuple):
    """One row: its fields by name, or the error that makes it a bad one."""

    #: The number of its first line, from 1.
    line: int
    raw: bytes
    fields: dict[str, Any]
    error: EventError | None
    end: Place


class FileRows:
    """The rows of one file from a place on, in their order."""

    def __init__(self, path: Path | str, layout: InputFormat, start: Place | None = None) -> None:
        self._path = path
        self._layout = layout
        self._start = start
        #: The bytes before the first row: a byte order mark, the names of the columns.
        self.head = b""

    def read(self, required: frozenset[str] = frozenset()) -> Iterator[FileRow]:
        """Read the file once. Empty lines are no rows.

        Raises:
            SettingError: the header of a CSV file can't be read, names a column twice or lacks a required one.
            OSError: the file can't be read.
        """
        with Path(self._path).open("rb") as file:
            yield from self.read_from(file, required)

    def read_from(self, file: BinaryIO, required: frozenset[str] = frozenset()) -> Iterator[FileRow]:
        """As `read`, of an open file."""
        lines = LineReader(file, self._layout.encoding, EVENT_SIZE_BYTES_MAX)
        columns: tuple[str, ...] = ()
        if self._layout.format == "csv":
            columns = self._layout.columns or self._read_header(lines)
            self._require(required, columns)
        first = lines.place
        file.seek(0)
        self.head = file.read(first.offset)
        lines.go_to(self._start if self._start is not None and self._start.offset > 0 else first)
        while (line := lines.next()) is not None:
            if self._layout.format == "csv":
                row = self._read_csv(line, lines, columns)
            else:
                row = _read_json(line, lines.encoding)
            if row is not None:
                yield row

    def _read_header(self, lines: LineReader) -> tuple[str, ...]:
        first = lines.next()
        if first is None:
            raise SettingError(f"{self._path}: the file is empty; a CSV file starts with the names of its columns")
        raw, cells, error, _ = self._parse(first, lines)
        if error is not None:
            raise SettingError(f"{self._path}: the header is unreadable: {error.message}; check input in the mapping")
        named = [cell for cell in cells if cell]
        for cell in named:
            if named.count(cell) > 1:
                raise SettingError(f"{self._path}: the header names the column {cell!r} twice")
        if len(raw) > EVENT_SIZE_BYTES_MAX or not named:
            raise SettingError(f"{self._path}: the first line names no columns")
        return tuple(cells)

    def _require(self, required: frozenset[str], columns: tuple[str, ...]) -> None:
        for name in sorted(required.difference(columns)):
            raise SettingError(
                f"{self._path}: the mapping reads the column {name!r}, which the file (read as "
                f"{self._layout.encoding} with the delimiter {self._layout.delimiter!r}) does not have"
                f"{suggestion(name, list(columns))}"
            )

    def _read_csv(self, first: Line, lines: LineReader, columns: tuple[str, ...]) -> FileRow | None:
        raw, cells, error, end = self._parse(first, lines)
        if error is None and len(cells) != len(columns):
            if not cells:
                return None
            message = f"{len(cells)} cells where the header has {len(columns)}"
            error = EventError(DeadCode.MAPPING_FAILED, message)
        fields = {} if error is not None else {name: cell for name, cell in zip(columns, cells, strict=True) if name}
        return FileRow(first.number, raw, fields, error, end)

    def _parse(self, first: Line, lines: LineReader) -> tuple[bytes, list[str], EventError | None, Place]:
        """Bytes, cells, fault and end of the row that starts with a line; quoted cells may go on over several."""
        taken = [first]
        faults: list[EventError] = []

        def texts() -> Iterator[str]:
            size_bytes = 0
            line: Line | None = first
            while line is not None:
                size_bytes += len(line.raw)
                if size_bytes > EVENT_SIZE_BYTES_MAX:
                    faults.append(_too_large())
                    return
                text, fault = _decode(line.raw, lines.encoding)
                if fault is not None:
                    faults.append(fault)
                yield text
                line = lines.next() if len(taken) < LINES_PER_ROW_MAX else None
                if line is not None:
                    taken.append(line)

        try:
            cells = next(
                csv.reader(texts(), delimiter=self._layout.delimiter, quotechar=self._layout.quote, strict=True), []
            )
        except csv.Error as error:
            lines.give_back(taken[1:])
            reason = "a quote is opened and never closed" if "unexpected end" in str(error) else str(error)
            fault = faults[0] if faults else EventError(DeadCode.MAPPING_FAILED, f"not CSV: {reason}")
            return first.raw, [], fault, first.end
        raw = b"".join(line.raw for line in taken)
        return raw, cells, faults[0] if faults else None, taken[-1].end


def _read_json(line: Line, encoding: str) -> FileRow | None:
    text, error = _decode(line.raw, encoding)
    if not text.strip():
        return None
    fields: Any = {}
    if len(line.raw) > EVENT_SIZE_BYTES_MAX:
        error = _too_large()
    if error is None:
        try:
            fields = read_json(text.encode())
            if not isinstance(fields, dict):
                error = EventError(DeadCode.NOT_AN_OBJECT, "each line is a JSON object")
        except EventError as unreadable:
            error = unreadable
    return FileRow(line.number, line.raw, {} if error is not None else fields, error, line.end)


def _decode(raw: bytes, encoding: str) -> tuple[str, EventError | None]:
    """The text, and what is wrong with it; a wrong one still shows where its row ends."""
    try:
        return raw.decode(encoding), None
    except UnicodeError as error:
        reason = getattr(error, "reason", str(error))
        return raw.decode(encoding, "replace"), EventError(DeadCode.INVALID_UTF8, f"not {encoding}: {reason}")


def _too_large() -> EventError:
    return EventError(DeadCode.RECORD_TOO_LARGE, f"the row has more than {EVENT_SIZE_BYTES_MAX} bytes")
