"""Enrichment: all enrichers over one cleaned event, in a fixed order.

What comes of it are the event's traits and one JSON object of findings, and nothing else: whose event it is, what
evidence it gives and by which hash a copy is known were settled before, and can't be reached from here. The same
event gives the same bytes, whatever came before it. Per event:

1. its traits, by name; those that look like a time, whatever their name; and what is derived from them;
2. what its data says of device and language;
3. what its time said beside the moment.

An enricher that fails marks the field in `failed`, and the event goes on.
"""

from collections import Counter
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Final, NamedTuple

import msgspec

from schemas.enrichment.findings import Counts, Findings
from schemas.enrichment.names import DERIVED, ENRICHERS, EnricherName, Outcome, enricher_names
from schemas.enrichment.phone import region_of
from schemas.enrichment.reading import Enricher, Reading, folded
from schemas.enrichment.registry import REGISTRY
from schemas.enrichment.utc_time import DAYS, TEXT_LENGTH_MAX, TEXT_LENGTH_MIN, original_of
from schemas.limits import TRAIT_SIZE_BYTES_MAX
from schemas.messages import RoutedEvent
from schemas.strict_json import UNREADABLE, canonical_json

_CACHED_NAMES_MAX: Final = 4_096
_COUNTRIES: Final = frozenset({"country", "countrycode"})
_WITHDRAWN: Final = b"null"
_ABSENT: Final = msgspec.Raw(b"")
# A text has quotes around it, the shortest time two hyphens at these places.
_TIME_SIZES_BYTES: Final = range(TEXT_LENGTH_MIN + 2, TEXT_LENGTH_MAX + 3)
_HYPHENS: Final = (slice(5, 6), slice(8, 9))


class Look(NamedTuple):
    """Where in an event's data an enricher looks."""

    enricher: Enricher
    #: The name of the field, and the member of the object in it.
    field: str
    member: str | None
    #: As findings call it.
    name: str


class ReadTraits(NamedTuple):
    """What enrichers make of an event's traits, whatever else is in it."""

    traits: dict[str, bytes]
    #: What is found out, JSON values by the names under which they are told.
    told: dict[str, Any]
    counts: Counts


class ReadText(NamedTuple):
    """What an enricher makes of a text in an event's data."""

    outcome: Outcome
    #: What it tells under its own name, where it says anything.
    told: dict[str, Any] | None


class Enriched(NamedTuple):
    """All that enrichment may change of an event."""

    traits: dict[str, bytes]
    #: A JSON object as canonical JSON; empty where nothing was found out.
    enriched: bytes


class _Told(msgspec.Struct, frozen=True, gc=False):
    """The fields of an event's data that enrichers look at, not decoded."""

    user_agent: msgspec.Raw = _ABSENT
    userAgent: msgspec.Raw = _ABSENT  # noqa: N815 - as browsers' libraries write it.
    useragent: msgspec.Raw = _ABSENT
    context: msgspec.Raw = _ABSENT
    text: msgspec.Raw = _ABSENT
    message: msgspec.Raw = _ABSENT
    body: msgspec.Raw = _ABSENT
    summary: msgspec.Raw = _ABSENT


class _Place(NamedTuple):
    """Where in an event's data an enricher looks."""

    #: The number of the field of `_Told`, and the member of the object in it.
    field: int
    member: str | None
    #: As findings call it, and as a JSON pointer.
    name: str
    pointer: str


_TOLD: Final = msgspec.json.Decoder(_Told)
_TEXT: Final = msgspec.json.Decoder(str)


class Enrichment:
    """The enrichers that are switched on. `counts` has what came of their looks, by enricher and outcome.

    `names` are those of `enricher_names`; making them takes a third of a second, in which the libraries load.
    """

    def __init__(self, names: Iterable[str] = ENRICHERS, *, phone_region: str = "") -> None:
        enrichers = [REGISTRY[EnricherName(name)]() for name in enricher_names(names)]
        self.counts: Counts = Counter()
        self._phone_region = phone_region
        self._by_trait = {
            trait: (enricher, place) for enricher in enrichers for place, trait in enumerate(enricher.traits)
        }
        self._of_data = [(enricher, tuple(map(_place_of, enricher.paths))) for enricher in enrichers if enricher.paths]
        self._of_times = next((enricher for enricher in enrichers if enricher.name is EnricherName.TIME), None)
        self._reader_of = lru_cache(maxsize=_CACHED_NAMES_MAX)(self._find_reader)

    def enrich(self, event: RoutedEvent, time_text: str = "") -> Enriched:
        """The event's traits as they are to be, and what was found out about it.

        Args:
            event: as cleaning left it.
            time_text: its time as its producer wrote it; empty where the time was not the producer's.
        """
        findings = Findings(event.traits, self.counts)
        # Step 1.
        if event.traits:
            self._read_traits(event.traits, findings)
        # Step 2.
        if self._of_data:
            self._read_data(event.data, findings)
        # Step 3.
        if self._of_times is not None and (original := original_of(time_text)):
            findings.tell(EnricherName.TIME, {"original": original})
            findings.counts[EnricherName.TIME, Outcome.FOUND] += 1
        return Enriched(findings.traits, findings.encode())

    # The parts of it, for whoever keeps what they come to.

    @property
    def looks_at_traits(self) -> bool:
        """Whether any enricher looks at traits."""
        return bool(self._by_trait) or self._of_times is not None

    @property
    def looks_at_times(self) -> bool:
        """Whether what an event's time says beside the moment is told."""
        return self._of_times is not None

    def looks(self) -> list[Look]:
        """Where step 2 looks, in this order."""
        fields = _Told.__struct_fields__
        return [
            Look(enricher, fields[place.field], place.member, place.name)
            for enricher, places in self._of_data
            for place in places
        ]

    def read_traits(self, traits: dict[str, bytes]) -> ReadTraits:
        """What step 1 makes of these traits; nothing is counted."""
        counts: Counts = Counter()
        findings = Findings(traits, counts)
        self._read_traits(traits, findings)
        return ReadTraits(findings.traits, findings.told(), counts)

    def read_text(self, look: Look, text: str) -> ReadText | None:
        """What step 2 makes of a text, not empty, at such a place; nothing is counted. None where it can't be read."""
        reading = self._read(look.enricher, text, "")
        if reading.failed is not None:
            return None
        told = None if reading.found is None else {**reading.found, "field": look.name}
        return ReadText(_outcome(reading), told)

    def _find_reader(self, trait: str) -> tuple[Enricher | None, int]:
        """Who reads a trait by its name, and the name's place; -1 where nobody does but it may be a time."""
        name = folded(trait)
        enricher, place = self._by_trait.get(name, (None, -1))
        return enricher, 0 if name in DAYS else place

    def _read_traits(self, traits: dict[str, bytes], findings: Findings) -> None:
        region: str | None = None
        for trait, value in traits.items():
            enricher, place = self._reader_of(trait)
            if enricher is None:
                if place < 0 and self._of_times is not None and _looks_like_time(value):
                    self._read_trait(self._of_times, trait, value, "", findings)
                continue
            if enricher.name is EnricherName.PHONE and region is None:
                region = self._region(traits)
            told = self._read_trait(enricher, trait, value, region or "", findings)
            if told:
                findings.tell_trait(enricher.name, place, trait, told)
            if trait in DERIVED:
                findings.derive(trait, told or {})

    def _read_trait(self, enricher: Enricher, trait: str, value: bytes, region: str, findings: Findings) -> Any:
        """Replace a trait by its comparable form, and return what was found out about it."""
        if value == _WITHDRAWN:
            return None
        text = _text_of(value)
        if text is None and enricher.name is EnricherName.PHONE and value.isdigit():
            text = value.decode()
        if text is None:
            if enricher.text_only:
                findings.counts[enricher.name, Outcome.FAILED] += 1
                findings.fail_trait(trait, "no text")
            return None
        reading = self._read(enricher, text, region)
        if reading.value is not None:
            encoded = canonical_json(reading.value)
            if len(encoded) <= TRAIT_SIZE_BYTES_MAX:
                findings.replace(trait, encoded, text)
            else:
                reading = Reading(failed="too long in its comparable form")
        if reading.failed is not None:
            findings.fail_trait(trait, reading.failed)
        findings.counts[enricher.name, _outcome(reading)] += 1
        return reading.found

    def _read_data(self, data: bytes, findings: Findings) -> None:
        try:
            told = msgspec.structs.astuple(_TOLD.decode(data))
        except UNREADABLE:
            return
        for enricher, places in self._of_data:
            for place in places:
                value = told[place.field]
                # Nearly all are: a loop over them is all that most events cost here.
                if value is _ABSENT:
                    continue
                text = _text_of(value if place.member is None else _member_of(value, place.member))
                if not text:
                    continue
                reading = self._read(enricher, text, "")
                findings.counts[enricher.name, _outcome(reading)] += 1
                if reading.failed is not None:
                    findings.fail(place.pointer, reading.failed)
                if reading.found is not None:
                    findings.tell(enricher.name, {**reading.found, "field": place.name})
                    break

    def _read(self, enricher: Enricher, text: str, region: str) -> Reading:
        try:
            return enricher.read(text, region)
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a library stumbles over, the event goes on.
            # The text of such an error may hold what a person said.
            return Reading(failed=type(error).__name__)

    def _region(self, traits: dict[str, bytes]) -> str:
        """The country that the event names, or else the policy's."""
        for trait, value in traits.items():
            if folded(trait) in _COUNTRIES and (text := _text_of(value)) and (region := region_of(text)):
                return region
        return self._phone_region


def _outcome(reading: Reading) -> Outcome:
    if reading.failed is not None:
        return Outcome.FAILED
    if reading.value is not None:
        return Outcome.CHANGED
    return Outcome.UNCHANGED if reading.found is None else Outcome.FOUND


def _looks_like_time(value: bytes) -> bool:
    return len(value) in _TIME_SIZES_BYTES and value[_HYPHENS[0]] == b"-" and value[_HYPHENS[1]] == b"-"


def _text_of(value: bytes | msgspec.Raw) -> str | None:
    """The text that JSON holds, or None where it holds something else."""
    try:
        return _TEXT.decode(value)
    except UNREADABLE:
        return None


def _member_of(value: msgspec.Raw, name: str) -> msgspec.Raw:
    try:
        return msgspec.json.decode(value, type=dict[str, msgspec.Raw]).get(name, _ABSENT)
    except UNREADABLE:
        return _ABSENT


def _place_of(path: tuple[str, ...]) -> _Place:
    member = path[1] if len(path) > 1 else None
    return _Place(_Told.__struct_fields__.index(path[0]), member, ".".join(path), "/data/" + "/".join(path))
