"""What a row of a file becomes: records for raw topics, mapped and checked as intake will check them.

The same for an import and for its dead letters, which keep what is needed to read a row by itself.
"""

import base64
import binascii
import io
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from connectors.collect.files_rows import FileRow, FileRows
from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError
from schemas.event import CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE, CloudEvent, parse_structured, raw_key
from schemas.mapping import InputFormat, Mapping
from schemas.strict_json import UNREADABLE, canonical_json
from schemas.topics import IMPORT_HEADER, SOURCE_HEADER, Catalogue, Header
from streams.producer import Record

#: A head that is larger is not kept beside a row that is set aside; such a row is imported again with its file.
HEAD_SIZE_BYTES_MAX: Final = 16 * 1024
#: How lines are read that are events themselves.
EVENT_LINES: Final = InputFormat(format="jsonl")
_EVENT_HEADERS: Final = ((CONTENT_TYPE_HEADER, STRUCTURED_CONTENT_TYPE.encode()),)


class RowEvents:
    """Makes events of rows.

    Args:
        mapping: How; None for JSONL whose lines are CloudEvents.
        catalogue: Names the raw topics.
        cleaner: Judges each event as intake will.
        clock: Says what lies in the future.
        channel: The channel of events that name none and whose source has none.
    """

    def __init__(
        self, mapping: Mapping | None, *, catalogue: Catalogue, cleaner: Cleaner, clock: Clock, channel: str | None
    ) -> None:
        self._mapping = mapping
        self._catalogue = catalogue
        self._cleaner = cleaner
        self._clock = clock
        self._channel = channel

    def parts(self, row: FileRow) -> list[Any]:
        """The records in a row: itself, or those that the mapping picks out of it.

        Raises:
            EventError: it can't be read.
        """
        if row.error is not None:
            raise row.error
        pick = None if self._mapping is None else self._mapping.pick
        return [row.fields] if pick is None else pick(row.fields)

    def event(self, part: Any) -> Record | None:
        """The raw record of one; None where the mapping leaves it out.

        Raises:
            EventError: it is no event.
        """
        if not isinstance(part, dict):
            raise EventError(DeadCode.NOT_AN_OBJECT, "a record to be mapped is a JSON object")
        if self._mapping is not None and not self._mapping.takes(part):
            return None
        body = self._mapping.encode(part) if self._mapping else canonical_json(part)
        event = parse_structured(body)
        return Record(self._catalogue.raw(self._channel_of(event)), raw_key(event), body, _EVENT_HEADERS)

    def _channel_of(self, event: CloudEvent) -> str:
        """The channel whose topic the event belongs on; the same checks as intake's."""
        try:
            cleaned = self._cleaner.clean(event, topic_channel=None, now_us=self._clock.now_us())
        except EventError as error:
            if error.code is not DeadCode.UNKNOWN_CHANNEL or event.channel is not None or self._channel is None:
                raise
            cleaned = self._cleaner.clean(event, topic_channel=self._channel, now_us=self._clock.now_us())
        return cleaned.routed.channel


class KeptRow(msgspec.Struct, omit_defaults=True):
    """What is kept of an import beside a row that is set aside, in the header IMPORT_HEADER."""

    #: The bytes before the first row, in base64: a byte order mark, the names of the columns. None where too large.
    head: str | None = ""
    #: The channel that was given for events that name none.
    channel: str | None = None
    #: Whether a mapping made the events; without one the rows are events.
    mapped: bool = False


def kept_headers(head: bytes, channel: str | None, mapping: Mapping | None) -> tuple[Header, ...]:
    """The headers of a letter with which its row can be read by itself."""
    kept = KeptRow(
        base64.b64encode(head).decode() if len(head) <= HEAD_SIZE_BYTES_MAX else None, channel, mapping is not None
    )
    own: tuple[Header, ...] = ((IMPORT_HEADER, msgspec.json.encode(kept)),)
    return own if mapping is None else ((SOURCE_HEADER, mapping.source.encode()), *own)


def kept_row(noted: bytes | None) -> KeptRow | None:
    """What was kept beside a row; None where nothing was."""
    try:
        return None if noted is None else msgspec.json.decode(noted, type=KeptRow)
    except UNREADABLE:
        return None


def rows_of_letter(original: bytes, kept: KeptRow, mapping: Mapping | None) -> Iterator[FileRow]:
    """The row of a letter, read as in its file by the mapping of today; more than one where that reads it otherwise.

    Raises:
        EventError: its head can't be read any more.
        SettingError: the head does not fit the mapping.
    """
    try:
        head = base64.b64decode(kept.head or "", validate=True)
    except (binascii.Error, ValueError):
        raise EventError(DeadCode.MAPPING_FAILED, "what the letter keeps of the file can't be read") from None
    layout, required = (EVENT_LINES, frozenset[str]()) if mapping is None else (mapping.input, mapping.columns)
    return FileRows("the row's file", layout).read_from(io.BytesIO(head + original), required)
