"""What the library goes by at intake, packed as `state/native/intake/settings.rs` reads it."""

import struct
from collections.abc import Iterable, Sequence
from typing import Final

from schemas import limits
from schemas.cleaning import Cleaner
from schemas.enrichment.enrichment import Enrichment
from schemas.enrichment.names import ENRICHERS, EnricherName, Outcome
from schemas.event import TRANSPORT_FIELDS
from schemas.identifiers import DEFAULT_NAMESPACE, DEFAULT_REALM
from schemas.orders import MERGED_EVENT, REMOVED_EVENT, REPLACED_EVENT
from schemas.sources import ANY_TYPE, SourceRegistry
from state.native.packing import packed_text

#: Texts that enrichers look at as a whole: longer ones are left to the general way, so that what is kept is bounded.
TEXT_SIZE_BYTES_MAX: Final = 1024
#: The same of the traits of one event.
TRAIT_SET_SIZE_BYTES_MAX: Final = 4096

#: What may become of a look, in the order of the numbers that the library counts by.
OUTCOMES: Final = tuple((enricher, outcome.value) for enricher in ENRICHERS for outcome in Outcome)
_NONE: Final = 0xFFFFFFFF
_BOUNDS: Final = (
    # The envelope is one level above the data.
    limits.NESTING_DEPTH_MAX + 1,
    limits.ID_LENGTH_MAX,
    limits.SOURCE_LENGTH_MAX,
    limits.NAME_SIZE_BYTES_MAX,
    limits.TYPE_LENGTH_MAX,
    limits.TIME_LENGTH_MAX,
    limits.IDENTIFIERS_MAX,
    limits.IDENTIFIER_LENGTH_MAX,
    limits.TRAITS_MAX,
    limits.TRAIT_NAME_LENGTH_MAX,
    limits.TRAIT_SIZE_BYTES_MAX,
    limits.SUMMARY_LENGTH_MAX,
    limits.SESSION_LENGTH_MAX,
    limits.REFS_MAX,
    limits.REF_FIELD_LENGTH_MAX,
    limits.GROUPS_MAX,
    limits.PERMISSIONS_MAX,
    limits.ENRICHED_SIZE_BYTES_MAX,
    TEXT_SIZE_BYTES_MAX,
    TRAIT_SET_SIZE_BYTES_MAX,
    limits.ROUTED_SIZE_BYTES_MAX,
)

_number: Final = struct.Struct("<I").pack
_long: Final = struct.Struct("<q").pack


class IntakeSettings:
    """The settings of one intake: packed, and the places (realm and namespace) by their numbers in it."""

    def __init__(self, cleaner: Cleaner, registry: SourceRegistry, enrichment: Enrichment | None) -> None:
        self.places: list[tuple[str, str]] = [(DEFAULT_REALM, DEFAULT_NAMESPACE)]
        # The name of no source: what holds of all that are not registered.
        unregistered = self._source("", registry)
        names = sorted(registry.sources, key=str.encode)
        sources = [self._source(name, registry) for name in names]
        self.packed = b"".join(
            (
                *map(_number, _BOUNDS),
                _long(cleaner.future_tolerance_us),
                *_enrichers(enrichment),
                _texts(sorted(TRANSPORT_FIELDS)),
                _texts(sorted(cleaner.identifiers.concealed_kinds)),
                _texts((MERGED_EVENT, REMOVED_EVENT, REPLACED_EVENT)),
                unregistered,
                _number(len(sources)),
                *sources,
            )
        )

    def _source(self, name: str, registry: SourceRegistry) -> bytes:
        source = registry.source(name)
        place = (source.realm, source.namespace)
        if place not in self.places:
            self.places.append(place)
        types = [event_type for event_type in source.grades if event_type != ANY_TYPE]
        return b"".join(
            (
                packed_text(name),
                packed_text(source.channel or ""),
                _long(source.rank),
                _number(self.places.index(place)),
                _long(registry.grade(name, ANY_TYPE)),
                _number(len(types)),
                *(packed_text(event_type) + _long(registry.grade(name, event_type)) for event_type in types),
            )
        )


def _enrichers(enrichment: Enrichment | None) -> Iterable[bytes]:
    looks = [] if enrichment is None else enrichment.looks()
    yield _number(enrichment is not None and enrichment.looks_at_traits)
    tells_times = enrichment is not None and enrichment.looks_at_times
    yield _number(OUTCOMES.index((EnricherName.TIME, Outcome.FOUND)) if tells_times else _NONE)
    yield _number(len(looks))
    for look in looks:
        yield from map(packed_text, (look.enricher.name, look.field, look.member or ""))
        yield _number(look.enricher.text_length)


def _texts(texts: Sequence[str]) -> bytes:
    return b"".join((_number(len(texts)), *map(packed_text, texts)))
