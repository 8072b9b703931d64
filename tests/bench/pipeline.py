"""The program's own rules without Kafka: the same functions that the agents call, over a list of events, at once.

It lets the oracle be held against cleaning, identity, fold and join in a second; the whole system is another test.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from bench.generator import SOURCES_FILE, encode
from schemas.cleaning import Cleaned, Cleaner
from schemas.document import encode_document
from schemas.enrichment.enrichment import Enrichment
from schemas.event import parse_structured
from schemas.identifiers import Identifier
from schemas.identity_policy import DEFAULT_POLICY
from schemas.keys import Keyring
from schemas.roles import HOME, SHARED
from schemas.sources import load_sources
from schemas.times import sight_bucket
from schemas.topics import DEFAULT_CHANNELS
from state.context.document import GRADE_LABELS, show
from state.fold import fold
from state.fragment import Fragment
from state.identity.evidence import Sighting
from state.identity.partition import Partition, partition
from state.join import JoinRules, Part, join

_FAR_FUTURE_US = 1 << 60


@dataclass
class Customer:
    """What a lookup of any of its members answers."""

    grades: dict[str, str]
    document: dict[str, Any] | None


@dataclass
class Outcome:
    """All customers by home, and all that is shared, named as `kind:value`."""

    customers: dict[str, Customer]
    shared: set[str]


class Pipeline:
    """Folds events, then partitions and joins."""

    def __init__(self) -> None:
        self._keyring = Keyring(b"a secret for tests only")
        self._cleaner = Cleaner(
            policy=DEFAULT_POLICY,
            registry=load_sources(SOURCES_FILE),
            keyring=self._keyring,
            channels=DEFAULT_CHANNELS,
        )
        self._enrichment = Enrichment()
        self._fragments: defaultdict[str, Fragment] = defaultdict(Fragment)
        self._identifiers: dict[str, Identifier] = {}
        self._formed: dict[str, int] = {}
        self._sightings: list[Sighting] = []
        self._sights: dict[str, tuple[int, int]] = {}
        self._seen: set[tuple[str, str]] = set()

    def play(self, events: Iterable[dict[str, Any]]) -> Outcome:
        """Everything that these events come to."""
        for event in events:
            if (event["source"], event["id"]) not in self._seen:
                self._seen.add((event["source"], event["id"]))
                parsed = parse_structured(encode(event))
                cleaned = self._cleaner.clean(parsed, topic_channel=event["channel"], now_us=_FAR_FUTURE_US)
                traits, enriched = self._enrichment.enrich(cleaned.routed, parsed.time_text)
                routed = msgspec.structs.replace(cleaned.routed, traits=traits, enriched=enriched)
                self._take(cleaned._replace(routed=routed))
        placed = partition(self._identifiers, self._formed, self._sightings, (), DEFAULT_POLICY)
        return self._outcome(placed)

    def _take(self, cleaned: Cleaned) -> None:
        routed = cleaned.routed
        self._identifiers[routed.target] = self._keyring.unseal(routed.sealed, routed.target)
        fold(self._fragments[routed.target], routed)
        for place, one in enumerate(cleaned.identifiers):
            self._identifiers[one.fragment] = self._keyring.unseal(one.sealed, one.fragment)
            self._formed.setdefault(one.fragment, len(self._sightings))
            first, last = self._sights.get(one.fragment, (routed.time, 0))
            self._sights[one.fragment] = min(first, routed.time), max(last, sight_bucket(routed.time))
            for other in cleaned.identifiers[place + 1 :]:
                sighting = (one.fragment, other.fragment, routed.source, int(cleaned.grade), routed.time, routed.id)
                self._sightings.append(Sighting(*sighting))

    def _outcome(self, placed: Partition) -> Outcome:
        shared = {self._name(one) for one, place in placed.placements.items() if place.state == SHARED}
        customers = {}
        for home, members in placed.customers().items():
            parts = [self._part(one, placed) for one in members]
            at_home = next(part for part in parts if part.role == HOME)
            joined = join(at_home, [part for part in parts if part.role != HOME], JoinRules(DEFAULT_POLICY))
            document = show(home, joined)
            shown = None if document is None else msgspec.json.decode(encode_document(document))
            grades = {f"{part.identifier.kind}:{part.identifier.value}": GRADE_LABELS[part.grade] for part in parts}
            customers[self._name(home)] = Customer(grades, shown)
        return Outcome(customers, shared)

    def _part(self, fragment: str, placed: Partition) -> Part:
        place, content = placed.placements[fragment], self._fragments[fragment]
        first, last = self._sights.get(fragment, (None, None))
        grade = max(place.grade, content.grade) if place.state == HOME else place.grade
        return Part(self._identifiers[fragment], place.state, grade, first, last, content)

    def _name(self, fragment: str) -> str:
        kind, value, _, _ = self._identifiers[fragment]
        return f"{kind}:{value}"
