"""What a letter would become if it came now, by the settings, mappings and registrations of this process.

The same code judges as in the worker, so that a letter that is still wrong is told with its present code and not sent.
"""

import time
from collections.abc import Sequence
from typing import Final, NamedTuple

from agents.intake import Intake
from agents.known_evidence import KnownEvidence
from goldenthread.dead_letters.reading import LetterReader, NotSentError, Ways
from schemas.avro.framing import FRAME_SIZE_BYTES, schema_id_of
from schemas.enrichment.enrichment import Enrichment
from schemas.errors import DeadCode, EventError, RegistryAway
from schemas.event import is_cloud_event
from schemas.messages import RoutedEvent, decode_routed
from schemas.topics import SOURCE_HEADER, DeadHeader, Topic
from state.engine import MemoryRows, Output
from streams.dead import DeadLetterRecord
from streams.producer import Record, reject_large
from streams.registry import WriterSchemas
from streams.registry_client import RegistryClient
from streams.wire_input import PAUSE_SECONDS, without_registry

#: What was said of letters before is not asked for here.
_CACHED_SIZE_BYTES_MAX: Final = 0


class EventKey(NamedTuple):
    """One event, and the fragment that it is for."""

    fragment: str
    source: str
    id: str


class Verdict(NamedTuple):
    """What would become of a letter: events, or why there are none."""

    #: To be sent.
    records: Sequence[Record] = ()
    #: That the workers will make of them.
    events: Sequence[EventKey] = ()
    #: Why it is still wrong, or a part of it.
    error: EventError | None = None
    #: Why it can't be sent again at all.
    not_sent: str | None = None

    @property
    def left_out(self) -> bool:
        """Whether its mapping leaves it out on purpose."""
        return not self.events and self.error is None and self.not_sent is None


class _Arrived(NamedTuple):
    """A record as intake sees it; no broker has given it a place yet."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]]
    timestamp: int
    partition: int = 0
    offset: int = 0


class Judge:
    """Judges letters.

    Args:
        ways: How letters are read.
        enrichment: As the workers have it.
        registry: Of Avro schemas; None where none is configured.
    """

    def __init__(self, ways: Ways, *, enrichment: Enrichment, registry: RegistryClient | None) -> None:
        self._ways = ways
        self._reader = LetterReader(ways)
        self._intake = Intake(
            catalogue=ways.catalogue,
            cleaner=ways.cleaner,
            registry=ways.registry,
            mappings=ways.mappings,
            known=KnownEvidence(MemoryRows(), cached_size_bytes_max=_CACHED_SIZE_BYTES_MAX),
            enrichment=enrichment,
            read_framed=without_registry if registry is None else _FramedReader(registry).json,
        )

    def judge(self, letter: DeadLetterRecord) -> Verdict:
        """What would become of it; nothing is sent."""
        try:
            made = self._reader.records(letter)
            for record in made:
                reject_large(record)
        except NotSentError as error:
            return Verdict(not_sent=str(error))
        except EventError as error:
            return Verdict(error=error)
        verdicts = [self._judged(record) for record in made]
        return Verdict(
            [record for verdict in verdicts for record in verdict.records],
            list(dict.fromkeys(event for verdict in verdicts for event in verdict.events)),
            next((verdict.error for verdict in verdicts if verdict.error is not None), None),
        )

    def _judged(self, record: Record) -> Verdict:
        verdict = self._by_intake(record)
        if verdict.error is None or verdict.error.code is not DeadCode.CHANNEL_MISMATCH or not _is_named(record):
            return verdict
        # Its channel is known now, or was all along: it belongs on that channel's topic.
        others = (record._replace(topic=topic) for topic in self._ways.catalogue.raw_topics() if topic != record.topic)
        return next((other for other in map(self._by_intake, others) if other.error is None), verdict)

    def _by_intake(self, record: Record) -> Verdict:
        now_ms = self._ways.clock.now_us() // 1000
        outputs = self._intake.handle(_Arrived(record.topic, record.key, record.value, record.headers, now_ms))
        self._intake.acknowledged()
        events = [_event_key(output) for output in outputs if output.topic == Topic.ROUTED]
        error = next((_error_of(output) for output in outputs if output.topic == Topic.DEAD), None)
        # Of a record that holds several events the workers set aside what is wrong, and take the rest.
        return Verdict([record] if events else [], events, error)


def _is_named(record: Record) -> bool:
    """Whether it says itself how it is read: else that depends on the topic on which it comes."""
    names = {name for name, _ in record.headers}
    return SOURCE_HEADER in names or is_cloud_event(record.value, record.headers)


def _event_key(output: Output) -> EventKey:
    event = decode_routed(output.value or b"")
    if not isinstance(event, RoutedEvent):
        raise TypeError("intake routes events, nothing else")
    return EventKey(event.target, event.source, event.id)


def _error_of(output: Output) -> EventError:
    told = {name: content.decode(errors="replace") for name, content in reversed(output.headers)}
    return EventError(DeadCode(told[DeadHeader.CODE]), told[DeadHeader.MESSAGE], told[DeadHeader.POINTER])


class _FramedReader:
    """Reads framed Avro; asks the registry once for each schema, and one that is away not for every letter."""

    def __init__(self, client: RegistryClient) -> None:
        self._schemas = WriterSchemas(client)
        self._away: tuple[float, str] | None = None

    def json(self, value: bytes) -> bytes:
        """The JSON of a framed value.

        Raises:
            EventError: `broken_avro`, `unknown_schema` or `registry_away`.
        """
        schema_id = schema_id_of(value)
        if self._away is not None and time.monotonic() < self._away[0]:
            raise EventError(DeadCode.REGISTRY_AWAY, self._away[1])
        try:
            reader = self._schemas.fetch(schema_id)
        except RegistryAway as error:
            self._away = (time.monotonic() + PAUSE_SECONDS, str(error))
            raise EventError(DeadCode.REGISTRY_AWAY, str(error)) from error
        if isinstance(reader, EventError):
            raise EventError(reader.code, reader.message)
        self._schemas.keep((schema_id,))
        return reader.json(memoryview(value)[FRAME_SIZE_BYTES:])
