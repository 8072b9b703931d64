"""Intake: raw records in, cleaned events routed to their fragments, evidence to identity, the rest to `dead`.

Stateless: what it repeats after a crash the fold removes. Per record:

1. read it as a CloudEvent, through its source's mapping where it is none (`schemas.event`, `schemas.mapping`);
2. clean it: validate, normalise, route (`schemas.cleaning`);
3. say the pairs of identifiers that identity does not know yet (`agents.known_evidence`).
"""

from collections import Counter
from traceback import format_tb
from typing import Any, Final

from agents.known_evidence import KnownEvidence
from schemas.cleaning import Cleaned, Cleaner
from schemas.dead_letters import dead_letter
from schemas.errors import DeadCode, EventError, GoldenthreadError
from schemas.event import CloudEvent, is_cloud_event, read_record
from schemas.mapping import MappingSet
from schemas.messages import encode
from schemas.sources import SourceRegistry
from schemas.topics import SOURCE_HEADER, Catalogue, Topic
from state.engine import Output
from streams.logs import logger

log = logger(__name__)

STAGE: Final = "intake"


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
    ) -> None:
        self._catalogue = catalogue
        self._cleaner = cleaner
        self._registry = registry
        self._mappings = mappings
        self._known = known
        self.counts: Counter[str] = Counter()

    def handle(self, record: Any) -> list[Output]:
        """The outputs of one raw record. Whatever is in it, a bad one becomes a dead letter."""
        try:
            # Steps 1 and 2.
            event, cleaned = self._judge(record)
        except EventError as error:
            self.counts[error.code.value] += 1
            return [self._dead(record, error)]
        routed = cleaned.routed
        outputs = [Output(Topic.ROUTED, routed.target.encode(), encode(routed))]
        self.counts["routed"] += 1
        # Step 3.
        if cleaned.identifiers:
            evidence = self._known.news(
                cleaned.identifiers, source=event.source, event_id=event.id, time_us=event.time, grade=cleaned.grade
            )
            if evidence is not None:
                outputs.append(Output(Topic.EVIDENCE, None, encode(evidence)))
                self.counts["evidence"] += 1
        return outputs

    def acknowledged(self) -> None:
        """All outputs so far are in the log."""
        self._known.acknowledged()

    def _judge(self, record: Any) -> tuple[CloudEvent, Cleaned]:
        """The event in a record, cleaned; raises EventError.

        Nothing but the record is read here, so that whatever goes wrong is the record's doing and would go wrong each
        time: it is set aside, where a worker that stops would meet it again for ever.
        """
        try:
            channel = self._catalogue.channel_of(record.topic)
            # Step 1.
            event = self._read(record, channel)
            # Step 2. "In the future" is judged by the broker's time, so that a replay judges alike.
            cleaned = self._cleaner.clean(event, topic_channel=channel, now_us=record.timestamp * 1000)
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
        return event, cleaned

    def _read(self, record: Any, channel: str) -> CloudEvent:
        headers = record.headers or ()
        # A header may have no value at all.
        named = next(
            ((value or b"").decode(errors="replace") for name, value in headers if name == SOURCE_HEADER), None
        )
        mapping = None if named is None else self._mappings.for_source(named)
        if mapping is None and named is None:
            default = self._registry.default_for(channel)
            mapping = (
                None if default is None or is_cloud_event(record.value, headers) else self._mappings.for_source(default)
            )
        if mapping is None:
            return read_record(record.value, headers)
        return mapping.read(record.value or b"")

    @staticmethod
    def _dead(record: Any, error: EventError) -> Output:
        letter = dead_letter(
            error,
            stage=STAGE,
            key=record.key,
            value=record.value,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp_ms=record.timestamp,
            original=record.headers or (),
        )
        return Output(Topic.DEAD, *letter)
