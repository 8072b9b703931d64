"""What a mapping makes of sample records: each goes the way that it would go through collect and intake.

Per record: leave it out or map it, read the event, clean it, enrich it; what comes out is shown, or the dead letter
that it would be. Over all records: which expressions never yield anything, and which fields nothing reads.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from connectors.collect.samples import SampleRecord
from schemas.cleaning import Cleaned, Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.errors import DeadCode, EventError
from schemas.event import CloudEvent, parse_structured
from schemas.event_data import Named
from schemas.identity_policy import Policy
from schemas.mapping import Arrival, Mapping
from schemas.mapping_expression import Expression
from schemas.normalise import identify, trim
from schemas.sources import SourceRegistry
from schemas.topics import Catalogue

#: Fields that nothing reads are listed so far; a sample may have any number.
UNREAD_SHOWN_MAX: Final = 50
_UNREAD_COUNTED_MAX: Final = 1000


class CheckedIdentifier(msgspec.Struct, frozen=True):
    """One identifier of an event."""

    kind: str
    given: str
    #: As it is compared with others; None where it identifies nobody and is dropped.
    normalised: str | None


class CheckedRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """What becomes of one record."""

    place: int
    #: `event`, `dead` or `skipped`.
    outcome: str
    #: The event that the mapping makes, also where it is refused afterwards.
    event: dict[str, Any] | None = None
    channel: str | None = None
    #: The kind of identifier by which it finds its customer.
    routed_by: str | None = None
    identifiers: tuple[CheckedIdentifier, ...] = ()
    #: How well the links are known that it shows; None where it shows none.
    evidence: str | None = None
    #: What it orders of its strongest identifier and the others: `require` or `forbid`; None where it gives no orders.
    order: str | None = None
    others: tuple[CheckedIdentifier, ...] = ()
    traits: dict[str, Any] = {}
    enriched: dict[str, Any] = {}
    #: Of the dead letter.
    code: str | None = None
    pointer: str | None = None
    message: str | None = None


class CheckReport(msgspec.Struct, frozen=True):
    """What a sample comes to."""

    source: str
    registered: bool
    records: int
    events: int
    dead: int
    skipped: int
    #: Dead letters by code.
    codes: dict[str, int]
    #: The first ones.
    shown: tuple[CheckedRecord, ...]
    #: Places of the mapping that yield nothing for any record.
    silent: tuple[str, ...]
    #: Fields at the top of records that no expression reads.
    unread: tuple[str, ...]
    warnings: tuple[str, ...]
    #: Events that are on no channel: as things stand they would be dead as `unknown_channel`.
    without_channel: int = 0

    @property
    def good(self) -> bool:
        """Every record is an event on a channel or left out on purpose, and at least one is an event."""
        return self.dead == 0 and self.events > 0 and self.without_channel == 0


@dataclass(frozen=True)
class Judges:
    """All that has a say in what becomes of a record."""

    catalogue: Catalogue
    policy: Policy
    registry: SourceRegistry
    cleaner: Cleaner
    enrichment: Enrichment
    now_us: int
    #: The channel of events that name none and whose source has none.
    channel: str | None = None


@dataclass
class _Tally:
    """What was seen so far."""

    outcomes: Counter[str] = field(default_factory=Counter)
    codes: Counter[str] = field(default_factory=Counter)
    shown: list[CheckedRecord] = field(default_factory=list)
    silent: dict[Expression, None] = field(default_factory=dict)
    unread: dict[str, None] = field(default_factory=dict)
    without_channel: int = 0


class MappingCheck:
    """Runs samples through one mapping.

    Args:
        mapping: The mapping.
        judges: The rest of the way.
        request: What mappings may read of a webhook's request.
        received: Records have a time of receipt, as those of webhooks and of Kafka have.
        shown_max: Records that the report shows; all are counted.
    """

    def __init__(
        self, mapping: Mapping, judges: Judges, *, request: dict[str, Any], received: bool, shown_max: int
    ) -> None:
        self._mapping = mapping
        self._judges = judges
        self._arrival = Arrival(judges.now_us if received else None, request)
        self._shown_max = shown_max
        self._tally = _Tally(silent=dict.fromkeys(mapping.expressions))

    def run(self, records: Iterable[SampleRecord]) -> CheckReport:
        """Look at all records."""
        tally = self._tally
        for record in records:
            self._observe(record)
            checked = self._check(record)
            tally.outcomes[checked.outcome] += 1
            if checked.code is not None:
                tally.codes[checked.code] += 1
            if len(tally.shown) < self._shown_max:
                tally.shown.append(checked)
        return self._report()

    def _observe(self, record: SampleRecord) -> None:
        """Which expressions yield something, and what nothing reads."""
        if record.error is not None:
            return
        row = self._mapping.known(record.fields, self._arrival)
        for expression in list(self._tally.silent):
            try:
                yields = expression.evaluate(row) not in (None, "", [], {})
            except EventError:
                # That it fails is told with the record.
                yields = True
            if yields:
                del self._tally.silent[expression]
        if len(self._tally.unread) < _UNREAD_COUNTED_MAX:
            self._tally.unread.update(dict.fromkeys(sorted(record.fields.keys() - self._mapping.mentioned)))

    def _check(self, record: SampleRecord) -> CheckedRecord:
        event: dict[str, Any] | None = None
        try:
            if record.error is not None:
                raise record.error
            if not self._mapping.takes(record.fields, self._arrival):
                return CheckedRecord(record.place, "skipped")
            encoded = self._mapping.encode(record.fields, self._arrival)
            event = msgspec.json.decode(encoded)
            read = parse_structured(encoded)
            return self._judged(CheckedRecord(record.place, "event", event=event), read, self._clean(read))
        except EventError as error:
            return CheckedRecord(
                record.place, "dead", event=event, code=error.code.value, pointer=error.pointer, message=error.message
            )

    def _clean(self, event: CloudEvent) -> Cleaned:
        judges = self._judges
        try:
            return judges.cleaner.clean(event, topic_channel=None, now_us=judges.now_us)
        except EventError as error:
            if error.code is not DeadCode.UNKNOWN_CHANNEL or event.channel is not None:
                raise
            if judges.channel is None and event.source in judges.registry.sources:
                raise
            # Whoever writes a mapping has not registered its source yet: the rest can be judged all the same.
            self._tally.without_channel += judges.channel is None
            assumed = judges.channel or judges.catalogue.channels[0]
            return judges.cleaner.clean(event, topic_channel=assumed, now_us=judges.now_us)

    def _judged(self, mapped: CheckedRecord, read: CloudEvent, cleaned: Cleaned) -> CheckedRecord:
        routed = cleaned.routed
        traits, enriched = self._judges.enrichment.enrich(routed, read.time_text)
        return msgspec.structs.replace(
            mapped,
            channel=read.channel or cleaned.source.channel or self._judges.channel,
            routed_by=routed.kind,
            identifiers=tuple(self._identifiers(read.fields.identifiers or {}, cleaned)),
            evidence=cleaned.grade.label if cleaned.identifiers else None,
            order=cleaned.orders[0].verb if cleaned.orders else None,
            others=tuple(self._identifiers(read.fields.other, cleaned)) if cleaned.orders else (),
            traits={name: msgspec.json.decode(value) for name, value in traits.items()},
            enriched=msgspec.json.decode(enriched) if enriched else {},
        )

    def _identifiers(self, named: dict[str, Named], cleaned: Cleaned) -> Iterable[CheckedIdentifier]:
        policy, source = self._judges.policy, cleaned.source
        for name, given in named.items():
            kind = policy.kind(name)
            for value in given if isinstance(given, list) else (given,):
                if value is None:
                    continue
                found = None
                if kind.enabled and not kind.hidden:
                    found = identify(kind, str(value), policy, source.realm, source.namespace)
                yield CheckedIdentifier(name, trim(str(value)), None if found is None else found.value)

    def _report(self) -> CheckReport:
        tally, source = self._tally, self._mapping.source
        total = tally.outcomes.total()
        events = tally.outcomes["event"]
        warnings = []
        if total == 0:
            warnings.append("the sample holds no record")
        elif events == 0 and tally.outcomes["skipped"] == total:
            warnings.append("`when` leaves out every record")
        elif events == 0:
            warnings.append("the mapping yields no event for any record")
        if tally.without_channel:
            warnings.append(
                "no channel, so intake would refuse it as unknown_channel: register the source with a channel in "
                "sources.yaml, map event.channel, or give --channel"
            )
        return CheckReport(
            source=source,
            registered=source in self._judges.registry.sources,
            records=total,
            events=events,
            dead=tally.outcomes["dead"],
            skipped=tally.outcomes["skipped"],
            codes=dict(tally.codes),
            shown=tuple(tally.shown),
            silent=tuple(expression.place.rpartition(": ")[2] for expression in tally.silent) if total else (),
            unread=tuple(tally.unread)[:UNREAD_SHOWN_MAX],
            warnings=tuple(warnings),
            without_channel=tally.without_channel,
        )
