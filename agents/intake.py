"""Intake: raw records in, cleaned events routed to their fragments, evidence to identity, the rest to `dead`.

Stateless: what it repeats after a crash the fold removes. Per record:

1. read it as a CloudEvent, or through its source's mapping where it is none, which may find several records in it, or
   leave one out on purpose (`schemas.event`, `schemas.mapping`); Avro is read as the JSON of the same content;
2. clean it: validate, normalise, route (`schemas.cleaning`);
3. enrich it: traits made comparable, findings (`schemas.enrichment`); this touches nothing that steps 2 and 4 go by;
4. say the pairs of identifiers that identity does not know yet (`agents.known_evidence`);
5. pass on what a system of record orders about who is who (`schemas.record_orders`), each time that it says so: what
   holds is the newest word.
"""

from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from traceback import format_tb
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from agents.compiled_intake import CompiledIntake
from agents.known_evidence import KnownEvidence
from schemas.avro.event_headers import declares_avro, headers_of_json
from schemas.avro.framing import is_framed
from schemas.cleaning import Cleaned, Cleaner
from schemas.dead_letters import dead_letter, number_in
from schemas.enrichment.enrichment import Enrichment
from schemas.errors import DeadCode, EventError, GoldenthreadError
from schemas.event import CONTENT_TYPE_HEADER, CloudEvent, is_cloud_event, parse_structured, read_record
from schemas.limits import ROUTED_SIZE_BYTES_MAX
from schemas.mapping import Arrival, Mapping, MappingSet
from schemas.mapping_records import BodyRecord
from schemas.messages import RoutedEvent, encode
from schemas.sources import SourceRegistry
from schemas.strict_json import read_json
from schemas.topics import PICKED_HEADER, RECEIVED_HEADER, REQUEST_HEADER, SOURCE_HEADER, Catalogue, Topic
from state.engine import Output
from state.native.loading import Library
from state.native.slice_answer import Evidence as Shown
from streams.batch import Batch, PlacedRecord
from streams.logs import logger
from streams.metrics import Metrics
from streams.outbox import Outbox
from streams.wire_input import without_registry

log = logger(__name__)

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")

STAGE: Final = "intake"
#: What becomes of events, besides dead letters; `evidence` is said of those that tell identity something, `orders`
#: of those that order who is who, `skipped` of records that their mapping leaves out on purpose.
OUTCOMES: Final = ("routed", "evidence", "orders", "skipped")


class _Json(NamedTuple):
    """An Avro record as the JSON record of the same content."""

    value: bytes
    headers: Sequence[tuple[str, bytes]]


class _Part(msgspec.Struct, frozen=True, gc=False):
    """What one event is made of: a raw record, or one of those that the mapping of its source finds in it."""

    record: Any
    #: What is read: the record itself, or as JSON.
    content: Any
    mapping: Mapping | None = None
    found: BodyRecord | None = None


class Intake:
    """What intake does to one record."""

    def __init__(
        self,
        *,
        catalogue: Catalogue,
        cleaner: Cleaner,
        registry: SourceRegistry,
        mappings: MappingSet,
        known: KnownEvidence,
        enrichment: Enrichment | None = None,
        metrics: Metrics | None = None,
        read_framed: Callable[[bytes], bytes] = without_registry,
        library: Library | None = None,
    ) -> None:
        self._catalogue = catalogue
        self._cleaner = cleaner
        self._registry = registry
        self._mappings = mappings
        self._known = known
        self._enrichment = enrichment
        self._metrics = metrics
        self._read_framed = read_framed
        self._compiled = None
        if library is not None:
            self._compiled = CompiledIntake(
                library, catalogue=catalogue, cleaner=cleaner, registry=registry, enrichment=enrichment
            )
        self.counts: Counter[str] = Counter()

    def handle(self, record: Any) -> list[Output]:
        """The outputs of one raw record. Whatever is in it, a bad one becomes a dead letter."""
        try:
            parts = _foreseen(record, self._parts, record)
        except EventError as error:
            return [self._dead(_Part(record, record), error)]
        outputs: list[Output] = []
        for part in parts:
            try:
                # Steps 1 to 3.
                judged = _foreseen(record, self._judge, part)
                if judged is None:
                    self.counts["skipped"] += 1
                else:
                    self._say(*judged, outputs)
            except EventError as error:
                outputs.append(self._dead(part, error))
        return outputs

    def _say(self, event: CloudEvent, routed: RoutedEvent, cleaned: Cleaned, outputs: list[Output]) -> None:
        """Add what becomes of a good event; raises EventError where no record could carry it."""
        encoded = encode(routed)
        if len(encoded) > ROUTED_SIZE_BYTES_MAX:
            message = f"{len(encoded)} bytes once it is cleaned, at most {ROUTED_SIZE_BYTES_MAX} are taken"
            raise EventError(DeadCode.RECORD_TOO_LARGE, message)
        outputs.append(Output(Topic.ROUTED, routed.target.encode(), encoded))
        self.counts["routed"] += 1
        # Step 4.
        if cleaned.identifiers:
            evidence = self._known.news(
                cleaned.identifiers, source=event.source, event_id=event.id, time_us=event.time, grade=cleaned.grade
            )
            if evidence is not None:
                outputs.append(Output(Topic.EVIDENCE, None, encode(evidence)))
                self.counts["evidence"] += 1
        # Step 5.
        if cleaned.orders:
            outputs += [Output(Topic.EVIDENCE, None, encode(order)) for order in cleaned.orders]
            self.counts["orders"] += 1

    def handle_many(self, parts: Sequence[Batch], outbox: Outbox) -> None:
        """The outputs of records, as `handle` for each in turn, and faster where a library is at hand.

        Evidence is held against what is known in the order of the records, whichever way they go.
        """
        said = None if self._compiled is None else self._compiled.take(parts)
        if said is None:
            for record in _placed(parts):
                outbox.put_each(self.handle(record))
            return
        # The records that go the general way, by their numbers, and how far the others are handed over.
        count = sum(len(part.records) for part in parts)
        left: dict[int, Any] = {}
        if len(said.routed) < count:
            others = set(range(count)).difference(said.numbers)
            left = {number: record for number, record in enumerate(_placed(parts)) if number in others}
        routed = shown = 0
        for number in (*left, count):
            until, shown_until = bisect_left(said.numbers, number), shown
            while shown_until < len(said.evidence) and said.evidence[shown_until].number < number:
                shown_until += 1
            outbox.put_plain(Topic.ROUTED, said.routed[routed:until])
            self._say_evidence(said.evidence[shown:shown_until], outbox)
            routed, shown = until, shown_until
            if number < count:
                outbox.put_each(self.handle(left[number]))
        self.counts["routed"] += len(said.routed)

    def _say_evidence(self, shown: Sequence[Shown], outbox: Outbox) -> None:
        messages = self._known.say(shown)
        outbox.put_plain(Topic.EVIDENCE, [(None, message) for message in messages])
        self.counts["evidence"] += len(messages)

    def acknowledged(self) -> None:
        """All outputs so far are in the log."""
        if self._enrichment is not None and self._metrics is not None:
            self._metrics.count_enrichments(self._enrichment.counts)

    def _judge(self, part: _Part) -> tuple[CloudEvent, RoutedEvent, Cleaned] | None:
        """The event in a part, cleaned and enriched; None for one that is left out on purpose; raises EventError."""
        record = part.record
        channel = self._catalogue.channel_of(record.topic)
        # Step 1.
        event = self._read(part)
        if event is None:
            return None
        # Step 2. "In the future" is judged by the broker's time, so that a replay judges alike.
        cleaned = self._cleaner.clean(event, topic_channel=channel, now_us=record.timestamp * 1000)
        origin = (record.partition, record.offset)
        # Step 3.
        if self._enrichment is None:
            routed = msgspec.structs.replace(cleaned.routed, origin=origin)
        else:
            traits, enriched = self._enrichment.enrich(cleaned.routed, event.time_text)
            routed = msgspec.structs.replace(cleaned.routed, traits=traits, enriched=enriched, origin=origin)
        return event, routed, cleaned

    def _read(self, part: _Part) -> CloudEvent | None:
        record, mapping, found = part.record, part.mapping, part.found
        if mapping is None or found is None:
            return read_record(part.content.value, part.content.headers or ())
        if found.error is not None:
            raise found.error
        # The broker's time is the record's for ever, so a replay assigns the same; and so does a letter sent again.
        arrival = Arrival(_received_ms(record) * 1000, _request(record) if mapping.reads_request else None)
        if not mapping.takes(found.fields, arrival):
            return None
        return parse_structured(mapping.encode(found.fields, arrival))

    def _parts(self, record: Any) -> Sequence[_Part]:
        content = self._as_json(record)
        headers = content.headers or ()
        named = _header(headers, SOURCE_HEADER) if headers else None
        mapping = None if named is None else self._mappings.for_source(named)
        if named is None:
            default = self._registry.default_for(self._catalogue.channel_of(record.topic))
            if default is not None and not is_cloud_event(content.value, headers):
                mapping = self._mappings.for_source(default)
        if mapping is None:
            return (_Part(record, content),)
        whole = _header(headers, PICKED_HEADER) is not None
        found = mapping.body_records(content.value or b"", _header(headers, CONTENT_TYPE_HEADER) or "", whole=whole)
        return [_Part(record, content, mapping, each) for each in found]

    def _as_json(self, record: Any) -> Any:
        value, headers = record.value, record.headers
        if value and (is_framed(value) or (headers and declares_avro(headers))):
            return _Json(self._read_framed(value), headers_of_json(headers or ()))
        return record

    def _dead(self, part: _Part, error: EventError) -> Output:
        self.counts[error.code.value] += 1
        record, content, found = part.record, part.content, part.found
        # Of a record that is one event the letter has the bytes as they came, Avro among them.
        whole = found is None or found.original == content.value
        headers = (record if whole else content).headers or ()
        if found is not None and found.picked:
            own = (CONTENT_TYPE_HEADER, PICKED_HEADER)
            headers = [(name, content) for name, content in headers if name not in own]
            headers += [(CONTENT_TYPE_HEADER, found.media_type.encode()), (PICKED_HEADER, b"true")]
        letter = dead_letter(
            error,
            stage=STAGE,
            key=record.key,
            value=record.value if found is None or whole else found.original,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            original=headers,
        )
        return Output(Topic.DEAD, *letter)


def _placed(parts: Sequence[Batch]) -> Iterator[PlacedRecord]:
    return chain.from_iterable(part.placed() for part in parts)


def _foreseen(record: Any, step: Callable[[_Given], _Made], given: _Given) -> _Made:
    """What the step makes of what it is given; nothing goes wrong in it but by an error of ours.

    Nothing but the record is read there, so that whatever goes wrong is the record's doing and would go wrong each
    time: it is set aside, where a worker that stops would meet it again for ever.
    """
    try:
        return step(given)
    except (GoldenthreadError, MemoryError):
        raise
    except Exception as error:
        # The text of such an error may hold what a person said: neither log nor letter repeats it.
        log.error(
            "a record is set aside: reading it failed in a way that is not provided for",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            error=type(error).__name__,
            traceback="".join(format_tb(error.__traceback__)),
        )
        raise EventError(DeadCode.UNREADABLE_MESSAGE, type(error).__name__) from error


def _header(headers: Sequence[tuple[str, bytes | None]], wanted: str) -> str | None:
    # A header may have no value at all.
    return next(((content or b"").decode(errors="replace") for name, content in headers if name == wanted), None)


def _received_ms(record: Any) -> int:
    """When the record came, or the one that it repeats; nothing comes after it was sent again."""
    noted = _header(record.headers or (), RECEIVED_HEADER)
    given = None if noted is None else number_in(noted)
    return record.timestamp if given is None else min(given, record.timestamp)  # type: ignore[no-any-return]


def _request(record: Any) -> dict[str, Any] | None:
    """What collect noted of the request that brought the record, where it did."""
    noted = _header(record.headers or (), REQUEST_HEADER)
    try:
        request = None if noted is None else read_json(noted.encode())
    except EventError:
        return None
    return request if isinstance(request, dict) else None
