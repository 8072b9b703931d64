"""The raw records that a letter is sent again as: what came by Kafka as it was, the rest as its door would write it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from connectors.collect.event_gate import EventGate
from connectors.collect.files_events import RowEvents, kept_row, rows_of_letter
from connectors.collect.mapped_events import mapped_event
from connectors.collect.segment.acceptance import Acceptance
from schemas.cleaning import Cleaner
from schemas.clock import Clock
from schemas.errors import DeadCode, EventError, GoldenthreadError, SettingError
from schemas.event import CONTENT_TYPE_HEADER
from schemas.mapping import Arrival, Mapping, MappingSet
from schemas.sources import SourceRegistry
from schemas.strict_json import read_json
from schemas.times import MICROSECONDS_PER_MILLISECOND
from schemas.topics import (
    IMPORT_HEADER,
    PICKED_HEADER,
    RECEIVED_HEADER,
    REQUEST_HEADER,
    RETRY_OF_HEADER,
    SEGMENT_HEADER,
    SOURCE_HEADER,
    Catalogue,
    Header,
)
from streams.dead import DeadLetterRecord
from streams.producer import Record

#: Letters of these stages are about what no sender sent, or what an earlier event decided.
_LATER_STAGES: Final = {
    "identity": "it is about evidence, which comes again with the next event that shows it",
    "context": "the event was decided on where it belongs",
}
#: Of these codes another try can't come out otherwise, and why.
_FINAL_CODES: Final = {
    DeadCode.CONTENT_CONFLICT: "another event of this source and id came before and stands: give this one another id",
    DeadCode.HORIZON_PASSED: "whether it was counted before is forgotten, so counting it now might count it twice",
}


class NotSentError(GoldenthreadError):
    """The letter can't be sent again; do what the message says instead."""


@dataclass(frozen=True)
class Ways:
    """All that says how letters are read now."""

    catalogue: Catalogue
    cleaner: Cleaner
    registry: SourceRegistry
    mappings: MappingSet
    clock: Clock
    #: For rows of files, in place of the mapping that their source is registered with.
    file_mapping: Mapping | None = None


class LetterReader:
    """Makes raw records of letters.

    Raises:
        SettingError: a mapping that is shipped can't be read.
    """

    def __init__(self, ways: Ways) -> None:
        self._ways = ways
        self._raw_topics = frozenset(ways.catalogue.raw_topics())
        self._gate = EventGate(cleaner=ways.cleaner, catalogue=ways.catalogue, clock=ways.clock, batch_events_max=1)
        self._acceptance = Acceptance(self._gate, registry=ways.registry, mappings=ways.mappings)
        self._doors: dict[str, Callable[[DeadLetterRecord, str], Iterable[Record | None]]] = {
            "hook": self._of_webhook,
            "segment": self._of_segment,
            "import": self._of_import,
        }

    def records(self, letter: DeadLetterRecord) -> list[Record]:
        """The records to be sent, none where its mapping leaves the letter out.

        Raises:
            NotSentError: it can't be sent again, whatever the settings are.
            EventError: it is still wrong.
        """
        _require_whole(letter)
        if letter.door is not None:
            way, name = letter.door
            if way in self._doors:
                made = [record for record in self._doors[way](letter, name) if record is not None]
                return [record._replace(headers=_noted(record.headers, letter)) for record in made]
        topic = "" if letter.origin is None else letter.origin[0]
        if topic not in self._raw_topics:
            raise NotSentError(f"its topic {topic!r} is no raw topic of this installation")
        return [Record(topic, letter.key, letter.value, _noted(letter.headers, letter))]

    def _of_webhook(self, letter: DeadLetterRecord, source: str) -> Iterator[Record | None]:
        mapping = self._ways.mappings.for_source(source)
        if mapping is None:
            raise NotSentError(f"source {source!r} is not registered with a mapping any more")
        arrival = Arrival(_received_us(letter), _request(letter))
        content_type = letter.header(CONTENT_TYPE_HEADER) or ""
        whole = letter.header(PICKED_HEADER) is not None
        for found in mapping.body_records(letter.value or b"", content_type, whole=whole):
            event = mapped_event(self._gate, mapping, found, arrival)
            yield None if event is None else event.record

    def _of_segment(self, letter: DeadLetterRecord, source: str) -> Iterator[Record | None]:
        around = next((content for name, content in letter.headers if name == SEGMENT_HEADER), None)
        arrival = Arrival(_received_us(letter))
        event = self._acceptance.event_of_letter(letter.value or b"", around, source, arrival)
        yield None if event is None else event.record

    def _of_import(self, letter: DeadLetterRecord, file: str) -> Iterator[Record | None]:
        kept = kept_row(next((content for name, content in letter.headers if name == IMPORT_HEADER), None))
        if kept is None or kept.head is None:
            raise NotSentError(f"it does not tell how its row is read: import {file} again")
        mapping = None
        if kept.mapped:
            source = letter.header(SOURCE_HEADER) or ""
            given = self._ways.file_mapping
            mapping = given if given is not None and given.source == source else self._ways.mappings.for_source(source)
            if mapping is None:
                raise NotSentError(f"give the mapping of {source!r} with --mapping FILE, or import {file} again")
        events = RowEvents(
            mapping,
            catalogue=self._ways.catalogue,
            cleaner=self._ways.cleaner,
            clock=self._ways.clock,
            channel=kept.channel,
        )
        try:
            for row in rows_of_letter(letter.value or b"", kept, mapping):
                for part in events.parts(row):
                    yield events.event(part)
        except SettingError as error:
            raise EventError(DeadCode.MAPPING_FAILED, str(error)) from error


def _require_whole(letter: DeadLetterRecord) -> None:
    final = next((reason for code, reason in _FINAL_CODES.items() if code == letter.code), None)
    if final is None:
        final = _LATER_STAGES.get(letter.stage)
    if final is not None:
        raise NotSentError(final)
    if letter.cut_from_bytes is not None:
        raise NotSentError(f"only a part of its {letter.cut_from_bytes} bytes was kept")
    if letter.headers_dropped is not None:
        raise NotSentError(f"its {letter.headers_dropped} headers were not kept")


def _received_us(letter: DeadLetterRecord) -> int:
    return letter.received_ms * MICROSECONDS_PER_MILLISECOND


def _request(letter: DeadLetterRecord) -> dict[str, object]:
    """What was noted of the request that brought it."""
    try:
        request = read_json((letter.header(REQUEST_HEADER) or "{}").encode())
    except EventError:
        return {}
    return request if isinstance(request, dict) else {}


def _noted(headers: Iterable[Header], letter: DeadLetterRecord) -> tuple[Header, ...]:
    """The headers, those of a former retry replaced by this one's."""
    own = (RETRY_OF_HEADER, RECEIVED_HEADER)
    return (
        *((name, content) for name, content in headers if name not in own),
        (RETRY_OF_HEADER, b"%d" % letter.offset),
        (RECEIVED_HEADER, b"%d" % letter.received_ms),
    )
